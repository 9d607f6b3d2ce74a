"""Show the speed at which files are processed, and the remaining time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

import ssl_video as sv


class FilesPerSecond(sv.ConsoleObserver):
    """Shows progress and speed on standard error; shows nothing if that is not a terminal.

    Args:
        note: returns a text that is shown after the speed.
        unit: the name of the counted things, in the speed.
    """

    def __init__(self, note: Callable[[], str] = lambda: "", unit: str = " files") -> None:
        super().__init__(Console(stderr=True))
        self._note, self._unit = note, unit

    @contextmanager
    def preparing(self) -> Iterator[Callable[[str, int, int], None]]:
        """See `Observer`."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,}/{task.total:,}"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
        )
        hidden = not self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=hidden) as progress:
            tasks, began = dict[str, TaskID](), dict[str, float]()

            def show(text: str, done: int, total: int) -> None:
                if text not in tasks:
                    began[text] = time.monotonic()
                    tasks[text] = progress.add_task(text, total=total, speed="")
                speed = f"{done / max(time.monotonic() - began[text], 1e-9):.1f}{self._unit}/s"
                progress.update(
                    tasks[text], completed=done, total=total, speed=f"{speed}  {self._note()}".rstrip()
                )

            yield show
