from helpers.small_runs import data, make_plan, make_training, plugin, small_spec

__all__ = ["data", "make_plan", "make_training", "plugin", "small_spec"]
