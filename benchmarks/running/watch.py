"""Runs under way, from their folders: while they run, afterwards, and on another machine's disk.

Never imports torch.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import yaml

from ssl_video.engine.holder import held
from ssl_video.errors import InputError
from ssl_video.files import read_object

_SPEC, _METRICS, _RESULT = "spec.yaml", "metrics.jsonl", "result.json"
# A run on another machine that has written nothing for so long is taken for stopped.
_QUIET_SECONDS = 120.0
# What is shown of a result; without it, it is damaged, and its run as good as not finished.
_NEEDED = {"fingerprint", "predictors", "top1"}
_BARS = "▁▂▃▄▅▆▇█"


class Writer(Protocol):
    """What TensorBoard's SummaryWriter does."""

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Note one number."""


@dataclass
class Watched:
    """What a run has written so far; `refresh` reads on from there.

    Attributes:
        folder: the run's folder.
        steps: steps to do.
        step: steps done.
        curves: values by metric, with the steps that they are of.
        result: the finished run's result.
        age: seconds since the last record; None where there is none.
    """

    folder: Path
    steps: int
    step: int = 0
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    age: float | None = None
    _read: int = 0

    @property
    def state(self) -> str:
        """ "finished", "waiting" (nothing recorded yet), "running" or "stopped".

        A run of this machine is stopped once no process holds its folder; one of another machine after two
        minutes without a record.
        """
        if self.result:
            return "finished"
        here = held(self.folder)
        if here is False:
            return "stopped"
        if self.age is None:
            return "waiting"
        return "running" if here or self.age < _QUIET_SECONDS else "stopped"

    def refresh(self) -> Iterator[dict[str, Any]]:
        """Read what is new, and give it row by row; the last row has the final accuracies."""
        path = self.folder / _METRICS
        try:
            status = path.stat()
        except OSError:
            return
        if status.st_size < self._read:
            # A resumed run has dropped the steps after its checkpoint.
            self._read, self.curves = 0, {}
        self.age = time.time() - status.st_mtime
        with path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # it is being written
                try:
                    row = json.loads(line)
                except ValueError:
                    break  # a network disk may show the length of a line before its content
                self._read += len(line)
                self._add(row)
                yield row
        found = None if self.result else read_object(self.folder / _RESULT)
        if found and found.keys() >= _NEEDED:
            self.result = found
            yield {"step": self.steps} | {
                f"test/{name}/{predictor}": value
                for predictor, scores in found["predictors"].items()
                for name, value in scores.items()
            }

    def _add(self, row: Mapping[str, Any]) -> None:
        self.step = row["step"] + 1
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float):
                self.curves.setdefault(name, []).append((row["step"], value))


def runs(place: Path) -> list[Watched]:
    """The runs in a results folder, or the one whose folder it is.

    Raises:
        InputError: there is none.
    """
    folders = [place] if (place / _SPEC).is_file() else sorted((place / "runs").glob("*/"))
    found = [Watched(folder, _steps(folder)) for folder in folders if (folder / _SPEC).is_file()]
    if not found:
        raise InputError(
            f"no run in {place}: expected a run's folder (with {_SPEC}) or a results folder (with runs/)"
        )
    return found


def _steps(folder: Path) -> int:
    try:
        return int(yaml.safe_load((folder / _SPEC).read_text(encoding="utf-8"))["steps"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise InputError(f"{folder / _SPEC} is not a run's specification ({error})") from None


def sparkline(values: list[tuple[int, float]], width: int = 24) -> str:
    """A curve as one line of text: the means of `width` equal parts, from the lowest to the highest."""
    if not values:
        return ""
    parts = min(width, len(values))
    cuts = [len(values) * part // parts for part in range(parts + 1)]
    means = [mean(values[a:b]) for a, b in pairwise(cuts)]
    low, span = min(means), max(means) - min(means)
    return "".join(_BARS[int((m - low) / span * (len(_BARS) - 1)) if span else 0] for m in means)


def mean(values: list[tuple[int, float]]) -> float:
    """Mean of a curve's values; the list must not be empty."""
    return sum(value for _, value in values) / len(values)


def to_tensorboard(rows: Iterator[dict[str, Any]], writer: Writer) -> None:
    """Hand rows to TensorBoard."""
    for row in rows:
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float):
                writer.add_scalar(name, value, row["step"])
