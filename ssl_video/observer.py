"""Observers, which receive the progress and the messages of experiments."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from ssl_video.display import Display, preparing

if TYPE_CHECKING:
    from ssl_video.benchmarks.running.executors import Event
    from ssl_video.benchmarks.tables.results import Results
    from ssl_video.data.progress import Progress
    from ssl_video.training.run import Plan

Show = Callable[["Event | None"], None]


class Observer:
    """Receives the reports of experiments and ignores them; subclasses show them."""

    @contextmanager
    def preparing(self) -> Iterator["Progress"]:
        """Yield a callback (text, done, total) for the preparation of data."""
        yield lambda *_: None

    @contextmanager
    def running(self, plans: Sequence["Plan"], methods: Mapping[str, str]) -> Iterator[Show]:
        """Yield a callback for the events of runs, called with None about twice a second.

        Args:
            plans: the runs that will be carried out.
            methods: a name for each configuration.
        """
        yield lambda _: None

    def say(self, sentence: str) -> None:
        """Report a fact, for example the number of clips of a data set."""

    def warn(self, sentence: str) -> None:
        """Report a problem that does not stop the experiment."""
        self.say(f"warning: {sentence}")

    def conclude(self, runs: "Results") -> None:
        """Report the finished runs of an experiment at its end."""


class ConsoleObserver(Observer):
    """Shows sentences and live progress in a console: bars in a terminal, lines elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)

    @contextmanager
    def preparing(self) -> Iterator["Progress"]:
        """See `Observer`."""
        with preparing(self.console) as progress:
            yield progress

    @contextmanager
    def running(self, plans: Sequence["Plan"], methods: Mapping[str, str]) -> Iterator[Show]:
        """See `Observer`."""
        with Display(self.console, plans, methods) as display:
            yield display.show

    def say(self, sentence: str) -> None:
        """See `Observer`."""
        self.console.print(sentence, markup=False, highlight=False, soft_wrap=True)


class FailureObserver(Observer):
    """Reports only failures, for a process that is not the first of a run: the first one reports the rest.

    Args:
        observer: gets a sentence for each.
        rank: the process's rank.
    """

    def __init__(self, observer: Observer, rank: int) -> None:
        self.observer, self.rank = observer, rank

    @contextmanager
    def running(self, plans: Sequence["Plan"], methods: Mapping[str, str]) -> Iterator[Show]:
        """See `Observer`."""

        def show(event: "Event | None") -> None:
            if event and event.kind == "failed":
                self.observer.say(f"process {self.rank} of the run failed: {event.reason}")

        yield show


def observer(progress: "bool | Observer | None") -> Observer:
    """Return the observer that a caller asks for.

    Args:
        progress: an observer; True: print to standard error; False: print nothing; None: print only in a
            terminal or a notebook.
    """
    if isinstance(progress, Observer):
        return progress
    console = Console(stderr=True)
    shown = console.is_terminal or console.is_jupyter if progress is None else progress
    return ConsoleObserver(console) if shown else Observer()
