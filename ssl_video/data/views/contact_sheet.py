"""Contact sheets: clips as rows of frames, with facts beside them and frame numbers below."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_COLUMNS = 8  # frames side by side; longer clips continue on another line
_SIDE = 112  # target side of a shown frame, in pixels
_GAP, _MARGIN = 4, 16
_HEADING, _TEXT, _SMALL = 18, 14, 12  # font sizes
_LINE = 20
_PAPER, _INK, _FAINT = "#ffffff", "#1a1a1a", "#767676"


@dataclass(frozen=True)
class Strip:
    """One clip of a sheet.

    Attributes:
        title: its name.
        facts: further lines of text beside it.
        frames: uint8 (T, S, S, 3).
        numbers: the number below each frame, (T,).
    """

    title: str
    facts: tuple[str, ...]
    frames: np.ndarray
    numbers: Sequence[int]


def draw(heading: str, groups: Sequence[tuple[str, Sequence[Strip]]]) -> Image.Image:
    """Draw a sheet of groups of clips, each group under its title.

    Small frames are enlarged by an integer factor, so that every pixel can be seen; large ones are reduced.
    """
    strips = [strip for _, members in groups for strip in members]
    side = _shown(strips[0].frames.shape[1])
    text = max(_width(line) for strip in strips for line in (strip.title, *strip.facts)) + _MARGIN
    across = max(min(len(strip.frames), _COLUMNS) for strip in strips)
    width = max(2 * _MARGIN + text + across * (side + _GAP), 2 * _MARGIN + _width(heading, _HEADING))
    height = 2 * _MARGIN + 2 * _LINE + sum(2 * _LINE + sum(_height(s, side) for s in m) for _, m in groups)
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN), heading, _INK, _font(_HEADING))
    top = _MARGIN + 2 * _LINE
    for title, members in groups:
        pen.line((_MARGIN, top, width - _MARGIN, top), _FAINT)
        pen.text((_MARGIN, top + _GAP), title, _INK, _font(_HEADING))
        top += 2 * _LINE
        for strip in members:
            _draw_strip(sheet, strip, top, _MARGIN + text, side)
            top += _height(strip, side)
    return sheet


def _draw_strip(sheet: Image.Image, strip: Strip, top: int, left: int, side: int) -> None:
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, top), strip.title, _INK, _font(_TEXT))
    for number, line in enumerate(strip.facts, 1):
        pen.text((_MARGIN, top + number * _LINE), line, _FAINT, _font(_TEXT))
    for place, (frame, number) in enumerate(zip(strip.frames, strip.numbers, strict=True)):
        row, column = divmod(place, _COLUMNS)
        x, y = left + column * (side + _GAP), top + row * (side + _LINE)
        larger = side >= len(frame)
        picture = Image.fromarray(frame).resize(
            (side, side), Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
        )
        sheet.paste(picture, (x, y))
        pen.text((x + side / 2, y + side + 2), str(number), _FAINT, _font(_SMALL), anchor="ma")


def _shown(size: int) -> int:
    """Return the side at which frames of `size` pixels are shown."""
    return size * max(1, round(_SIDE / size)) if size < 1.5 * _SIDE else _SIDE


def _height(strip: Strip, side: int) -> int:
    """Return the height of a clip on the sheet, with the space below it."""
    lines = -(-len(strip.frames) // _COLUMNS)
    return max(lines * (side + _LINE), (1 + len(strip.facts)) * _LINE) + 2 * _GAP


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _width(text: str, size: int = _TEXT) -> int:
    return int(_font(size).getlength(text)) + 1
