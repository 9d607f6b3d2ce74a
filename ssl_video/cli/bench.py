"""`ssl-video bench`: algorithms x backbones x datasets x protocols x draws x seeds, to a table."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ssl_video.benchmarks.running.executors import NAMES
from ssl_video.cli import options
from ssl_video.errors import InputError

BASELINE = "supervised"


@click.command()
@click.option("--algo", "--algorithm", "algorithm", multiple=True, metavar="NAMES",
              help="names or path/to/file.py:name, with commas; 'all' for every built-in one  [the "
              "suite's, else cmpl]")  # fmt: skip
@click.option("--protocol", multiple=True, metavar="NAMES",
              help="partition protocols, with commas  [the suite's, else per-class:10]")  # fmt: skip
@click.option("--backbone", multiple=True, metavar="NAMES",
              help="backbones of every network that has none of its own, with commas  [tiny3d]")  # fmt: skip
@click.option(
    "--data",
    multiple=True,
    metavar="DATA",
    help="'demo', a folder of class folders, a manifest (CSV), or an index file; may be repeated",
)
@click.option("--draws", type=click.IntRange(1), metavar="N",
              help="draws of labels, each with all seeds  [each seed draws its own]")  # fmt: skip
@click.option("--seeds", type=click.IntRange(1), metavar="N", help="number of seeds, counted from 0")
@click.option("--match", metavar="steps|clips|forwards|seconds",
              help="what all methods have as much of; clips:54000: how much, too  [steps]")  # fmt: skip
@click.option(
    "--suite", "suite_name", metavar="NAME|FILE", help="a benchmark from a YAML file  [demo for the demo]"
)
@click.option("--no-baseline", is_flag=True, help=f"do not add {BASELINE}")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="runs at a time  [one per core on CPU, at most 4; one on GPU; all elsewhere]",
)
@click.option("--executor", type=click.Choice(NAMES), default="local", show_default=True,
              help="where runs are carried out: this machine, a Ray cluster, jobs of Slurm")  # fmt: skip
@click.option("--executor-option", "executor_options", multiple=True, metavar="KEY=VALUE",
              help="an option of Ray's tasks (num_gpus=0.5) or of Slurm's jobs (timeout_min=60)")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="list what would run and what it costs; needs no data")
@click.option("--measure", is_flag=True, help="with --dry-run: try a few steps of what has never run")
@options.results_option
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

    Without --data it runs on the embedded demo clips. Finished runs are kept in the results folder and
    not repeated; Ctrl-C stops, and the same command goes on.
    """
    from ssl_video.benchmarks.running import suite as suites
    from ssl_video.benchmarks.running.given import check_names
    from ssl_video.spec import override

    on_demo = all(name == "demo" for name in data)
    suite = suites.load(suite_name or "demo") if suite_name or on_demo else suites.Suite(algorithms=["cmpl"])
    suite = suite.choose(
        algorithms=_algorithms(algorithm),
        backbones=options.split_list(backbone),
        datasets=data,
        protocols=options.split_list(protocol),
    )
    if flags["draw"] is not None:
        if draws:
            raise InputError("--draws counts draws from 0, --draw is a single one: leave out one of them")
        suite = replace(suite, draws=None)
    suite = replace(suite, draws=draws or suite.draws, seeds=seeds or suite.seeds, match=match or suite.match)
    if not no_baseline:
        suite = suite.with_baseline(BASELINE)
    flags["executor_options"] = override({}, executor_options, "--executor-option", "num_gpus=0.5")
    specs = suite.specs(options.given(flags), assignments)
    check_names(specs, data=not dry_run, commands=suite.commands)
    from ssl_video.cli.runs import Settings, carry_out, matched  # imports torch, which takes seconds

    settings = Settings.of(flags, results, jobs)
    specs = matched(specs, suite.match, settings)
    if dry_run:
        from ssl_video.cli import dry_run as forecast

        return forecast.show(specs, settings, measure=measure, hints=suite.commands)
    return carry_out(specs, settings, baseline=BASELINE)


def _algorithms(given: tuple[str, ...]) -> list[str]:
    """Names that were given, with all built-in ones in place of `all`."""
    from ssl_video.registry import algorithms as registry

    names = options.split_list(given)
    if "all" in names:
        names = list(dict.fromkeys([*registry.builtin(), *names]))
        names.remove("all")
    return names
