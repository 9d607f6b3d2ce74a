"""`ssl-video bench`: algorithms x backbones x data sets x protocols x draws x seeds, to a table."""

from pathlib import Path
from typing import Any

import click

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.sections import Sectioned
from ssl_video.cli.show import BASELINE, Show

EXECUTORS = ("local", "ray", "slurm")


@click.command(cls=Sectioned)
@click.option("--algo", "--algorithm", "algorithm", multiple=True, metavar="NAMES",
              help="names or path/to/file.py:name, separated by commas; 'all' for every built-in one that is "
              "trained by steps and needs no table of predictions  [the suite's, else cmpl]")  # fmt: skip
@click.option("--protocol", multiple=True, metavar="NAMES",
              help="partition protocols, separated by commas  [the suite's, else auto]")  # fmt: skip
@click.option("--backbone", multiple=True, metavar="NAMES",
              help="backbones for networks without their own, separated by commas  [tiny3d]")  # fmt: skip
@click.option(
    "--data",
    multiple=True,
    metavar="DATA",
    help="'demo', a folder of class folders, a manifest (CSV), or an index file; may be repeated",
)
@click.option("--draws", type=click.IntRange(1), metavar="N",
              help="label draws, each with all seeds  [each seed draws its own]")  # fmt: skip
@click.option("--seeds", type=click.IntRange(1), metavar="N", help="number of seeds, counted from 0")
@click.option("--match", metavar="steps|clips|forwards|seconds",
              help="quantity that is equal for all methods; or an amount: clips:54000  [steps]")  # fmt: skip
@click.option(
    "--suite", "suite_name", metavar="NAME|FILE", help="a benchmark from a YAML file  [demo for the demo]"
)
@click.option("--no-baseline", is_flag=True, help=f"do not add {BASELINE}")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="runs at a time  [one per core on CPU, at most 4; one on GPU; all elsewhere]",
)
@click.option("--executor", type=click.Choice(EXECUTORS), default="local", show_default=True,
              help="where to execute runs: this machine, a Ray cluster, Slurm jobs")  # fmt: skip
@click.option("--executor-option", "executor_options", multiple=True, metavar="KEY=VALUE",
              help="an option of Ray tasks (num_gpus=0.5) or Slurm jobs (timeout_min=60)")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="list the runs and their cost; needs no data")
@click.option(
    "--measure", is_flag=True, help="with --dry-run: time a few steps of methods without finished runs"
)
@options.results_option
@options.recipe_option
@options.spec_options("algorithm", "backbone", "data", "protocol", "seed")
@options.set_option
@options.execution_options
def command(
    algorithm: tuple[str, ...],
    protocol: tuple[str, ...],
    backbone: tuple[str, ...],
    data: tuple[str, ...],
    draws: int | None,
    seeds: int | None,
    match: str | None,
    suite_name: str | None,
    no_baseline: bool,
    jobs: int | None,
    dry_run: bool,
    measure: bool,
    executor_options: tuple[str, ...],
    results: Path,
    assignments: tuple[str, ...],
    **flags: Any,
) -> int:
    """Compare algorithms over partition protocols and seeds.

    Without --data it runs on the embedded demo clips. Finished runs stay in the results folder and
    are not repeated. Ctrl-C stops the benchmark, and the same command resumes it.
    """
    names = {"backbones": backbone, "protocols": protocol}
    experiment = {
        "algorithms": options.split_list(algorithm) or None,
        "data": list(data) or None,
        **{key: options.split_list(values) or None for key, values in names.items()},
        **{"draws": draws, "seeds": seeds, "match": match, "suite": suite_name},
        **{"baseline": None if no_baseline else BASELINE, "overrides": options.parsed(assignments)},
        **options.given(flags),
        "results": results,
        "jobs": jobs,
        "executor_options": options.parsed(executor_options, "--executor-option", "num_gpus=0.5"),
    }
    if dry_run:
        from ssl_video.cli import dry_run as forecast

        return forecast.show(experiment, measure=measure)
    runs = sv.bench(**experiment, progress=Show(next_steps=not no_baseline))
    return 1 if runs.failures else 0
