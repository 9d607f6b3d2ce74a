"""`ssl-video analyze dynamics`: accuracy of finished runs on clips whose time is changed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.text import Text

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.show import output, plainly
from ssl_video.cli.text import Table

_LEGEND = (
    "original: top-1 % on the test clips; the others: the difference from it in points\n"
    "slowed, slowed4: the clip's middle at half and a quarter of its speed; frozen: its middle frame alone"
)


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...", type=click.Path(path_type=Path))
@options.results_option
@options.again_option
@options.device_option
@options.trust_option
@options.json_option
@options.data_options
def command(runs: tuple[Path, ...], results: Path, again: bool, as_json: bool, **flags: Any) -> int:
    """Test the networks of finished runs on clips slowed, frozen, reversed, shuffled.

    RUNs are the folders of runs; by default all finished runs of the results folder. Results are stored in
    each run's dynamics.json and not measured twice. Tables give means over the runs of one method,
    --json every run.
    """
    found = sv.analysis.dynamics(
        runs or None, results=results, again=again, **flags, progress=sv.ConsoleObserver()
    )
    if as_json:
        print(json.dumps({path.name: scores for path, scores in found.scores.items()}, indent=1))
    else:
        console = output()
        for title, networks in found.effects.items():
            console.print(_table(title, networks))
            console.print()
        console.print(_LEGEND, style="dim", highlight=False)
    if found.without:
        without = len(found.without)
        what = "1 run has" if without == 1 else f"{without} runs have"
        plainly(Console(stderr=True), f"{what} no test clips: left out")
    for problem in found.problems:
        plainly(Console(stderr=True), f"error: {problem}")
    return 1 if found.problems else 0


def _table(title: str, networks: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a table with one row per network: means over the runs, with their intervals."""
    first = next(iter(networks.values()))
    runs = next(iter(first.values())).n
    several = f", mean of {runs} runs ± 95 % t-interval" if runs > 1 else ""
    table = Table(
        title=Text(title + several), title_justify="left", title_style="",
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="", padding=(0, 2, 0, 0),
    )  # fmt: skip
    table.add_column("network")
    for change in first:
        table.add_column(change, justify="right", no_wrap=True)
    for network, changes in networks.items():
        cells = [_cell(found, "+" if number else "") for number, found in enumerate(changes.values())]
        table.add_row(network, *map(Text, cells))
    return table


def _cell(found: Any, sign: str) -> str:
    """Return a mean in percent, and under it the half width of its interval where there is one."""
    text = f"{100 * found.mean:{sign}.1f}"
    return f"{text}\n± {100 * found.half_width:.1f}" if found.known else text
