"""`ssl-video bench --dry-run`: what would run, what is done, what it costs. Imports torch."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ssl_video.benchmarks.running import forecast, prepare
from ssl_video.cli.display import counted, duration, output, preparing
from ssl_video.cli.runs import Settings
from ssl_video.data.dataset import source
from ssl_video.spec import Spec


def show(specs: Sequence[Spec], settings: Settings, *, measure: bool, hints: Sequence[str] = ()) -> int:
    """Print the forecast of a benchmark; the command's exit status.

    Args:
        specs: the runs.
        settings: how they would be carried out.
        measure: try a few steps of what has no finished run.
        hints: how data that is not here is made.
    """
    console = output()
    resolved = prepare.resolve(specs, settings.device)
    present = [source(spec).exists() for spec in resolved]
    with preparing(Console(stderr=True)) as progress:
        here = [spec for spec, is_here in zip(resolved, present, strict=True) if is_here]
        away = [spec for spec, is_here in zip(resolved, present, strict=True) if not is_here]
        prepare.check_methods(away, settings.execution)
        checked = prepare.check(here, settings.execution, progress, settings.skip_broken)
        known = iter(checked)
        names = [next(known).name if is_here else None for is_here in present]
        lines = forecast.forecast(
            resolved, names, settings.results, settings.device, measure=measure, progress=progress
        )
    console.print(_table(lines))
    absent = [data for data in dict.fromkeys(spec.data for spec in away) if data != "demo"]
    sentences = [f"{data} is not here: a run needs it, this list does not" for data in absent]
    sentences += [f"  {hint}" for hint in hints if absent]
    protocols = {line.protocols for line in lines}
    if len(protocols) == 1:
        sentences.insert(0, f"protocols: {', '.join(protocols.pop())}")
    for sentence in (*_data(checked), *sentences, *_budgets(resolved), _sum(lines, settings)):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    return 0


def _table(lines: Sequence[forecast.Line]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    # What all rows have in common is said once, below.
    several = {"data": len({line.data for line in lines}) > 1 or any(len(line.data) > 1 for line in lines)}
    several["protocols"] = len({line.protocols for line in lines}) > 1
    for heading in ("method", "networks", *(key for key, shown in several.items() if shown)):
        table.add_column(heading, overflow="fold", no_wrap=True)
    for heading in ("runs", "done", "steps", "videos", "a run"):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        time = "?" if line.seconds is None else duration(line.seconds)
        cells = {"data": [Path(name).stem for name in line.data], "protocols": line.protocols}
        shown = ("\n".join(cells[key]) for key in cells if several[key])
        words = (line.method.replace(" ", "\n  "), line.networks.replace(" ", "\n"), *shown)
        numbers = (str(line.runs), str(line.finished), f"{line.steps:,}", f"{line.clips:,}", time)
        table.add_row(*map(Text, words), *numbers)
    return table


def _data(checked: Sequence[prepare.Checked]) -> list[str]:
    """For each data set that is here its clips, and how many of them the protocols label."""
    sentences = list[str]()
    for found in checked:
        index, partition = found.index, found.partition
        clips = (len(index.rows(part)) for part in ("train", "test"))
        sentences.append("{}: {:,} training and {:,} test clips, {:,} classes".format(
            index.name, *clips, len(index.classes)
        ))  # fmt: skip
        labeled, unlabeled = len(partition.labeled), len(partition.unlabeled)
        sentences.append(f"  {found.spec.protocol}: {labeled:,} labeled, {unlabeled:,} unlabeled")
        sentences += [f"  {note}" for note in partition.notes]
    return list(dict.fromkeys(sentences))


def _budgets(specs: Sequence[Spec]) -> list[str]:
    """A sentence for each budget that methods share."""
    return [
        f"matched: {match} for all methods; --match {match} keeps that when there are others"
        for match in dict.fromkeys(spec.match for spec in specs)
        if match
    ]


def _sum(lines: Sequence[forecast.Line], settings: Settings) -> str:
    runs, finished = sum(line.runs for line in lines), sum(line.finished for line in lines)
    todo = [line for line in lines if line.finished < line.runs]
    text = f"{counted(runs, 'run')}, {finished} of them finished in {settings.results}"
    known = [line.left for line in todo if line.left is not None]
    if known:
        jobs = min(settings.jobs or runs, runs - finished)
        text += f"; to do: about {duration(sum(known) / jobs)}, {jobs} at a time on {settings.device}"
    sources = {line.measured for line in todo if line.measured}
    if sources:
        text += f" ({', '.join(sorted(sources))})"
    if len(known) < len(todo):
        text += "; no time is known where there is a ?: --measure tries a few steps"
    return text
