"""A matrix of fractions as shades, in inline SVG."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_video.benchmarks.report import drawing
from ssl_video.benchmarks.report.drawing import FONT, WIDTH, fitted, number

_FEW = 12  # largest number of rows or columns for which values are written into the cells
_MANY = 40  # and for which they have names
_SHADES = 10


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

    Values that are not finite are grey.

    Args:
        title, description: see `charts.lines`.
        matrix: (R, C).
        rows, columns: names, R and C of them; left out if there are too many to read.
        row_label, column_label: titles of rows and columns.
    """
    named, few = max(matrix.shape) <= _MANY, max(matrix.shape) <= _FEW
    side = drawing.room_for(rows) * 0.8 if named else 0.0
    cell = min((WIDTH - side - 8) / matrix.shape[1], 34.0)
    left, font = side + 8, min(FONT, cell * 0.7)
    head = max(min(max(map(len, columns), default=0) * font * 0.6, 110.0), 12.0) if named else 0.0
    top = head + 30
    parts = [drawing.text(0, FONT, f"{row_label} ↓   {column_label} →", "label")]
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
    spoken = f"{row_label} by {column_label}, {matrix.shape[0]} by {matrix.shape[1]}"
    return drawing.figure(title, description or spoken, top + len(rows) * cell + 6, parts)


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
        opacity = f' style="opacity:{0.08 + 0.92 * min(value, 1.0):.2f}"' if known else ""
        shown = [drawing.box(x, y, cell - 1, cell - 1, "heat" if known else "absent", opacity)]
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
    size = number(cell - min(1.0, cell * 0.1))
    for shade in np.unique(level[level != 0]).tolist():
        places = np.argwhere(level == shade).tolist()
        path = "".join(
            f"M{number(left + column * cell)} {number(top + row * cell)}h{size}v{size}h-{size}z"
            for row, column in places
        )
        opacity = f' style="opacity:{0.08 + 0.92 * shade / _SHADES:.2f}"' if shade > 0 else ""
        parts.append(f'<path class="{"heat" if shade > 0 else "absent"}"{opacity} d="{path}"/>')
    return parts
