"""`ssl-video train`: one run, from a YAML file and flags."""

from pathlib import Path
from typing import Any

import click

from ssl_video.cli import options
from ssl_video.errors import InputError
from ssl_video.spec import NetworkSpec


@click.command(no_args_is_help=True)
@click.argument("file", type=click.Path(path_type=Path), required=False, metavar="[RUN.yaml]")
@options.results_option
@click.option(
    "--algo", "--algorithm", "algorithm", metavar="NAME", help="name or path/to/file.py:name  [supervised]"
)
@options.spec_options("algorithm")
@options.set_option
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="go on with the run in this folder, or say what is different; takes the place of RUN.yaml",
)
@options.processes_options
@options.execution_options
def command(
    file: Path | None, results: Path, assignments: tuple[str, ...], resume: Path | None, **flags: Any
) -> int:
    """Train one run. Flags override the file, --set overrides both.

    On the demo clips the settings of the demo suite are the defaults; elsewhere those shown below.
    A run that was stopped goes on from its checkpoint when it is called again in the same way. Other
    settings, the number of steps among them, are another run with a folder of its own.

    On several devices each process has its share of a step's clips, and the numbers of one process up to
    rounding and batch-norm statistics (--batch-norm). Started by torchrun or srun, it is one of theirs.

    Ctrl-C, SIGTERM, SIGUSR1 and SIGUSR2 end it after the step under way, with a checkpoint; the status is
    130 for Ctrl-C and 75 for the others, which asks a scheduler to start it again.
    """
    from ssl_video.benchmarks.running.suite import merge, with_demo_settings
    from ssl_video.cli.runs import Settings, carry_out
    from ssl_video.spec import build, override, read_yaml

    if resume:
        if file:
            raise InputError("--resume takes its settings from the run's folder: leave out RUN.yaml")
        # Resolved, so that a change is named no matter which way it came.
        resume = resume.resolve()
        file, results = resume / "spec.yaml", resume.parents[1]
    values = read_yaml(file) if file else {}
    given = options.given(flags)
    _refuse_without_effect(values.get("networks"), given)
    values = merge(values, given)
    spec = build(override(with_demo_settings(values), assignments))
    return carry_out([spec], Settings.of(flags, results, jobs=1), baseline=None, resume=resume)


def _refuse_without_effect(networks: Any, given: dict[str, Any]) -> None:
    """A flag for all networks does not reach one that the file sets by itself: say so, do not ignore it."""
    if isinstance(networks, dict):
        problems = [
            f"--{key} does not change networks.{role}.{key}, which the file sets: "
            f"use --set networks.{role}.{key}={given[key]}"
            for role, network in networks.items()
            for key in NetworkSpec.model_fields
            if key in given and isinstance(network, dict) and key in network
        ]
        if problems:
            raise InputError(*problems)
