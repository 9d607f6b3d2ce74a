"""Building blocks of charts: scales, ticks at round numbers, texts that fit, pieces of SVG.

Charts are WIDTH units wide and are scaled to their column: a unit is about a CSS pixel on a phone. Colours
are classes (`s0` to `s7`, see page.css), so that they follow the reader's dark mode and the printer's paper.
"""

import math
import textwrap
from collections.abc import Iterable, Sequence
from html import escape as _escape
from typing import NamedTuple

WIDTH = 440.0
FONT = 13.0
MARGIN = 12.0  # on the right of a plot
COLOURS = 8
_GLYPH = 0.63  # mean width of a character as a fraction of the font's size; rather too wide, to be safe
_TICKS = 6
_ENDS = 25  # an axis has about this many steps, and its ends are multiples of a step


def escape(text: object) -> str:
    """Escape text for HTML, also inside quoted attributes."""
    return _escape(str(text), quote=True)


def colour(place: int) -> str:
    """Return the CSS classes of a series by its place: a colour, and dashes once all colours are used."""
    return f"s{place % COLOURS} d{place // COLOURS % 3}"


def number(value: float) -> str:
    """Format a coordinate, with the digits that a screen can show."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if math.isfinite(value) else "0"


def plain(value: float) -> str:
    """Format a number for readers: "0.25", "30000", "1.2e+06", "none"."""
    if not math.isfinite(value):
        return "none"
    return f"{value + 0.0:.6g}".replace("-", "−")


def text_width(text: str, font: float = FONT) -> float:
    """Estimate the width of a text."""
    return len(text) * font * _GLYPH


def fitted(text: str, width: float, font: float = FONT) -> str:
    """Return the text, or its beginning and its end around "…" if it is wider than `width`."""
    room = max(int(width / (font * _GLYPH)), 3)
    if len(text) <= room:
        return text
    head = (room - 1 + 1) // 2
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"


def broken(text: str, width: float, most: int = 3) -> list[str]:
    """Break the text at spaces into at most `most` lines; a line that is still too wide is `fitted`."""
    room = max(int(width / (FONT * _GLYPH)), 3)
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    lines = [*lines[: most - 1], " ".join(lines[most - 1 :])] if len(lines) > most else lines
    return [fitted(line, width) for line in lines]


def room_for(labels: Sequence[str]) -> float:
    """Return the width for names of rows."""
    return min(max((text_width(label) for label in labels), default=0.0), WIDTH * 0.45)


class Scale(NamedTuple):
    """A mapping of values to coordinates.

    Attributes:
        low, high: values at the ends; low < high, and 0 < low on a logarithmic scale.
        start, end: their coordinates.
        log: logarithmic, so that equal factors are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log10(value), math.log10(low), math.log10(high)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def inside(self, value: float) -> float:
        """Return the coordinate of a value, or of the nearer end if it lies outside."""
        return self(min(max(value, self.low), self.high))

    def ticks(self, most: int = _TICKS) -> list[float]:
        """Return about `most` round values within the ends, ascending."""
        if self.log:
            return _log_ticks(self.low, self.high, most)
        step = _step(self.high - self.low, most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        # A product of floats such as 3 * 0.1 is 0.30000000000000004.
        return [float(f"{place * step:.12g}") for place in range(first, last + 1)]


def scale(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    log: bool = False,
    within: tuple[float, float] | None = None,
    limits: tuple[float, float] = (-math.inf, math.inf),
    include: Sequence[float] = (),
) -> Scale:
    """Return a scale whose ends are round numbers around all finite values.

    Args:
        values: the values to show; those that are not finite, or not positive on a logarithmic scale, are not
            drawn.
        start, end: coordinates of its ends.
        log: logarithmic.
        within: its ends, instead of round ones.
        limits: range of possible values, to which intervals are clipped.
        include: further values to show, such as 0.
    """
    if within:
        return Scale(*within, start, end, log)
    found = [v for v in (*values, *include) if math.isfinite(v) and (v > 0 or not log)]
    if not found:
        return Scale(1.0, 10.0, start, end, log) if log else Scale(0.0, 1.0, start, end)
    low, high = max(min(found), limits[0]), min(max(found), limits[1])
    if log:
        return Scale(_below(low * 0.9), _above(high * 1.1), start, end, log)
    if high - low < 1e-9:
        low, high = low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)
    step = _step(high - low, _ENDS)
    bottom, top = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return Scale(float(f"{bottom:.12g}"), float(f"{top:.12g}"), start, end)


def _step(span: float, most: int) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten of which at most `most` fit into a span."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(f * power for f in (1.0, 2.0, 5.0, 10.0) if span / (f * power) <= most + 1e-9)


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [float(f"{f}e{p}") for p in powers for f in factors]
        ticks = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(ticks) <= most:
            return ticks
    return ticks[:: math.ceil(len(ticks) / most)]


def _below(value: float) -> float:
    """Return the greatest of 1, 2 and 5 times a power of ten that is not above a value."""
    power = math.floor(math.log10(value))
    return max(float(f"{f}e{power}") for f in (1, 2, 5) if float(f"{f}e{power}") <= value * (1 + 1e-9))


