"""`ssl-video train`: one run, from a YAML file and flags."""

from pathlib import Path
from typing import Any

import click

from ssl_video.cli import options
from ssl_video.errors import InputError


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
    from ssl_video.benchmarks.running.given import check_names, specify
    from ssl_video.benchmarks.running.suite import merge, with_demo_settings
    from ssl_video.spec import read_yaml

    if resume:
        if file:
            raise InputError("--resume takes its settings from the run's folder: leave out RUN.yaml")
        # Resolved, so that a change is named no matter which way it came.
        resume = resume.resolve()
        file, results = resume / "spec.yaml", resume.parents[1]
    given = options.given(flags)
    values = merge(read_yaml(file) if file else {}, given)
    spec = specify(with_demo_settings(values), given, assignments)
    check_names([spec])
    from ssl_video.cli.runs import Settings, carry_out  # imports torch, which takes seconds

    return carry_out([spec], Settings.of(flags, results, jobs=1), baseline=None, resume=resume)
