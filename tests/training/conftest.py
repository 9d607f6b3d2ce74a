from helpers.small_runs import data, make_plan, make_training, plugin, small_spec, teacher_table

__all__ = ["data", "make_plan", "make_training", "plugin", "small_spec", "teacher_table"]
