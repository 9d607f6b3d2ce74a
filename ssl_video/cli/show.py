"""Show experiments: live progress on standard error, the table on standard output."""

import shlex
from pathlib import Path

from rich.console import Console

import ssl_video as sv
from ssl_video.cli.options import RESULTS
from ssl_video.cli.text import written_out

BASELINE = "supervised"
_PIPED = 160


class Show(sv.ConsoleObserver):
    """Progress, then the table of the finished runs, and the commands that come next.

    Args:
        next_steps: show these commands.
        single: the runs are one experiment, perhaps with its folds, and no comparison.

    Attributes:
        concluded: True once the table was printed.
    """

    def __init__(self, next_steps: bool = False, *, single: bool = False) -> None:
        super().__init__()
        self.next_steps, self.single, self.concluded = next_steps, single, False

    def conclude(self, runs: "sv.Results") -> None:
        """Print the table."""
        self.concluded, console = True, Console()
        if runs.frame["top1"].notna().any() and not (self.single and len(runs) > 1):
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
    if last.spec.folds > 1:
        plainly(
            console, f"next, the model whose accuracy these folds estimate:\n  {on_all_labels(_best(runs))}"
        )
        return
    lines = [
        "next:",
        "  ssl-video bench --algo all                              all that need no table of predictions",
        "  ssl-video bench --data FOLDER --protocol per-class:5    your own videos, in class folders",
        f"  ssl-video predict {shlex.quote(str(last.path))} VIDEO",
    ]
    if last.spec.data != "demo":
        del lines[1:3]
    plainly(console, "\n".join(lines))


def on_all_labels(run: "sv.RunFolder") -> str:
    """Return the command that trains the model whose accuracy a run of a fold estimates."""
    command = ["ssl-video", "train", str(run.spec_file), "--set", "draw=null"]
    if run.results != Path(RESULTS).absolute():
        command += ["--results", str(run.results)]
    return shlex.join(command)


def _best(runs: "sv.Results") -> "sv.RunFolder":
    """Return a run of the method with the highest mean accuracy."""
    means = runs.frame.groupby("configuration")["top1"].transform("mean")
    return runs.runs[int(means.to_numpy().argmax())]
