"""Format accuracies and gains, for every form of a table."""

import math

from ssl_video.benchmarks.tables.comparison import Cell
from ssl_video.benchmarks.tables.statistics import Interval, Paired

EMPTY = "No finished runs to show; `ssl-video bench` produces them."
NO_RUN = "–"
PUBLISHED = "published for {}, not measured here: top-1 % by fraction of labels"


def parts(interval: Interval, usual: int, sign: str = "") -> tuple[str, str, str]:
    """Format as percent with one decimal: mean, half width, and a mark for an unusual n.

    Without an interval, the half width is "" and n is marked.
    """
    mean, half_width, n = interval
    known = interval.known
    # Adding 0 turns the -0.0 of rounded small losses into 0.0.
    text = f"{round(100 * mean, 1) + 0.0:{sign}.1f}"
    return text, f"{100 * half_width:.1f}" if known else "", "" if known and n == usual else f"(n={n})"


def gain_parts(gain: Paired) -> tuple[str, str, str]:
    """Format a gain like `parts`; the mark is the number of pairs with a gain above 0."""
    n = gain.difference.n
    mean, half_width, mark = parts(gain.difference, n, "+")
    return mean, half_width, mark if n == 1 else f"({gain.wins}/{n})"


def written(interval: Interval, usual: int, sign: str = "", widths: tuple[int, int] = (0, 0)) -> str:
    """Format like "52.0 ± 2.4" or "52.0 (n=1)", with mean and half width right-aligned to `widths`."""
    return _joined(parts(interval, usual, sign), widths)


def written_gain(gain: Paired, widths: tuple[int, int] = (0, 0)) -> str:
    """Format a gain like "+5.0 ± 9.5 (2/3)", with the same alignment."""
    return _joined(gain_parts(gain), widths)


def _joined(texts: tuple[str, str, str], widths: tuple[int, int]) -> str:
    mean, half_width, mark = texts
    spread = f"± {half_width.rjust(widths[1])}" if half_width else ""
    return " ".join(part for part in (mean.rjust(widths[0]), spread, mark) if part)


def per_cost(cell: Cell) -> str:
    """Format the gain per multiple of the baseline's training cost, in percent points; "": unknown."""
    value = cell.gain_per_cost
    return "" if math.isnan(value) else f"{round(100 * value, 1) + 0.0:+.1f}"
