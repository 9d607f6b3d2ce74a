"""How accuracies and gains are written, in every form of a table."""

from ssl_video.benchmarks.statistics import Interval

EMPTY = "No finished runs yet; `ssl-video bench` makes some."
NO_RUN = "–"


def parts(interval: Interval, usual: int, sign: str = "") -> tuple[str, str, str]:
    """Percent with one decimal: mean, half width ("" for n = 1), and a mark where n is not the usual one."""
    mean, half_width, n = interval
    # Adding 0 turns the -0.0 that small losses round to into 0.0.
    text = f"{round(100 * mean, 1) + 0.0:{sign}.1f}"
    return text, f"{100 * half_width:.1f}" if n > 1 else "", f"(n={n})" if n == 1 or n != usual else ""


def written(interval: Interval, usual: int, sign: str = "", widths: tuple[int, int] = (0, 0)) -> str:
    """For example "52.0 ± 2.4" or "52.0 (n=1)", with mean and half width right-aligned in `widths`."""
    mean, half_width, mark = parts(interval, usual, sign)
    spread = f"± {half_width.rjust(widths[1])}" if half_width else ""
    return " ".join(part for part in (mean.rjust(widths[0]), spread, mark) if part)
