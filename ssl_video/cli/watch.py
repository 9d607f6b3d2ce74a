"""`ssl-video watch`: runs under way, from their folders. Never imports torch, but for TensorBoard's files."""

import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console, Group
from rich.live import Live

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.text import Table, printable

_LAST = 20  # steps that the column "last" is a mean of
_FINISHED = 20  # finished runs shown beside those under way


@click.command()
@click.argument("place", type=click.Path(path_type=Path), default=Path(options.RESULTS))
@click.option(
    "--refresh", type=click.FloatRange(0.1), default=2.0, show_default=True, metavar="SECONDS",
    help="time between two looks at the folder",
)  # fmt: skip
@click.option("--once", is_flag=True, help="show the current state and exit")
@click.option(
    "--tensorboard", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
    help="also write the curves to this folder for TensorBoard (pip install tensorboard)",
)  # fmt: skip
def command(place: Path, refresh: float, once: bool, tensorboard: Path | None) -> None:
    """Follow a run, or all runs of a results folder, until they are finished; Ctrl-C leaves them running.

    PLACE is a run's folder or a results folder, possibly on a disk that another machine writes to. A run of
    another machine counts as stopped after two minutes without a record, one of this machine when its
    process ends.
    """
    found = sv.watch(place, tensorboard=tensorboard)
    console = Console()

    def picture() -> Group:
        for run in found:
            run.update()
        return Group(*([_one(found[0])] if len(found) == 1 else [_all(found)]))

    def over() -> bool:
        return once or all(run.result for run in found)

    if not console.is_terminal:
        console.print(picture())
        if over():
            return
        while not over():
            time.sleep(refresh)
            picture()
        console.print(picture())
        return
    with Live(picture(), console=console, auto_refresh=False) as live:
        while not over():
            time.sleep(refresh)
            live.update(picture(), refresh=True)


def _one(run: "sv.Watched") -> Group:
    """Return one run with its curves."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("", "first", f"last {_LAST}"):
        table.add_column(name, justify="left" if not name else "right")
    table.add_column("")
    for name, curve in run.curves.items():
        last = run.mean(name, _LAST)
        table.add_row(name, f"{curve[0][1]:.4g}", f"{last:.4g}", run.sparkline(name))
    return Group(printable(f"{run.folder.name}: {_where(run)}"), table)


def _all(found: "Sequence[sv.Watched]") -> Table:
    """Return a table of runs, one per line; finished ones with their accuracy."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("run", "state", "step", "loss", "top-1 %"):
        table.add_column(name, justify="left" if name in ("run", "state") else "right", no_wrap=True)
    finished = [run for run in found if run.result]
    hidden = finished[:-_FINISHED]
    for run in [*finished[-_FINISHED:], *(run for run in found if not run.result)]:
        table.add_row(
            run.folder.name,
            run.state,
            f"{run.step}/{run.steps or 'damaged spec.yaml'}",
            "" if run.loss is None else f"{run.loss:.3f}",
            "" if (top1 := _top1(run)) is None else f"{top1:.1f}",
        )
    if hidden:
        table.add_row(f"and {len(hidden)} that finished earlier")
    return table


def _top1(run: "sv.Watched") -> float | None:
    """Return the accuracy of a run in percent; None: it is not finished, or has no test clips."""
    top1 = run.result.top1 if run.result else None
    return None if top1 is None else 100 * top1


def _where(run: "sv.Watched") -> str:
    text = f"{run.state}, step {run.step} of {run.steps}"
    if run.damaged:
        text += f", damaged lines of its records left out: {run.damaged}"
    if run.result:
        top1 = _top1(run)
        return f"{text}, {'no test clips' if top1 is None else f'top-1 {top1:.1f} %'}"
    return text if run.age is None else f"{text}, last record {run.age:.0f} s ago"
