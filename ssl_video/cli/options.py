"""Options shared by commands. Every scalar key of a specification is a flag of the same name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import click

import ssl_video as sv

Function = TypeVar("Function", bound=Callable[..., Any])

RESULTS = "ssl-video-results"
# A key of a specification that says how a benchmark came to the run's steps: not to be set for one run.
_NO_FLAG = "match"
# Between a key and a key inside it, in the name of a parameter, which cannot hold a dot.
_INSIDE = "__"


checkpoint_argument = click.argument("checkpoint", type=click.Path(path_type=Path), metavar="RUN|CHECKPOINT")
trust_option = click.option(
    "--trust",
    is_flag=True,
    help="allow that the run's own algorithm or backbone, a Python file or a plugin, is imported",
)
videos_argument = click.argument(
    "videos", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="VIDEO|FOLDER|LIST..."
)
predictor_option = click.option("--predictor", metavar="NAME", help="network to use  [the headline]")
device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, …")
decoders_option = click.option(
    "--decoders",
    type=click.IntRange(0, 1024),
    metavar="N",
    help="videos decoded at a time  [one per core, up to 8]",
)
# One name means one thing in all commands, see tests/cli/test_option_names.py.
json_option = click.option("--json", "as_json", is_flag=True, help="print JSON instead of tables")
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="replace a file that is there, whatever it contains"
)
again_option = click.option("--again", is_flag=True, help="measure again, in place of stored results")
clips_option = click.option(
    "--clips", type=click.IntRange(0), default=10, show_default=True, help="number of clips to list"
)
cache_gib_option = click.option(
    "--cache-gib", type=click.FloatRange(0), default=20.0, show_default=True,
    help="size limit of the cache of decoded frames, in GiB",
)  # fmt: skip
long_video_option = click.option(
    "--long-video", type=click.FloatRange(0), default=60.0, metavar="SECONDS", show_default=True,
    help="length above which a video is read by seeking, and stored frame by frame as it is used",
)  # fmt: skip


def spec_option(key: str, usual: str = "", **arguments: Any) -> Callable[[Function], Function]:
    """Return a flag with the name and the sentence of a key of a specification, for one command.

    Args:
        key: the key.
        usual: words about the default, if the flag has none of its own.
        arguments: those of `click.option`.
    """
    words = f"  [{usual}]" if usual else ""
    help = f"{sv.Spec.model_fields[key].description}{words}"
    return click.option(f"--{key.replace('_', '-')}", help=help, **arguments)


def spec_options(*without: str) -> Callable[[Function], Function]:
    """Add a flag for each scalar key of a specification but those named; values arrive as strings.

    A key that holds keys has a flag for each of them: `--augmentation.flip`.
    """

    def add(function: Function) -> Function:
        # Options are shown in the reverse of the order in which decorators are applied.
        for name, field in reversed(sv.Spec.model_fields.items()):
            if name in (*without, _NO_FLAG) or get_origin(field.annotation) is dict:
                continue
            for inner, one in reversed(getattr(field.annotation, "model_fields", {"": field}).items()):
                function = _flag(name, inner, one)(function)
        return function

    return add


def _flag(name: str, inner: str, field: Any) -> Callable[[Function], Function]:
    """Return the flag of a key, or of a key inside it."""
    shown = f"{field.default:g}" if isinstance(field.default, float) else field.default
    default = "" if shown in (None, ()) else f"  [{shown}]"
    flags = [f"--{name.replace('_', '-')}" + (f".{inner.replace('_', '-')}" if inner else "")]
    if field.annotation is bool:
        flags = [f"{flags[0]}/--no-{flags[0][2:]}"]
    return click.option(
        *flags,
        f"{name}{_INSIDE}{inner}" if inner else name,
        default=None,
        multiple=get_origin(field.annotation) is tuple,
        metavar=_metavar(field.annotation),
        help=f"{field.description}{default}",
    )


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords that flags gave: keys of a specification that are set, and all others."""
    found = dict[str, Any]()
    for key, value in options.items():
        if value not in (None, ()):
            outer, _, inner = key.partition(_INSIDE)
            if inner:
                found.setdefault(outer, {})[inner] = value
            else:
                found[key] = value
    return found


def split_list(values: tuple[str, ...]) -> list[str]:
    """Return the different items of an option that may be repeated or hold a comma-separated list."""
    return list(dict.fromkeys(item.strip() for value in values for item in value.split(",") if item.strip()))


def algorithm_option(default: str) -> Callable[[Function], Function]:
    """Return the flag of the algorithm of a command that takes one, and has a default of its own."""
    return click.option(
        "--algo", "--algorithm", "algorithm", default=default, show_default=True, metavar="NAME",
        help=sv.Spec.model_fields["algorithm"].description,
    )  # fmt: skip


