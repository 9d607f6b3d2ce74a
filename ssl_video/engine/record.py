"""One folder per run: specification, metrics as JSON lines, result. Tables are derived from these files."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor

from ssl_video.engine.lines import Lines
from ssl_video.engine.processes import Processes
from ssl_video.files import read_object, replace_text

METRICS, RESULT, SPEC = "metrics.jsonl", "result.json", "spec.yaml"
VALIDATION = "validation.jsonl"


class Ratio(NamedTuple):
    """A value as a ratio of sums, so that it can be added up over parts of a batch and over processes.

    Attributes:
        above: a scalar on the device.
        below: a scalar likewise, or a number that is the same in every process.
    """

    above: Tensor
    below: Tensor | float = 1.0

    def plus(self, other: "Ratio") -> "Ratio":
        """Both numerators over both denominators."""
        return Ratio(self.above + other.above, self.below + other.below)


class Recorder:
    """Per-step records, buffered on the device and written together, by the first process.

    It holds nothing that depends on the clock, so a resumed run's is that of one that never stopped.

    Args:
        folder: the run's folder.
        start: the first step that will be noted.
        processes: those that carry out the run; every one of them notes and flushes the same steps.
    """

    def __init__(self, folder: Path, start: int, processes: Processes) -> None:
        self.processes, self._lines = processes, Lines(folder / METRICS, start, processes.main)
        self._pending: list[tuple[int, float, dict[str, Ratio]]] = []

    def step(self, step: int, learning_rate: float, values: dict[str, Ratio]) -> None:
        """Note one step's values."""
        self._pending.append((step, learning_rate, values))

    def flush(self) -> tuple[int, str] | None:
        """Write what is pending; the first step and name of a loss term that is not finite, if any.

        Terms are named "loss/<term>".
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
        self._lines.write(rows)
        self._pending.clear()
        return bad

    def _sums(self) -> list[float]:
        """Numerator and denominator of every pending value, over all processes."""
        ratios = [ratio for _, _, values in self._pending for ratio in values.values()]
        on_device = [part.detach().float() for ratio in ratios for part in ratio if isinstance(part, Tensor)]
        # One transfer from the device for all pending steps.
        moved = iter(torch.stack(on_device).tolist())
        parts = [next(moved) if isinstance(part, Tensor) else part for ratio in ratios for part in ratio]
        numbers: list[float] = self.processes.sum(torch.tensor(parts, dtype=torch.float64)).tolist()
        return numbers


class Validations:
    """Accuracies on the validation clips, one line a look, whose step is the last one done by then.

    Args:
        folder, start, processes: see `Recorder`.
    """

    def __init__(self, folder: Path, start: int, processes: Processes) -> None:
        self._lines = Lines(folder / VALIDATION, start, processes.main)

    def write(self, step: int, scores: dict[str, dict[str, float]]) -> None:
        """Add a line."""
        self._lines.write([{"step": step, **scores}])


def _quotient(above: float, below: float) -> float:
    return above / below if below else math.nan


def read_result(folder: Path) -> dict[str, Any] | None:
    """The result of a run, if it is finished."""
    return read_object(folder / RESULT)


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """The result of a finished run; its existence is what makes a run finished."""
    replace_text(folder / RESULT, json.dumps(result, indent=1) + "\n")


def write_spec(folder: Path, spec: dict[str, Any]) -> None:
    """The resolved specification, in the form that `ssl-video train` reads."""
    replace_text(folder / SPEC, yaml.safe_dump(spec, sort_keys=False))
