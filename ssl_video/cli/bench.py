"""`ssl-video bench`: algorithms x protocols x seeds, side by side, to a table."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ssl_video.cli import options

BASELINE = "supervised"


@click.command()
@click.option("--algo", "--algorithm", "algorithm", multiple=True, metavar="NAMES",
              help="names or path/to/file.py:name, with commas; 'all' for every built-in one")  # fmt: skip
@click.option("--protocol", multiple=True, metavar="NAMES", help="partition protocols, separated by commas")
@click.option("--seeds", type=click.IntRange(1), help="number of seeds; each also draws its own labels")
@click.option(
    "--suite", "suite_name", metavar="NAME|FILE", help="a benchmark from a YAML file  [demo for the demo]"
)
@click.option("--no-baseline", is_flag=True, help=f"do not add {BASELINE}")
@click.option(
    "--jobs", type=click.IntRange(1), help="runs at a time  [one per core on CPU, at most 4; one on GPU]"
)
@click.option("--dry-run", is_flag=True, help="list what would run and what it costs; needs no data")
@click.option("--measure", is_flag=True, help="with --dry-run: try a few steps of what has never run")
@options.results_option
@options.spec_options("algorithm", "protocol", "seed")
@options.set_option
@options.execution_options
def command(
    algorithm: tuple[str, ...],
    protocol: tuple[str, ...],
    seeds: int | None,
    suite_name: str | None,
    no_baseline: bool,
    jobs: int | None,
    dry_run: bool,
    measure: bool,
    results: Path,
    assignments: tuple[str, ...],
    **flags: Any,
) -> int:
    """Compare algorithms over partition protocols and seeds.

    Without --data it runs on the embedded demo clips. Finished runs are kept in the results folder and
    not repeated; Ctrl-C stops, and the same command goes on.
    """
    from ssl_video.benchmarks import suite as suites
    from ssl_video.cli.runs import Settings, carry_out
    from ssl_video.registry import algorithms as registry

    given = options.given(flags)
    on_demo = given.get("data", "demo") == "demo"
    suite = suites.load(suite_name or "demo") if suite_name or on_demo else suites.Suite(algorithms=["cmpl"])
    names = options.split_list(algorithm) or suite.algorithms
    if "all" in names:
        names = list(dict.fromkeys([*registry.builtin(), *names]))
        names.remove("all")
    if not no_baseline:
        names = [BASELINE, *(name for name in names if name != BASELINE)]
    suite = replace(
        suite,
        algorithms=names,
        protocols=options.split_list(protocol) or suite.protocols,
        seeds=seeds or suite.seeds,
        settings=suites.merge(suite.settings, given),
    )
    specs, settings = suite.specs(assignments), Settings.of(flags, results, jobs)
    if dry_run:
        from ssl_video.cli import dry_run as forecast

        return forecast.show(specs, settings, measure=measure)
    return carry_out(specs, settings, baseline=BASELINE)
