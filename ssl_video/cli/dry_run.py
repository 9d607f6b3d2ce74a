"""`ssl-video bench --dry-run`: list the runs, the finished ones, and the cost of the others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.text import Text

import ssl_video as sv
from ssl_video.cli.show import output, plainly
from ssl_video.cli.text import Table


def show(experiment: Mapping[str, Any], *, measure: bool) -> int:
    """Print the forecast of a benchmark; return the command's exit status.

    Args:
        experiment: keywords of `ssl_video.bench`.
        measure: whether to try a few steps of each method without a finished run.
    """
    found = sv.forecast(**experiment, measure=measure, progress=sv.ConsoleObserver())
    console = output()
    console.print(_table(found))
    protocols = {line.protocols for line in found.lines}
    common = [f"protocols: {', '.join(protocols.pop())}"] if len(protocols) == 1 else []
    for sentence in (*found.data, *common, *found.notes, found.summary):
        plainly(console, sentence)
    return 0


def _table(found: "sv.Forecast") -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    lines = found.lines
    # Values that all rows have in common are printed once, below.
    several = {"data": len({line.data for line in lines}) > 1 or any(len(line.data) > 1 for line in lines)}
    several["protocols"] = len({line.protocols for line in lines}) > 1
    for heading in ("method", "networks", *(key for key, shown in several.items() if shown)):
        table.add_column(heading, overflow="fold", no_wrap=True)
    known = any(line.memory is not None for line in lines)
    for heading in ("runs", "done", "steps", "videos", "per run", *(["memory"] if known else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        cells = {"data": [Path(name).stem for name in line.data], "protocols": line.protocols}
        shown = ("\n".join(cells[key]) for key in cells if several[key])
        words = (line.method.replace(" ", "\n  "), line.networks.replace(" ", "\n"), *shown)
        numbers = (str(line.runs), str(line.finished), f"{line.steps:,}", f"{line.clips:,}", line.time)
        table.add_row(*map(Text, words), *numbers, *([line.space] if known else []))
    return table
