"""`ssl-video train`: one run, from a YAML file and flags."""

import shlex
from pathlib import Path
from typing import Any

import click
from rich.console import Console

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.sections import Sectioned
from ssl_video.cli.show import Show, on_all_labels, plainly


@click.command(cls=Sectioned, no_args_is_help=True)
@click.argument("file", type=click.Path(path_type=Path), required=False, metavar="[RUN.yaml]")
@options.results_option
@click.option(
    "--algo", "--algorithm", "algorithm", metavar="NAME", help="name or path/to/file.py:name  [supervised]"
)
@options.recipe_option
@options.spec_options("algorithm")
@options.set_option
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="resume the run in this folder, or report the settings that differ; replaces RUN.yaml",
)
@options.processes_options
@options.execution_options
def command(
    file: Path | None, results: Path, assignments: tuple[str, ...], resume: Path | None, **flags: Any
) -> int:
    """Train one run. Flags override the file, --set overrides both.

    Defaults: on the demo clips those of the demo suite, on other data those of the recipe probe; with
    --backbone, --width or --weights, as listed below.
    A stopped run resumes from its checkpoint when the same command is called again. Changing any setting,
    including --steps, starts a new run in its own folder.

    On several devices, each process gets a shard of every batch. The numbers are those of one process, up to
    rounding and batch-norm statistics (--batch-norm). Under torchrun or srun, it joins their processes.

    Ctrl-C, SIGTERM, SIGUSR1 and SIGUSR2 end it after the current step, with a checkpoint. The status is 130
    for Ctrl-C and 75 for the others, which asks a scheduler to restart it.
    """
    flags = options.given(flags)
    if resume:
        flags.pop("results", None)
    else:
        flags["results"] = results
    shown = Show(single=True)
    try:
        run = sv.train(
            config=file, resume=resume, overrides=options.parsed(assignments), progress=shown, **flags
        )
    except sv.RunFailed:
        return 1  # already reported
    # Of several processes that a launcher started, the first one speaks.
    if shown.concluded and run.spec.data != "demo":
        _next_steps(run)
    return 0


def _next_steps(run: sv.RunFolder) -> None:
    """Print the commands that come after training on videos of one's own."""
    if run.spec.folds > 1:
        plainly(
            Console(),
            f"next, the other folds, and the model whose accuracy they estimate:\n  {on_all_labels(run)}",
        )
        return
    path, lines = shlex.quote(str(run.path)), ["next:"]
    if run.result.expected_accuracies:
        lines.append(f"  ssl-video evaluate {path} --per-class    the classes that it confuses")
    lines += [
        f"  ssl-video predict {path} VIDEOS -o labels.csv    labels of videos, folders, recordings",
        f"  ssl-video suggest {path} -o todo    the clips to label next, on a page",
    ]
    plainly(Console(), "\n".join(lines))
