"""Write the metrics of a running run, one line of JSON per step, and its validation accuracies."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ssl_video.runs.folder import METRICS, VALIDATION
from ssl_video.runs.jsonl import Records
from ssl_video.training.distributed import Processes
from ssl_video.training.trackers import Trackers


class Ratio(NamedTuple):
    """A value as a ratio of sums, so that it can be summed over parts of a batch and over processes.

    Attributes:
        above: a scalar on the device.
        below: a scalar on the device, or a number that is the same in every process.
    """

    above: Tensor
    below: Tensor | float = 1.0

    def plus(self, other: "Ratio") -> "Ratio":
        """Return the sum of the numerators over the sum of the denominators."""
        return Ratio(self.above + other.above, self.below + other.below)


class Recorder:
    """Per-step records, buffered on the device and written together by the first process.

    Records do not depend on the clock, so a resumed run writes the same ones as an uninterrupted run.

    Args:
        records: the run's records.
        processes: the run's processes; each of them records and flushes the same steps.
        trackers: trackers that get the records, too; None: none.
    """

    def __init__(self, records: Records, processes: Processes, trackers: Trackers | None = None) -> None:
        self.processes, self._records, self._trackers = processes, records, trackers
        self._pending: list[tuple[int, float, dict[str, Ratio]]] = []

    def step(self, step: int, learning_rate: float, values: dict[str, Ratio]) -> None:
        """Record one step's values."""
        self._pending.append((step, learning_rate, values))

    def flush(self) -> tuple[int, str] | None:
        """Write the pending steps and return step and name of the first non-finite loss term, if any.

        Values named "loss/<term>" are loss terms.
        """
        if not self._pending:
            return None
        numbers = iter(self._sums())
        rows, bad = [], None
        for step, learning_rate, values in self._pending:
            row = {name: _quotient(next(numbers), next(numbers)) for name in values}
            for name, value in row.items():
                if name.startswith("loss/") and not math.isfinite(value) and bad is None:
                    bad = step, name.removeprefix("loss/")
            finite = {name: round(v, 6) if math.isfinite(v) else None for name, v in row.items()}
            rows.append({"step": step, "learning_rate": round(learning_rate, 9), **finite})
        self._records.write(METRICS, rows)
        if self._trackers:
            self._trackers.metrics(rows)
        self._pending.clear()
        return bad

    def _sums(self) -> list[float]:
        """Return numerator and denominator of every pending value, summed over all processes."""
        ratios = [ratio for _, _, values in self._pending for ratio in values.values()]
        on_device = [part.detach().float() for ratio in ratios for part in ratio if isinstance(part, Tensor)]
        # One transfer from the device for all pending steps.
        moved = iter(torch.stack(on_device).tolist())
        parts = [next(moved) if isinstance(part, Tensor) else part for ratio in ratios for part in ratio]
        numbers: list[float] = self.processes.sum(torch.tensor(parts, dtype=torch.float64)).tolist()
        return numbers


class Validations:
    """Accuracies on the validation clips, one line per evaluation, with the last finished step.

    Args:
        records, trackers: see `Recorder`.
    """

    def __init__(self, records: Records, trackers: Trackers | None = None) -> None:
        self._records, self._trackers = records, trackers

    def write(self, step: int, scores: dict[str, dict[str, float | None]]) -> None:
        """Add a line."""
        row = {"step": step, **scores}
        self._records.write(VALIDATION, [row])
        if self._trackers:
            self._trackers.validation(row)


def _quotient(above: float, below: float) -> float:
    return above / below if below else math.nan
