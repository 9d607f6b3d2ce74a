"""Live progress of runs: steps, speed and time left. Plain lines where there is no terminal."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

if TYPE_CHECKING:
    from ssl_video.benchmarks.running.executors import Event
    from ssl_video.data.progress import Progress as DataProgress
    from ssl_video.training.run import Plan, RunProgress

_PLAIN_SECONDS = 30.0
# Fraction of the time above which waiting for clips is shown.
_WAITED = 0.1


@contextmanager
def preparing(console: Console) -> Iterator["DataProgress"]:
    """Yield a callback (text, done, total) that shows the preparation of data."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed}/{task.total}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def show(text: str, done: int, total: int) -> None:
            if text not in tasks:
                tasks[text] = progress.add_task(text, total=total)
                if not console.is_terminal:
                    console.print(f"{text}: {total}", markup=False)
            progress.update(tasks[text], completed=done, total=total)

        yield show


class Display:
    """A live display of the events of runs.

    Args:
        console: the console to print to.
        plans: the runs that will be carried out.
        methods: a name for each configuration.
    """

    def __init__(self, console: Console, plans: Sequence["Plan"], methods: Mapping[str, str]) -> None:
        self.console = console
        self._waiting = {plan.name: plan for plan in plans}
        self._running: dict[str, _Running] = {}
        self._seconds: dict[str, list[float]] = {}  # seconds of finished runs, by configuration
        self._methods = methods
        self._several = len({plan.data.index.name for plan in plans}) > 1
        self._total, self._done, self._printed = len(plans), 0, time.monotonic()
        self._warnings = set[str]()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:>4}/{task.total}"),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._overall = self._progress.add_task("all runs", total=len(plans), note="")

    def __enter__(self) -> "Display":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._running.values():
            self._progress.remove_task(running.task)
        self._progress.stop()

    def show(self, event: "Event | None") -> None:
        """Show an event; for None, refresh the display."""
        if event:
            getattr(self, f"_{event.kind}", self._ended)(event)
        left = self._time_left()
        self._progress.update(self._overall, completed=self._done, note=left)
        if not self.console.is_terminal and time.monotonic() - self._printed > _PLAIN_SECONDS:
            self._printed = time.monotonic()
            steps = [f"{r.title} {r.done}/{r.total} {r.note}".rstrip() for r in self._running.values()]
            parts = [f"{self._done}/{self._total} runs", ", ".join(steps), left]
            self.console.print("; ".join(part for part in parts if part), markup=False, soft_wrap=True)

    def _started(self, event: "Event") -> None:
        plan = self._waiting.pop(event.plan.name, event.plan)
        title = self._title(plan)
        task = self._progress.add_task(title, total=plan.spec.steps, note="starting")
        self._running[plan.name] = _Running(title, task, plan.spec.steps, plan.configuration)

    def _moved(self, event: "Event") -> None:
        running = self._running[event.plan.name]
        assert event.report is not None
        running.move(event.report)
        self._progress.update(running.task, completed=running.done, total=running.total, note=running.note)

    def _warned(self, event: "Event") -> None:
        """Show a warning, which many runs may have, once."""
        if event.reason not in self._warnings:
            self._warnings.add(event.reason)
            text = f"{self._title(event.plan)}: {event.reason}"
            self.console.print(text, style="yellow", markup=False, soft_wrap=True)

    def _finished(self, event: "Event") -> None:
        assert event.result is not None
        self._done += 1
        running = self._leave(event.plan.name)
        if running:
            self._seconds.setdefault(running.configuration, []).append(time.monotonic() - running.began)
        top1, seconds = event.result.top1, event.result.seconds
        score = "without test clips" if top1 is None else f"top-1 {100 * top1:.1f}"
        text = f"finished {self._title(event.plan)}: {score} in {seconds:.0f} s"
        self.console.print(text, style="dim", markup=False, highlight=False)

    def _failed(self, event: "Event") -> None:
        self._done += 1
        self._leave(event.plan.name)
        self.console.print(
            f"failed {self._title(event.plan)}: {event.reason}", style="red", markup=False, soft_wrap=True
        )

    def _crashed(self, event: "Event") -> None:
        self._ended(event)
        self.console.print(
            f"{self._title(event.plan)} was {event.reason}; resuming once from its last checkpoint",
            style="yellow", markup=False, soft_wrap=True,
        )  # fmt: skip

    def _ended(self, event: "Event") -> None:
        """Put a run that was stopped, or that another process holds, back among the waiting ones."""
        self._leave(event.plan.name)
        self._waiting[event.plan.name] = event.plan

    def _leave(self, name: str) -> "_Running | None":
        self._waiting.pop(name, None)
        running = self._running.pop(name, None)
        if running:
            self._progress.remove_task(running.task)
        return running

    def _title(self, plan: "Plan") -> str:
        """Return a short title that distinguishes a run from the others."""
        spec = plan.spec
        words = [self._methods[plan.configuration], *([plan.data.index.name] if self._several else [])]
        words += [spec.protocol.rsplit("/", 1)[-1], *([] if spec.draw is None else [f"draw {spec.draw}"])]
        return "  ".join([*words, f"seed {spec.seed}"])

    def _time_left(self) -> str:
        """Estimate the time left from runs of the same configuration, or else from the slowest known one.

        Features that runs compute now come on top. Runs share them, so they delay all at the same time.
        """
        known = {name: sum(seconds) / len(seconds) for name, seconds in self._seconds.items()}
        for running in self._running.values():
            if running.fraction > 0.05:
                known.setdefault(running.configuration, running.elapsed / running.fraction)
        features = max((running.features_left for running in self._running.values()), default=0.0)
        if not known or not (self._waiting or self._running):
            return f"about {duration(features)} left for these features" if features else ""
        slowest = max(known.values())
        seconds = sum(known.get(plan.configuration, slowest) for plan in self._waiting.values())
        seconds += sum(known.get(r.configuration, slowest) * (1 - r.fraction) for r in self._running.values())
        # Assumes as many concurrent runs as there are now.
        seconds /= max(1, len(self._running))
        return f"about {duration(seconds + features)} left"