def _above(value: float) -> float:
    power = math.floor(math.log10(value))
    return min(float(f"{f}e{power}") for f in (1, 2, 5, 10) if float(f"{f}e{power}") >= value * (1 - 1e-9))


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start", more: str = "") -> str:
    """Return a line of text; `anchor` is start, middle or end, `y` its base line."""
    classes = f' class="{kind}"' if kind else ""
    anchored = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{number(x)}" y="{number(y)}"{classes}{anchored}{more}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a straight line."""
    ends = zip(("x1", "y1", "x2", "y2"), (x1, y1, x2, y2), strict=True)
    return f'<line class="{kind}" ' + " ".join(f'{key}="{number(value)}"' for key, value in ends) + "/>"


def dot(x: float, y: float, kind: str, radius: float = 4.0) -> str:
    """Return a filled circle; with the class "accent" a diamond, which a grey print tells apart, too."""
    if "accent" in kind:
        half = number(radius + 1.5)
        path = f"M{number(x)} {number(y - radius - 1.5)}l{half} {half}l-{half} {half}l-{half} -{half}z"
        return f'<path class="dot {kind}" d="{path}"/>'
    return f'<circle class="dot {kind}" cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"/>'


def box(x: float, y: float, width: float, height: float, kind: str, more: str = "") -> str:
    """Return a rectangle."""
    sides = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    return f'<rect class="{kind}" {sides}{more}/>'


def hinted(hint: str, *parts: str) -> str:
    """Group parts under a tooltip."""
    return f"<g><title>{escape(hint)}</title>{''.join(parts)}</g>"


def figure(title: str, description: str, height: float, parts: Iterable[str], width: float = WIDTH) -> str:
    """Return a chart with its visible title and an alternative text."""
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {number(width)} {number(height)}" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{''.join(parts)}</svg></figure>"
    )


def legend(names: Sequence[str], width: float) -> tuple[list[str], float]:
    """Draw a legend with as many lines as needed, from the top of a chart, and return its height, too."""
    curves = [(f"curve {colour(place)}", name) for place, name in enumerate(names)]
    return _explained(curves, FONT, width, 26.0)


def key(marks: Sequence[tuple[str, str]], y: float, width: float = WIDTH) -> tuple[list[str], float]:
    """Explain marks below a chart, from height `y` on, and return the height that this takes, too.

    Args:
        marks: classes of a dot, or of a line if they begin with "zero", and its meaning.
        y: where the chart ends.
        width: that of the chart.
    """
    parts, bottom = _explained(marks, y + FONT, width, 14.0)
    return parts, max(bottom - y, 0.0) if marks else 0.0


def _explained(
    marks: Sequence[tuple[str, str]], y: float, width: float, wide: float
) -> tuple[list[str], float]:
    """Draw marks, `wide` units each, and their meanings; return where they end, 0 if there are none."""
    parts, x, height = list[str](), 0.0, FONT * 1.5
    for kind, meaning in marks:
        shown = fitted(meaning, width - wide - 10)
        if x > 0 and x + wide + 6 + text_width(shown) > width:
            x, y = 0.0, y + height
        is_line = kind.startswith(("curve", "zero"))
        mark = line(x, y - 4, x + wide, y - 4, kind) if is_line else dot(x + wide / 2, y - 4.5, kind)
        parts.append(hinted(meaning, mark, text(x + wide + 5, y, shown)))
        x += wide + 5 + text_width(shown) + 14
    return parts, (y + 8 if marks else 0.0)


def ground(horizontal: Scale, vertical: Scale, x_label: str, y_label: str) -> list[str]:
    """Draw the axes of a plot: grid lines, ticks and labels. The label of y is above the plot, upright."""
    parts = [text(0, vertical.end - 14, y_label, "label")] if y_label else []
    for tick in vertical.ticks():
        y = vertical(tick)
        parts.append(line(horizontal.start, y, horizontal.end, y, "grid"))
        parts.append(text(horizontal.start - 6, y + 4, plain(tick), "tick", "end"))
    return parts + below(horizontal, vertical.start, x_label)


def below(horizontal: Scale, y: float, label: str) -> list[str]:
    """Draw the horizontal axis: ticks and label."""
    parts = [line(horizontal.start, y, horizontal.end, y, "axis")]
    free, edge = -math.inf, horizontal.end + MARGIN
    for tick in horizontal.ticks():
        x, words = horizontal(tick), plain(tick)
        half = text_width(words) / 2
        parts.append(line(x, y, x, y + 4, "axis"))
        if x - half > free:
            parts.append(text(min(x, edge - half), y + 18, words, "tick", "middle"))
            free = x + half + 6
    middle = (horizontal.start + horizontal.end) / 2
    half = min(text_width(label) / 2, edge / 2)
    parts.append(text(min(max(middle, half), edge - half), y + 37, fitted(label, edge), "label", "middle"))
    return parts
