"""`ssl-video dynamics`: what the networks of finished runs lose where the time of test clips is changed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ssl_video.benchmarks.analysis import finished
from ssl_video.benchmarks.tables.statistics import interval
from ssl_video.cli import options
from ssl_video.cli.display import output, preparing
from ssl_video.engine import dynamics
from ssl_video.errors import InputError

if TYPE_CHECKING:
    from ssl_video.data.dataset import Data

_LEGEND = (
    "original: top-1 % on the test clips; the others: the difference to it in points\n"
    "slowed, slowed4: the clip's middle at half and a quarter of its speed; frozen: its middle frame alone"
)


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN]...", type=click.Path(path_type=Path))
@options.results_option
@click.option("--again", is_flag=True, help="test anew what was tested before")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, …")
@click.option("--json", "as_json", is_flag=True, help="print JSON instead of tables: every run by itself")
@options.data_options
def command(runs: tuple[Path, ...], results: Path, again: bool, as_json: bool, **flags: Any) -> int:
    """Test the networks of finished runs on clips slowed, frozen, reversed, shuffled.

    RUNs are runs' folders; by default all finished runs of the results folder. What is found is kept with
    each run, in dynamics.json, and not measured twice. Tables are over the runs of one method.
    """
    aside = Console(stderr=True)
    measure = _Measure(aside, again, **flags)
    found, problems = list[tuple[finished.Finished, dynamics.Scores]](), list[str]()
    for folder in runs or finished.in_folder(results):
        try:
            run = finished.read(folder)
            found.append((run, measure(run)))
        except InputError as error:
            problems += [p if folder.name in p else f"{folder.name}: {p}" for p in error.problems]
    if not found:
        raise InputError(*problems)
    if as_json:
        print(json.dumps({run.folder.name: scores for run, scores in found}, indent=1))
    else:
        _show(found)
    for problem in problems:
        aside.print(f"error: {problem}", markup=False, highlight=False, soft_wrap=True)
    return 1 if problems else 0


class _Measure:
    """What the runs' networks lose; data that several runs share is opened once."""

    def __init__(self, aside: Console, again: bool, device: str, skip_broken: bool, cache_gib: float) -> None:
        self.aside, self.again, self.device = aside, again, device
        self.skip_broken, self.cache_gib = skip_broken, cache_gib
        self._opened = dict[tuple[object, ...], "Data"]()

    def __call__(self, run: finished.Finished) -> dynamics.Scores:
        """From the run's folder, or else measured and kept there."""
        if not self.again and (run.folder / dynamics.DYNAMICS).exists():
            return dynamics.read(run.folder)
        from ssl_video.data.dataset import load
        from ssl_video.engine import checkpoint, trained
        from ssl_video.engine.assemble import choose_device
        from ssl_video.engine.run import environment

        device = choose_device(self.device)
        model = trained.load(run.folder / checkpoint.FINAL, device)
        spec = model.spec
        key = spec.data, spec.root, spec.split, spec.size, spec.frame_format
        with preparing(self.aside) as progress:
            if key not in self._opened:
                self._opened[key] = load(
                    spec, skip_broken=self.skip_broken, cache_gib=self.cache_gib, progress=progress
                )
            scores = trained.sensitivity(
                model,
                self._opened[key],
                lambda done, total: progress(f"testing {run.folder.name}", done, total),
            )
        for sentence in dynamics.differences(scores, run.result["predictors"]):
            self.aside.print(f"warning: {run.folder.name}: {sentence}", markup=False, soft_wrap=True)
        dynamics.write(run.folder, scores, environment(device))
        return scores


def _show(found: Sequence[tuple[finished.Finished, dynamics.Scores]]) -> None:
    """A table for each method, and what its numbers are."""
    console = output()
    scores = {run.folder: theirs for run, theirs in found}
    for title, runs in finished.grouped([run for run, _ in found]).items():
        console.print(_table(title, [scores[run.folder] for run in runs]))
        console.print()
    console.print(_LEGEND, style="dim", highlight=False)


def _table(title: str, runs: Sequence[dynamics.Scores]) -> Table:
    """One row a network: accuracies are means over the runs, and so are differences, with their intervals."""
    several = f", mean of {len(runs)} runs ± 95 % t-interval" if len(runs) > 1 else ""
    table = Table(
        title=Text(title + several), title_justify="left", title_style="",
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="", padding=(0, 2, 0, 0),
    )  # fmt: skip
    table.add_column("network")
    for change in dynamics.CHANGES:
        table.add_column(change, justify="right", no_wrap=True)
    for network in runs[0]:
        tops = {change: [scores[network][change]["top1"] for scores in runs] for change in dynamics.CHANGES}
        original = tops[dynamics.ORIGINAL]
        cells = [_cell(original)]
        for change, changed in tops.items():
            if change != dynamics.ORIGINAL:
                cells.append(_cell([a - b for a, b in zip(changed, original, strict=True)], "+"))
        table.add_row(Text(network), *cells)
    return table


def _cell(values: Sequence[float], sign: str = "") -> str:
    """A mean in percent, and under it the half width of its interval where there is one."""
    mean, half_width = interval(values)[:2]
    text = f"{100 * mean:{sign}.1f}"
    return f"{text}\n± {100 * half_width:.1f}" if half_width == half_width else text
