"""`ssl-video bench --dry-run`: what would run, what is done, what it costs. Imports torch."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ssl_video.benchmarks import forecast, prepare
from ssl_video.cli.display import duration, output, preparing
from ssl_video.cli.runs import Settings
from ssl_video.spec import Spec


def show(specs: Sequence[Spec], settings: Settings, *, measure: bool) -> int:
    """Print the forecast of a benchmark; the command's exit status."""
    console = output()
    resolved = prepare.resolve(specs, settings.device)
    with preparing(Console(stderr=True)) as progress:
        lines = forecast.forecast(
            resolved, settings.results, settings.device, measure=measure, progress=progress
        )
    console.print(_table(lines))
    for sentence in (*_data(resolved), _sum(lines, settings)):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    return 0


def _table(lines: Sequence[forecast.Line]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    for heading in ("algorithm", "networks", "protocols"):
        table.add_column(heading, overflow="fold", no_wrap=True)
    for heading in ("runs", "done", "videos", "a run"):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        time = "?" if line.seconds is None else duration(line.seconds)
        words = (line.algorithm, line.networks.replace(" ", "\n"), "\n".join(line.protocols))
        table.add_row(*map(Text, words), str(line.runs), str(line.finished), f"{line.clips:,}", time)
    return table


def _data(specs: Sequence[Spec]) -> list[str]:
    """A sentence for each data set that is not here."""
    wanted = dict.fromkeys(spec.data for spec in specs if spec.data != "demo")
    return [
        f"{data} is not here: a run needs it, this list does not"
        for data in wanted
        if not Path(data).exists()
    ]


def _sum(lines: Sequence[forecast.Line], settings: Settings) -> str:
    runs, finished = sum(line.runs for line in lines), sum(line.finished for line in lines)
    todo = [line for line in lines if line.finished < line.runs]
    text = f"{runs} runs, {finished} of them finished in {settings.results}"
    known = [line.left for line in todo if line.left is not None]
    if known:
        jobs = min(settings.jobs, runs - finished)
        text += f"; to do: about {duration(sum(known) / jobs)}, {jobs} at a time on {settings.device}"
    sources = {line.measured for line in todo if line.measured}
    if sources:
        text += f" ({', '.join(sorted(sources))})"
    if len(known) < len(todo):
        text += "; no time is known where there is a ?: --measure tries a few steps"
    return text
