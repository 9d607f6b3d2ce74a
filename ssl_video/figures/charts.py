"""Charts as inline SVG: pure functions from numbers to text, which need only a browser.

Values that are not finite are not drawn. All texts are escaped here; callers pass them unescaped.
"""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from ssl_video.figures import drawing
from ssl_video.figures.drawing import (
    MARGIN,
    WIDTH,
    Scale,
    colour,
    fitted,
    number,
    plain,
    text_width,
)

NO_LIMITS = -math.inf, math.inf
UNKNOWN = "quiet hollow", "no interval: one run, or equal ones"  # a mark and its meaning
_ROW = 22.0
_LINE = 15.0  # height of each further line of a name


class Series(NamedTuple):
    """A curve.

    Attributes:
        name: for the legend.
        x, y: its points; the curve has a gap at values of y that are not finite.
        low, high: a band around it, as long as x, or empty.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


class Estimate(NamedTuple):
    """A value with its interval: value ± half_width, which is nan if it is not known.

    Attributes:
        label: name of the row.
        note: tooltip.
        accent: highlight the row.
    """

    label: str
    value: float
    half_width: float = math.nan
    note: str = ""
    accent: bool = False


class Bar(NamedTuple):
    """A signed value; `note` as in `Estimate`."""

    label: str
    value: float
    note: str = ""


def lines(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    description: str = "",
    y_range: tuple[float, float] | None = None,
    height: float = 200.0,
    width: float = WIDTH,
) -> str:
    """Draw curves over a common x, with a legend above and, if given, bands.

    Args:
        title: the chart's title.
        series: in the order of the legend and of the colours.
        x_label, y_label: the axes', with units.
        description: alternative text for readers who do not see it; by default its names and ends.
        y_range: ends of the vertical axis, instead of round numbers around the values.
        height: height of the plot alone.
        width: width of the chart, for example of a narrower column.
    """
    parts, top = drawing.legend([s.name for s in series] if len(series) > 1 else [], width)
    top += 28
    ys = [v for s in series for v in (*s.y, *s.low, *s.high)]
    vertical = drawing.scale(ys, top + height, top, within=y_range)
    left = 10 + max(text_width(plain(tick)) for tick in vertical.ticks())
    xs = [v for s in series for v in s.x if math.isfinite(v)] or [0.0, 1.0]
    horizontal = Scale(min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1, left, width - MARGIN)
    parts += drawing.ground(horizontal, vertical, x_label, y_label)
    for place, one in enumerate(series):
        if one.low and one.high:
            parts.append(_band(one, horizontal, vertical, place))
    for place, one in enumerate(series):
        parts.append(drawing.hinted(one.name, *_curve(one, horizontal, vertical, place)))
    ends = "; ".join(f"{s.name}: {_end(s)}" for s in series)
    return drawing.figure(
        title, description or f"{y_label} over {x_label}. At the end: {ends}", top + height + 44, parts, width
    )


def _end(series: Series) -> str:
    finite = [value for value in series.y if math.isfinite(value)]
    return plain(float(f"{finite[-1]:.3g}")) if finite else "no value"


def _curve(series: Series, horizontal: Scale, vertical: Scale, place: int) -> list[str]:
    """Return a path for each stretch of finite values, and a dot for a stretch of one."""
    parts = []
    points = list(zip(series.x, series.y, strict=True))
    for finite, stretch in groupby(points, key=lambda point: math.isfinite(point[1])):
        if not finite:
            continue
        places = [(horizontal(x), vertical.inside(y)) for x, y in stretch]
        if len(places) == 1:
            parts.append(drawing.dot(*places[0], colour(place), 2.5))
            continue
        path = "L".join(f"{number(x)} {number(y)}" for x, y in places)
        parts.append(f'<path class="curve {colour(place)}" d="M{path}"/>')
    return parts


def _band(series: Series, horizontal: Scale, vertical: Scale, place: int) -> str:
    kept = [
        (horizontal(x), vertical.inside(low), vertical.inside(high))
        for x, low, high in zip(series.x, series.low, series.high, strict=True)
        if math.isfinite(low) and math.isfinite(high)
    ]
    around = [(x, high) for x, _, high in kept] + [(x, low) for x, low, _ in reversed(kept)]
    path = "L".join(f"{number(x)} {number(y)}" for x, y in around)
    return f'<path class="band {colour(place)}" d="M{path}Z"/>' if around else ""


def intervals(
    title: str,
    rows: Sequence[Estimate],
    x_label: str,
    *,
    description: str = "",
    zero: bool = False,
    limits: tuple[float, float] = NO_LIMITS,
    accent: str = "",
) -> str:
    """Draw a dot with its interval for each row (a forest plot); a hollow dot has no interval.

    Args:
        title, description: see `lines`.
        rows: from top to bottom.
        x_label: the axis's, with its unit.
        zero: include and mark 0 on the axis.
        limits: range of possible values, to which intervals are clipped.
        accent: meaning of a highlighted row.
    """
    room = drawing.room_for([row.label for row in rows])
    ends = [v for r in rows for v in (r.value, r.value - r.half_width, r.value + r.half_width)]
    horizontal = drawing.scale(ends, room + 12, WIDTH - MARGIN, include=(0.0,) if zero else (), limits=limits)
    names = [drawing.broken(row.label, room) for row in rows]
    height = _ROW + _LINE * (max(map(len, names), default=1) - 1)
    bottom = len(rows) * height + 6
    parts = [drawing.line(horizontal(t), 0, horizontal(t), bottom, "grid") for t in horizontal.ticks()]
    if zero:
        parts.append(drawing.line(horizontal(0), 0, horizontal(0), bottom, "zero"))
    for place, (row, lines) in enumerate(zip(rows, names, strict=True)):
        y = (place + 0.5) * height + 3
        first = y + 4 - _LINE * (len(lines) - 1) / 2
        name = [drawing.text(room, first + n * _LINE, line, "name", "end") for n, line in enumerate(lines)]
        parts.append(_interval(row, name, horizontal, y))
    parts += drawing.below(horizontal, bottom, x_label)
    drawn = [row for row in rows if math.isfinite(row.value)]
    marks = [("accent", accent)] if accent and any(row.accent for row in drawn) else []
    marks += [UNKNOWN] if any(not math.isfinite(row.half_width) for row in drawn) else []
    explained, deep = drawing.key(marks, bottom + 44)
    spoken = "; ".join(f"{r.label}: {r.note or plain(round(r.value, 2))}" for r in rows)
    return drawing.figure(
        title, description or f"{x_label}. {spoken}", bottom + 44 + deep, [*parts, *explained]
    )


def _interval(row: Estimate, name: Sequence[str], horizontal: Scale, y: float) -> str:
    """Draw a row at height `y`, beside its drawn name."""
    kind, parts = "accent" if row.accent else "quiet", [*name]
    if math.isfinite(row.value):
        x, known = horizontal(row.value), math.isfinite(row.half_width)
        if known:
            ends = [horizontal.inside(row.value + side * row.half_width) for side in (-1, 1)]
            parts.append(drawing.line(ends[0], y, ends[1], y, f"whisker {kind}"))
        parts.append(drawing.dot(x, y, kind if known else f"{kind} hollow"))
    return drawing.hinted(f"{row.label}: {row.note or plain(round(row.value, 2))}", *parts)


def bars(title: str, rows: Sequence[Bar], x_label: str, *, description: str = "") -> str:
    """Draw a horizontal bar for each row, to the right or left of 0, with its value at its end.

    Args:
        title, description: see `lines`.
        rows: from top to bottom.
        x_label: the axis's, with its unit.
    """
    room = drawing.room_for([row.label for row in rows])
    values = [row.value for row in rows]
    # Room for the numbers at the ends of the longest bars.
    left = room + (54 if any(value < 0 for value in values) else 12)
    horizontal = drawing.scale(values, left, WIDTH - 54 - MARGIN, include=(0.0,))
    bottom = len(rows) * _ROW + 6
    parts = [drawing.line(horizontal(t), 0, horizontal(t), bottom, "grid") for t in horizontal.ticks()]
    for place, row in enumerate(rows):
        y = place * _ROW + 3
        shown = [drawing.text(room, y + 15, fitted(row.label, room), "name", "end")]
        if math.isfinite(row.value):
            x, zero = horizontal(row.value), horizontal(0)
            up = row.value >= 0
            shown.append(
                drawing.box(min(x, zero), y + 4, max(abs(x - zero), 0.5), _ROW - 8, "up" if up else "down")
            )
            words = f"{row.value + 0.0:+.1f}".replace("-", "−")
            shown.append(
                drawing.text(x + (5 if up else -5), y + 15, words, "small", "start" if up else "end")
            )
        parts.append(drawing.hinted(f"{row.label}: {row.note or plain(row.value)}", *shown))
    parts.append(drawing.line(horizontal(0), 0, horizontal(0), bottom, "zero"))
    parts += drawing.below(horizontal, bottom, x_label)
    spoken = "; ".join(f"{row.label}: {plain(round(row.value, 2))}" for row in rows)
    return drawing.figure(title, description or f"{x_label}. {spoken}", bottom + 44, parts)
