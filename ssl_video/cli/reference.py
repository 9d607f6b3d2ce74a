"""The reference table of the backbones, `backbones/reference.csv`; read without importing them or torch.

A row is a backbone at a clip size. The first of a name is its home: the clip that it was designed and trained
for. The tests measure all rows again, with 400 classes, and name those that are no longer right.
"""

import csv
import importlib.util
import textwrap
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from ssl_video.registry import backbones

__all__ = ["Row", "read", "show"]

# What is said of a backbone beside its text, and in how many characters.
_COLUMNS = {"clip": 9, "params": 6, "GFLOPs": 6, "K400 ": 5}
_MEANING = (
    "clip: frames x distance between them x pixels a side that it was made for; it takes others, too. "
    "params: millions of parameters, with 400 classes. GFLOPs: 10^9 multiply-adds for that clip. "
    "K400: published top-1 on Kinetics-400 in %, * after training on ImageNet. "
    "Views, sources and other clips: backbones/reference.csv."
)
_BESIDE = 110  # on narrower terminals the texts stand below the numbers


@dataclass(frozen=True)
class Row:
    """A backbone at a clip size. None stands for what is not published.

    Attributes:
        name: the backbone's.
        width: multiplier of its channels.
        frames: T, frames of a clip.
        stride: distance between them, in frames of a video of 30 a second.
        size: height and width in pixels.
        parameters: their number, with 400 classes.
        gflops: 10^9 multiply-adds for one clip: convolutions, linear layers and attention. What most papers
            and the meta data of torchvision give.
        gflops_with_norms: the same as fvcore counts it (2026): 2 more per input of a batch norm, 5 of a layer
            norm.
        gflops_published: what the source says; the model zoo of pytorchvideo has counts without norms, with
            2, and with 5 per input of a batch norm.
        top1: published accuracy on the validation clips of Kinetics-400, in %, at this clip size.
        top5: the same for the five likeliest classes.
        views: clips per video that its predictions were averaged over: crops x positions in time.
        pretrained: what the network of that accuracy was trained on before Kinetics, empty for nothing.
        source: of what is published, or "measured".
    """

    name: str
    width: float
    frames: int
    stride: int
    size: int
    parameters: int
    gflops: float
    gflops_with_norms: float
    gflops_published: float | None
    top1: float | None
    top5: float | None
    views: str
    pretrained: str
    source: str


def read() -> dict[str, list[Row]]:
    """The rows by backbone, its home first."""
    spec = importlib.util.find_spec("ssl_video.backbones")
    assert spec is not None
    assert spec.origin is not None
    rows = dict[str, list[Row]]()
    with Path(spec.origin).with_name("reference.csv").open(encoding="utf-8", newline="") as file:
        for cells in csv.DictReader(file):
            row = Row(
                name=cells["name"],
                width=float(cells["width"]),
                frames=int(cells["frames"]),
                stride=int(cells["stride"]),
                size=int(cells["size"]),
                parameters=int(cells["parameters"]),
                gflops=float(cells["gflops"]),
                gflops_with_norms=float(cells["gflops_with_norms"]),
                gflops_published=_number(cells["gflops_published"]),
                top1=_number(cells["top1"]),
                top5=_number(cells["top5"]),
                views=cells["views"],
                pretrained=cells["pretrained"],
                source=cells["source"],
            )
            rows.setdefault(row.name, []).append(row)
    return rows


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def show(console: Console) -> None:
    """The backbones with what they take, cost and reach, in lines no longer than the console's."""
    texts, known = backbones.describe(), read()
    longest = max(map(len, texts))
    heads = [f"{column:>{width}}" for column, width in _COLUMNS.items()]
    _print(console, "  ".join([f"{'backbones':{longest + 2}}", *heads]), style="bold")
    for name, text in texts.items():
        numbers = "  ".join([f"  {name:{longest}}", *_numbers(known.get(name, []))])
        for line in _with_text(numbers, text, console.width):
            _print(console, line)
    for line in ("", *textwrap.wrap(_MEANING, min(console.width, _BESIDE))):
        _print(console, line)


def _numbers(rows: list[Row]) -> list[str]:
    """The cells of a backbone; blanks for one that is not in the table."""
    cells = [""] * len(_COLUMNS)
    if rows:
        home = rows[0]
        cells = [
            f"{home.frames}x{home.stride}x{home.size}",
            f"{home.parameters / 1e6:.1f}",
            f"{home.gflops:.1f}",
            next((_top1(row.top1, row.pretrained) for row in rows if row.top1), ""),
        ]
    return [f"{cell:>{width}}" for cell, width in zip(cells, _COLUMNS.values(), strict=True)]


def _top1(percent: float, pretrained: str) -> str:
    # 78.85, which a binary fraction cannot hold, is 78.9.
    return f"{percent + 1e-9:.1f}" + ("*" if pretrained else " ")


def _with_text(numbers: str, text: str, width: int) -> list[str]:
    """A backbone's lines: its text beside its numbers, or below them where there is no room."""
    if width < _BESIDE:
        return [numbers, *textwrap.wrap(text, width, initial_indent=" " * 6, subsequent_indent=" " * 6)]
    lines = textwrap.wrap(text, width - len(numbers) - 2) or [""]
    return [f"{numbers}  {lines[0]}", *(" " * (len(numbers) + 2) + line for line in lines[1:])]


def _print(console: Console, line: str, style: str = "") -> None:
    console.print(line.rstrip(), style=style, markup=False, highlight=False, soft_wrap=True)