recipe_option = click.option(
    "--recipe", metavar="NAME|FILE",
    help="settings of networks and training that go together: probe, finetune, scratch; flags override them  "
    "[probe, except for the demo, and where backbone, width or weights of a network are given]",
)  # fmt: skip
set_option = click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE",
    help="set any key of the specification, including nested ones: options.threshold=0.9",
)  # fmt: skip
results_option = click.option(
    "--results", type=click.Path(path_type=Path), default=RESULTS, show_default=True, help="results folder"
)


def runs_options(function: Function) -> Function:
    """Add flags that select finished runs; `selected` takes all but the baseline."""
    return _all(
        function,
        click.option(
            "--algo", "--algorithm", "algorithm", multiple=True, metavar="NAMES",
            help="only these algorithms and the baseline",
        ),
        click.option("--dataset", multiple=True, metavar="NAMES", help="only these data sets"),
        click.option("--protocol", multiple=True, metavar="NAMES", help="only these protocols"),
        click.option(
            "--where", multiple=True, metavar="KEY=VALUES",
            help="only runs with these values of a column of leaderboard.csv or a key of the specification; "
            "also !=, >= and <=; * matches anything",
        ),
        click.option(
            "--baseline", default="supervised", show_default=True,
            help="algorithm, configuration or row that gains are relative to",
        ),
    )  # fmt: skip


def selected(
    runs: "sv.Results",
    baseline: str,
    algorithm: tuple[str, ...],
    dataset: tuple[str, ...],
    protocol: tuple[str, ...],
    where: tuple[str, ...],
) -> "sv.Results":
    """Return the runs that `runs_options` ask for.

    Raises:
        InputError: invalid conditions, or no run that meets all of them.
    """
    named = {"algorithm": algorithm, "dataset": dataset, "protocol": protocol}
    lists = {key: split_list(values) for key, values in named.items()}
    return runs.select(*where, **lists, baseline=baseline)


def parsed(
    texts: tuple[str, ...], flag: str = "--set", example: str = "options.threshold=0.9"
) -> dict[str, Any]:
    """Return the values of `key=value` flags, see `spec.parse_assignments`."""
    return sv.Spec.parse(texts, flag, example)


def data_options(function: Function) -> Function:
    """Add flags for opening data."""
    return _all(
        function,
        click.option("--skip-broken", is_flag=True, help="leave out videos that cannot be decoded"),
        cache_gib_option,
    )


def step_options(function: Function) -> Function:
    """Add flags for the execution of training steps, which do not change their numbers."""
    return _all(
        function,
        device_option,
        click.option("--threads", type=click.IntRange(1), help="CPU threads per run"),
        click.option(
            "--workers", type=click.IntRange(0), help="number of processes that prepare batches, per run"
        ),
        click.option("--compile", is_flag=True, help="compile networks: a slow start, then faster steps"),
        click.option(
            "--activation-checkpointing",
            is_flag=True,
            help="run blocks again for the backward pass: less memory, slower steps",
        ),
    )


def execution_options(function: Function) -> Function:
    """Add flags for the execution of runs, which do not change their numbers."""
    others = _all(
        data_options(function),
        long_video_option,
        click.option(
            "--evaluate-every",
            type=click.IntRange(0),
            default=0,
            metavar="N",
            show_default=True,
            help="steps between evaluations on the validation clips, see --validation; 0: none",
        ),
        click.option(
            "--on-nonfinite",
            type=click.Choice(["stop", "skip"]),
            default="stop",
            show_default=True,
            help="on a loss or gradient that is not finite, stop the run or skip that step's update",
        ),
        click.option(
            "--logger",
            multiple=True,
            metavar="wandb|mlflow|tensorboard",
            help="also report runs to this experiment tracker; may be repeated",
        ),
    )
    return step_options(others)


def processes_options(function: Function) -> Function:
    """Add flags for a run on several devices."""
    return _all(
        function,
        click.option(
            "--devices", type=click.IntRange(1), metavar="N",
            help="devices on this machine, one process each  [as many as torchrun or srun started, or 1]",
        ),
        click.option("--num-nodes", type=click.IntRange(1), metavar="N", help="machines  [likewise]"),
        click.option(
            "--strategy", type=click.Choice(["auto", "ddp"]), default="auto", show_default=True,
            help="how processes exchange gradients; auto: ddp for several",
        ),
    )  # fmt: skip


def _all(function: Function, *decorators: Callable[[Function], Function]) -> Function:
    """Apply decorators so that the first one's option is shown first."""
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def _metavar(annotation: Any) -> str | None:
    if annotation is bool:
        return None
    if get_origin(annotation) is Literal:
        return "|".join(str(value) for value in get_args(annotation))
    kinds = [kind for kind in (get_args(annotation) or (annotation,)) if kind is not type(None)]
    return {int: "N", float: "X"}.get(kinds[0], "TEXT")