class _Running:
    """One run under way.

    Attributes:
        done, total: units of its phase: steps, or clips whose features are computed.
        fraction: the part of the run that is done, from its first step on.
        rate: clips that pass through its networks per second.
        began: when its first step began, or will begin if features are ready now.
    """

    def __init__(self, title: str, task: TaskID, total: int, configuration: str) -> None:
        self.title, self.task, self.total, self.configuration = title, task, total, configuration
        self.done, self.fraction, self.rate, self.began = 0, 0.0, 0.0, time.monotonic()
        self.waited, self._phase = 0.0, ""
        self._marks: list[tuple[float, int]] = []

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    @property
    def speed(self) -> str:
        """Clips per second, once there are two reports, and the part of the time that waits for them."""
        waited = f", {100 * self.waited:.0f} % waiting for them" if self.waited > _WAITED else ""
        return f"{self.rate:.0f} clips/s{waited}" if self.rate else ""

    @property
    def note(self) -> str:
        """Its phase and speed in words."""
        notes = {"features": "computing features", "test": f"{self.speed}  testing"}
        return notes.get(self._phase, self.speed)

    @property
    def features_left(self) -> float:
        """Seconds until the features that it computes now are ready; 0 if it computes none."""
        if self._phase != "features" or not self.rate:
            return 0.0
        return (self.total - self.done) / self.rate

    def move(self, report: "RunProgress") -> None:
        done, total, clips, phase = report.done, report.total, report.clips, report.phase
        if (phase, total) != (self._phase, self.total) or done < self.done:
            self._marks = []  # other units
        self.done, self.total, self._phase, self.waited = done, total, phase, report.waited
        now = time.monotonic()
        if phase == "features":
            # Their time is no part of the steps' time, and runs that find them do without it.
            self.began, clips = now, done
        # Testing is a small part of a run, so a fixed fraction of 0.1 is accurate enough for an estimate.
        started = {"features": 0.0, "train": done / total * 0.9}
        self.fraction = started.get(phase, 0.9 + 0.1 * done / total)
        self._marks = [*self._marks[-20:], (now, clips)]
        (first, before), (last, after) = self._marks[0], self._marks[-1]
        self.rate = (after - before) / (last - first) if last > first else 0.0


def duration(seconds: float) -> str:
    """Return a time with the precision of an estimate: "40 s", "12 min", "2.5 h", "3.1 days"."""
    for unit, length, digits in (("days", 86400, 1), ("h", 3600, 1), ("min", 60, 0)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.{digits}f} {unit}"
    return f"{seconds:.0f} s"
