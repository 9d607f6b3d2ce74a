"""Print the table of the backbones, for `ssl-video list`."""

import textwrap
from collections.abc import Sequence

from rich.console import Console

import ssl_video as sv

# The columns beside a backbone's text, and their widths in characters.
_COLUMNS = {"clip": 9, "params": 6, "GFLOPs": 6, "K400 ": 5}
_MEANING = (
    "clip: frames x distance between them x side in pixels that it was designed for; it takes others, too. "
    "params: millions of parameters, with 400 classes. GFLOPs: 10^9 multiply-adds for that clip. "
    "K400: published top-1 on Kinetics-400 in %, * after training on ImageNet. "
    "Views, sources and other clips: backbones/reference.csv."
)
_BESIDE = 110  # on narrower terminals the texts stand below the numbers


def show(console: Console) -> None:
    """Print the backbones with their clips, costs and accuracies, in lines no longer than the console's."""
    texts, known = sv.list_backbones(), sv.backbone_table().rows
    longest = max(map(len, texts))
    heads = [f"{column:>{width}}" for column, width in _COLUMNS.items()]
    _print(console, "  ".join([f"{'backbones':{longest + 2}}", *heads]), style="bold")
    for name, text in texts.items():
        numbers = "  ".join([f"  {name:{longest}}", *_numbers(known.get(name, []))])
        for line in _with_text(numbers, text, console.width):
            _print(console, line)
    for line in ("", *textwrap.wrap(_MEANING, min(console.width, _BESIDE))):
        _print(console, line)


def _numbers(rows: "Sequence[sv.BackboneRow]") -> list[str]:
    """Return the cells of a backbone; blanks for one that is not in the table."""
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
    """Return a backbone's lines: its text beside its numbers, or below them where there is no room."""
    if width < _BESIDE:
        return [numbers, *textwrap.wrap(text, width, initial_indent=" " * 6, subsequent_indent=" " * 6)]
    lines = textwrap.wrap(text, width - len(numbers) - 2) or [""]
    return [f"{numbers}  {lines[0]}", *(" " * (len(numbers) + 2) + line for line in lines[1:])]


def _print(console: Console, line: str, style: str = "") -> None:
    console.print(line.rstrip(), style=style, markup=False, highlight=False, soft_wrap=True)
