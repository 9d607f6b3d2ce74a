"""Follow runs by the files in their folders: under way, ended, or on another machine that shares the disk.

Imports torch only for TensorBoard.
"""

import json
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from ssl_video.errors import InputError
from ssl_video.runs import jsonl
from ssl_video.runs.folder import METRICS, SPEC, RunFolder, run_folders
from ssl_video.runs.lock import is_locked
from ssl_video.runs.result import Result

# A run on another machine that has written nothing for this long counts as stopped.
_QUIET_SECONDS = 120.0
_BARS = "▁▂▃▄▅▆▇█"


class Writer(Protocol):
    """The interface of TensorBoard's SummaryWriter."""

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Record one number."""


@dataclass
class Watched:
    """The records of a run so far; `refresh` reads new ones.

    Attributes:
        folder: the run's folder.
        steps: number of steps of the run; 0: its specification is damaged.
        step: number of steps done.
        curves: pairs of step and value, by metric.
        result: the finished run's result.
        age: seconds since the last record; None where there is none.
        damaged: lines of its records that cannot be read, and are left out.
    """

    folder: Path
    steps: int
    step: int = 0
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    result: Result | None = None
    age: float | None = None
    damaged: int = 0
    writer: Any = field(default=None, repr=False)  # TensorBoard's, for `update`
    _read: int = 0

    @property
    def state(self) -> str:
        """ "finished", "waiting" (nothing recorded yet), "running" or "stopped".

        A run of this machine is stopped once no process holds its folder. One of another machine counts as
        stopped after two minutes without a record.
        """
        if self.result:
            return "finished"
        here = is_locked(self.folder)
        if here is False:
            return "stopped"
        if self.age is None:
            return "waiting"
        return "running" if here or self.age < _QUIET_SECONDS else "stopped"

    @property
    def loss(self) -> float | None:
        """The sum of all losses, as a mean over the last 20 steps; None: nothing is recorded yet."""
        losses = [self.mean(name) for name in self.curves if name.startswith("loss/")]
        return sum(losses) if losses else None

    def mean(self, metric: str, last: int = 20) -> float:
        """Return the mean of the last values of a metric."""
        return mean(self.curves[metric][-last:])

    def sparkline(self, metric: str, width: int = 24) -> str:
        """Return the curve of a metric as one line of text."""
        return sparkline(self.curves[metric], width)

    def update(self) -> None:
        """Read the records that were written since the last call."""
        rows = self.refresh()
        if self.writer:
            to_tensorboard(rows, self.writer)
            self.writer.flush()
        for _ in rows:
            pass

    def refresh(self) -> Iterator[dict[str, Any]]:
        """Yield the new records row by row; the last row has the final accuracies."""
        path = self.folder / METRICS
        try:
            status = path.stat()
        except OSError:
            return
        if not stat.S_ISREG(status.st_mode):
            return  # a pipe would be waited for
        if status.st_size < self._read:
            # A resumed run has dropped the steps after its checkpoint.
            self._read, self.damaged, self.curves = 0, 0, {}
        self.age = time.time() - status.st_mtime
        try:
            file = path.open("rb")
        except OSError:
            return
        with file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # it is being written
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    if b"\0" in line:
                        break  # a network disk may show the length of a line before its content
                    row = None
                self._read += len(line)
                if not jsonl.is_record(row):
                    self.damaged += 1
                    continue
                self._add(row)
                yield row
        found = None if self.result else RunFolder(self.folder).finished()
        if found:
            self.result = found
            yield {"step": self.steps} | {
                f"test/{name}/{predictor}": value
                for predictor, scores in found.predictors.items()
                for name, value in scores.model_dump().items()
            }

    def _add(self, row: Mapping[str, Any]) -> None:
        self.step = row["step"] + 1
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float):
                self.curves.setdefault(name, []).append((row["step"], value))


def _steps(folder: RunFolder) -> int:
    """Return a run's steps; 0 if its specification is damaged, which must not hide the other runs."""
    try:
        return folder.spec.steps
    except InputError:
        result = folder.finished()
        return result.steps if result else 0


def watch(
    place: str | PathLike[str] = "ssl-video-results", *, tensorboard: str | PathLike[str] | None = None
) -> list[Watched]:
    """Return the runs of a results folder, or one run, with their records so far.

    `update` reads new records of runs under way, also of another machine that writes to this disk.

    Args:
        place: a results folder, or the folder of a run.
        tensorboard: a folder to write the curves to, for TensorBoard; None: none.

    Raises:
        InputError: there is no run, or TensorBoard is not installed.
    """
    found = runs(Path(place))
    for run in found:
        if tensorboard is not None:
            run.writer = _writer(Path(tensorboard) / run.folder.name)
        run.update()
    return found


def _writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("--tensorboard needs TensorBoard: pip install tensorboard") from None
    return SummaryWriter(str(folder))


def runs(place: Path) -> list[Watched]:
    """Return the runs of a results folder, or the run of a run's folder.

    Raises:
        InputError: there is no run, or the specification of the only one is damaged and it has no result.
    """
    folder = RunFolder(place)
    if folder.exists or folder.has_result:
        return [Watched(place, _steps(folder) or folder.spec.steps)]
    folders = list(run_folders(place))
    found = [Watched(folder.path, _steps(folder)) for folder in folders]
    if not found:
        raise InputError(
            f"no run in {place}: expected a run's folder (with {SPEC}) or a results folder (with runs/)"
        )
    return found


def sparkline(values: list[tuple[int, float]], width: int = 24) -> str:
    """Return a curve as one line of text: the means of `width` equal parts, scaled to their range."""
    if not values:
        return ""
    parts = min(width, len(values))
    cuts = [len(values) * part // parts for part in range(parts + 1)]
    means = [mean(values[a:b]) for a, b in pairwise(cuts)]
    low, span = min(means), max(means) - min(means)
    return "".join(_BARS[int((m - low) / span * (len(_BARS) - 1)) if span else 0] for m in means)


def mean(values: list[tuple[int, float]]) -> float:
    """Return the mean of a curve's values; the list must not be empty."""
    return sum(value for _, value in values) / len(values)


def to_tensorboard(rows: Iterator[dict[str, Any]], writer: Writer) -> None:
    """Write rows to TensorBoard."""
    for row in rows:
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float):
                writer.add_scalar(name, value, row["step"])
