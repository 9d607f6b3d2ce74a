"""A matrix of fractions as shades, in inline SVG."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_video.figures import drawing
from ssl_video.figures.drawing import FONT, WIDTH, fitted, number

_FEW = 12  # largest number of rows or columns for which values are written into the cells
_MANY = 40  # and for which they have names
_SHADES = 10
_HEAD = 180.0  # largest room for the names of columns


def heatmap(
    title: str,
    matrix: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    row_label: str,
    column_label: str,
    *,
    description: str = "",
) -> str:
    """Draw a matrix (R, C) of fractions in [0, 1] as shades, with values in per cent if it is small.

    A stroke across a cell is a value that is not finite.

    Args:
        title, description: see `charts.lines`.
        matrix: (R, C).
        rows, columns: names, R and C of them; left out if there are too many to read.
        row_label, column_label: titles of rows and columns.
    """
    named, few = max(matrix.shape) <= _MANY, max(matrix.shape) <= _FEW
    side, cell, font = _sizes(rows, matrix.shape[1], named)
    left = side + 8
    head = max(min(_longest(columns, font), _HEAD), 12.0) if named else 0.0
    top = head + 30
    unit = "   in %" if few else ""
    parts = [drawing.text(0, FONT, f"{row_label} ↓   {column_label} →{unit}", "label")]
    parts += [] if few else _scale()
    if named:
        for place, name in enumerate(columns):
            x = left + (place + 0.5) * cell + font * 0.35
            turned = (
                f' transform="rotate(-90 {number(x)} {number(top - 6)})" style="font-size:{number(font)}px"'
            )
            parts.append(drawing.text(x, top - 6, fitted(name, head, font), "name", more=turned))
    for place, name in enumerate(rows):
        y = top + place * cell
        if named:
            style = f' style="font-size:{number(font)}px"'
            shown = fitted(name, side, font)
            parts.append(drawing.text(side, y + cell / 2 + font * 0.35, shown, "name", "end", style))
        if few:
            parts += _cells(matrix[place], name, columns, left, y, cell)
    if not few:
        parts += _shades(matrix, left, top, cell)
    # Around the cells, the gap behind the last one left out.
    sides = matrix.shape[1] * cell + 1, matrix.shape[0] * cell + 1
    parts.append(drawing.box(left - 1, top - 1, *sides, "frame"))
    spoken = f"{row_label} by {column_label}, {matrix.shape[0]} by {matrix.shape[1]}"
    return drawing.figure(title, description or spoken, top + len(rows) * cell + 6, parts)


def _sizes(rows: Sequence[str], columns: int, named: bool) -> tuple[float, float, float]:
    """Return the width for the names of rows, the side of a cell, and the size of names.

    Smaller names leave more room for the cells.
    """
    side, font = 0.0, FONT
    for _ in range(3 if named else 1):
        side = min(_longest(rows, font), WIDTH * 0.45) if named else 0.0
        cell = min((WIDTH - side - 9) / columns, 34.0)
        font = min(FONT, cell * 0.7)
    return side, cell, font


def _longest(names: Sequence[str], font: float) -> float:
    return max((drawing.text_width(name, font) for name in names), default=0.0)


def _cells(
    values: NDArray[np.float64], row: str, columns: Sequence[str], left: float, y: float, cell: float
) -> list[str]:
    """Draw one row of a matrix, with its values; cells with 0 are left empty."""
    parts = []
    for place, value in enumerate(values.tolist()):
        x, known = left + place * cell, math.isfinite(value)
        if known and value <= 0:
            continue
        hint = f"{100 * value:.0f} %" if known else "none"
        opacity = f' style="{_opacity(value)}"' if known else ""
        side = cell - 1
        shown = [drawing.box(x, y, side, side, "heat", opacity)] if known else [_stroke([(x, y)], side)]
        if known:
            kind = "onheat" if value > 0.5 else ""
            middle = x + (cell - 1) / 2, y + cell / 2 + 4
            shown.append(drawing.text(*middle, f"{100 * value:.0f}", kind, "middle"))
        parts.append(drawing.hinted(f"{row} → {columns[place]}: {hint}", *shown))
    return parts


def _shades(matrix: NDArray[np.float64], left: float, top: float, cell: float) -> list[str]:
    """Draw a large matrix: one path for each of _SHADES, because one element per cell slows browsers."""
    level = np.where(np.isfinite(matrix), np.ceil(np.clip(np.nan_to_num(matrix), 0, 1) * _SHADES), -1)
    parts = []
    side = cell - min(1.0, cell * 0.1)
    size = number(side)
    for shade in np.unique(level[level != 0]).tolist():
        places = np.argwhere(level == shade).tolist()
        corners = [(left + column * cell, top + row * cell) for row, column in places]
        if shade < 0:
            parts.append(_stroke(corners, side))
            continue
        path = "".join(f"M{number(x)} {number(y)}h{size}v{size}h-{size}z" for x, y in corners)
        parts.append(f'<path class="heat" style="{_opacity(shade / _SHADES)}" d="{path}"/>')
    return parts


def _stroke(corners: Sequence[tuple[float, float]], side: float) -> str:
    """Draw a stroke across each cell without a value, which a grey print tells from every shade."""
    length = number(side)
    path = "".join(f"M{number(x)} {number(y + side)}l{length} -{length}" for x, y in corners)
    return f'<path class="absent" d="{path}"/>'


def _scale() -> list[str]:
    """Draw the shades from 0 to 100 per cent, at the top on the right."""
    left, size = WIDTH - 10 * _SHADES - 48, 10.0
    parts = [drawing.text(left - 5, FONT, "0", "tick", "end")]
    for shade in range(1, _SHADES + 1):
        style = f' style="{_opacity(shade / _SHADES)}"'
        parts.append(drawing.box(left + size * (shade - 1), 3, size, size, "heat", style))
    parts.append(drawing.box(left, 3, size * _SHADES, size, "frame"))
    return [*parts, drawing.text(left + size * _SHADES + 5, FONT, "100 %", "tick")]


def _opacity(value: float) -> str:
    return f"opacity:{0.08 + 0.92 * min(value, 1.0):.2f}"
