"""Show experiments: live progress on standard error, the table on standard output."""

from rich.console import Console

import ssl_video as sv
from ssl_video.cli.text import written_out

BASELINE = "supervised"
_PIPED = 160


class Show(sv.ConsoleObserver):
    """Progress, then the table of the finished runs, and the commands that come next."""

    def __init__(self, next_steps: bool = False) -> None:
        super().__init__()
        self.next_steps = next_steps

    def conclude(self, runs: "sv.Results") -> None:
        """Print the table."""
        console = Console()
        if runs.frame["top1"].notna().any():
            console.print(runs.compare(BASELINE))
        for run, tested in zip(runs.runs, runs.frame["top1"].notna(), strict=True):
            for note in () if tested else run.result.notes:
                plainly(console, f"{run.name}: {note}")
        plainly(console, f"leaderboard: {runs.folder / 'leaderboard.csv'}")
        if self.next_steps and len(runs) and not runs.failures:
            _next_steps(console, runs)


def output() -> Console:
    """Return standard output; lines of a file or a pipe are not cut to the width of a screen."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, _PIPED))


def plainly(console: Console, text: str) -> None:
    """Print a text as it is: brackets are no markup, and lines are not wrapped; see `written_out`."""
    console.print(written_out(text, keep="\n\t"), markup=False, highlight=False, soft_wrap=True)


def _next_steps(console: Console, runs: "sv.Results") -> None:
    last = runs.runs[-1]
    lines = [
        "next:",
        "  ssl-video bench --algo all                              every algorithm",
        "  ssl-video bench --data FOLDER --protocol per-class:5    your own videos, in class folders",
        f"  ssl-video predict {last.path} VIDEO",
    ]
    if last.spec.data != "demo":
        del lines[1:3]
    plainly(console, "\n".join(lines))
