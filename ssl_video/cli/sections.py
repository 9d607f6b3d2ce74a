"""The help of commands with many options, in sections."""

from collections.abc import Iterator

import click

# Names of options by section; `augmentation__` stands for all that begin so.
SECTIONS = {
    "Experiment": (
        *("algorithm", "recipe", "suite_name", "steps", "seed", "seeds", "match", "no_baseline"),
        *("assignments", "results", "resume", "dry_run", "measure"),
    ),
    "Data and labels": (
        *("data", "root", "split", "unlabeled", "labels", "segment", "keep_classes", "protocol", "lists"),
        *("draw", "draws", "folds", "validation", "labeled_in_unlabeled", "skip_broken"),
    ),
    "Networks": (
        *("backbone", "width", "weights", "weights_prefix", "partial_weights", "probe", "input"),
        *("feature_copies", "backbone_learning_rate", "layer_decay", "freeze_norm", "head_steps"),
        *("head_start", "dropout"),
    ),
    "Clips": (
        *("frames", "stride", "fps", "sampling", "size", "augmentation__", "test_clips", "test_crops"),
        *("frame_format", "cache_gib", "long_video"),
    ),
    "Training": (
        *("labeled_batch", "unlabeled_batch", "balance", "optimizer", "learning_rate", "warmup"),
        *("weight_decay", "momentum", "clip_norm", "accumulate", "batch_norm", "label_smoothing", "ema"),
        *("precision", "evaluate_every", "on_nonfinite", "logger"),
    ),
    "Machine": (
        *("device", "devices", "num_nodes", "strategy", "jobs", "executor", "executor_options", "threads"),
        *("workers", "compile", "activation_checkpointing"),
    ),
}
OTHERS = "Other options"


class Sectioned(click.Command):
    """A command whose help shows its options by section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        for title, options in self.sections(ctx).items():
            with formatter.section(title):
                formatter.write_dl([record for one in options if (record := one.get_help_record(ctx))])

    def sections(self, ctx: click.Context) -> dict[str, list[click.Parameter]]:
        """Return the options by section, without empty sections."""
        left = {str(one.name): one for one in self.get_params(ctx) if one.param_type_name == "option"}
        found = {
            title: [left.pop(name) for key in keys for name in _named(key, left)]
            for title, keys in SECTIONS.items()
        }
        found[OTHERS] = [*left.values()]
        return {title: options for title, options in found.items() if options}


def _named(key: str, options: dict[str, click.Parameter]) -> Iterator[str]:
    """Yield the names of options that a name in `SECTIONS` stands for."""
    yield from [name for name in options if name == key or (key.endswith("__") and name.startswith(key))]
