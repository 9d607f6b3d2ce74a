"""A scatter plot whose points have names, if there is room for them."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ssl_video.figures import drawing
from ssl_video.figures.charts import NO_LIMITS, UNKNOWN
from ssl_video.figures.drawing import FONT, MARGIN, WIDTH, fitted, plain, text_width

_Box = tuple[float, float, float, float]
# Positions of a point's name, the best first: to the right, to the left, above, below, between them.
_AROUND = ((1, 0), (-1, 0), (0, -1), (0, 1), (0.7, -0.7), (0.7, 0.7), (-0.7, -0.7), (-0.7, 0.7))


class Point(NamedTuple):
    """A point.

    Attributes:
        label: its name.
        x, y: its position.
        half_width: that of its vertical interval, nan if it is not known.
        note: tooltip.
    """

    label: str
    x: float
    y: float
    half_width: float = math.nan
    note: str = ""


def scatter(
    title: str,
    points: Sequence[Point],
    x_label: str,
    y_label: str,
    *,
    description: str = "",
    log_x: bool = False,
    levels: Mapping[str, float] | None = None,
    limits: tuple[float, float] = NO_LIMITS,
    height: float = 260.0,
) -> str:
    """Draw points with vertical intervals, each with its name beside it if there is room.

    Args:
        title, x_label, y_label, description, height: see `charts.lines`.
        points: in the order in which names get the free places.
        log_x: logarithmic horizontal axis, which leaves out points that are not above 0.
        levels: heights of horizontal lines by their names, such as a baseline's accuracy.
        limits: see `charts.intervals`.
    """
    points = [p for p in points if math.isfinite(p.x) and math.isfinite(p.y) and (p.x > 0 or not log_x)]
    top = 28.0
    ends = [v for p in points for v in (p.y, p.y - p.half_width, p.y + p.half_width)]
    vertical = drawing.scale(ends, top + height, top, limits=limits)
    left = 10 + max(text_width(plain(tick)) for tick in vertical.ticks())
    horizontal = drawing.scale([p.x for p in points], left, WIDTH - MARGIN, log=log_x)
    parts = drawing.ground(horizontal, vertical, x_label, y_label)
    for name, level in (levels or {}).items():
        across = drawing.line(left, vertical(level), WIDTH - MARGIN, vertical(level), "zero d2")
        parts.append(drawing.hinted(f"{name}: {plain(round(level, 2))}", across))
    places = [(horizontal(p.x), vertical(p.y)) for p in points]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in places]
    taken += [(left, vertical(y) - 1, WIDTH - MARGIN, vertical(y) + 1) for y in (levels or {}).values()]
    names, nameless = list[str](), list[Point]()
    for point, (x, y) in zip(points, places, strict=True):
        shown = [drawing.dot(x, y, "quiet" if math.isfinite(point.half_width) else "quiet hollow")]
        if math.isfinite(point.half_width):
            high, low = (vertical.inside(point.y + side * point.half_width) for side in (1, -1))
            shown.insert(0, drawing.line(x, high, x, low, "whisker quiet faint"))
        parts.append(drawing.hinted(f"{point.label}: {point.note}", *shown))
        placed = _placed(point.label, x, y, taken, (left, top, WIDTH, top + height))
        names += placed
        nameless += [] if placed else [point]
    parts += names  # above all intervals
    explained, deep = _explained(points, nameless, list(levels or {}), top + height + 44)
    spoken = "; ".join(f"{p.label}: {plain(round(p.x, 3))}, {plain(round(p.y, 2))}" for p in points)
    return drawing.figure(
        title,
        description or f"{y_label} over {x_label}. {spoken}",
        top + height + 44 + deep,
        [*parts, *explained],
    )


def _explained(
    points: Sequence[Point], nameless: Sequence[Point], levels: Sequence[str], y: float
) -> tuple[list[str], float]:
    """Explain lines and hollow dots from height `y` on, list the points without a name; add the height."""
    marks = [("zero d2", ", ".join(levels))] if levels else []
    marks += [UNKNOWN] if any(not math.isfinite(point.half_width) for point in points) else []
    parts, deep = drawing.key(marks, y)
    if nameless:
        order = sorted(nameless, key=lambda point: (point.x, -point.y))
        sentence = f"no room for names, from left to right: {', '.join(point.label for point in order)}"
        for line in drawing.broken(sentence, WIDTH, most=12):
            parts.append(drawing.text(0, y + deep + FONT, line))
            deep += FONT * 1.3
    return parts, deep + (4 if nameless else 0)


def _placed(label: str, x: float, y: float, taken: list[_Box], area: _Box) -> list[str]:
    """Draw a point's name if it fits in the plot without covering points or names; otherwise nothing.

    The name is next to the point or, at the end of a thin line, further away.
    """
    shown = fitted(label, 150)
    wide, size = text_width(shown, FONT - 1), FONT - 1
    for away in (8.0, 22.0, 38.0, 56.0):
        for across, down in _AROUND:
            left = x + across * away - wide * (1 - across) / 2
            base = y + down * away + size * (0.35 + 0.35 * down)
            own = left, base - size * 0.85, left + wide, base + size * 0.25
            inside = own[0] >= area[0] and own[1] >= area[1] and own[2] <= area[2] and own[3] <= area[3]
            leader = _leader(x + across * 9, y + down * 9, x + across * away, y + down * away)
            if inside and not any(_overlap(one, other) for one in (own, *leader) for other in taken):
                taken += [own, *leader]
                name = drawing.text(left, base, shown, "small")
                end = x + across * (away - 2), y + down * (away - 2)
                return [drawing.line(x, y, *end, "leader"), name] if leader else [name]
    return []


def _leader(x1: float, y1: float, x2: float, y2: float) -> list[_Box]:
    """Return the small boxes that a line covers; none if the name is right beside its point."""
    steps = int(math.dist((x1, y1), (x2, y2)) / 4)
    along = [(x1 + (x2 - x1) * n / steps, y1 + (y2 - y1) * n / steps) for n in range(steps)]
    return [(x - 1, y - 1, x + 1, y + 1) for x, y in along]


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
