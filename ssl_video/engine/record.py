"""One folder per run: specification, metrics as JSON lines, result. Tables are derived from these files."""

import contextlib
import json
import math
import os
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from ssl_video.files import replace_text

METRICS, RESULT, SPEC = "metrics.jsonl", "result.json", "spec.yaml"


class Recorder:
    """Per-step records, buffered on the device and written together.

    A resumed run goes on where its checkpoint was made: lines from later steps are dropped, so that the
    file ends up as if the run had never stopped. It holds nothing that depends on the clock.
    """

    def __init__(self, folder: Path, start: int) -> None:
        self.path = folder / METRICS
        self._pending: list[tuple[int, float, dict[str, Tensor]]] = []
        replace_text(self.path, "".join(_lines_before(start, self.path)))

    def step(self, step: int, learning_rate: float, values: dict[str, Tensor]) -> None:
        """Note one step's scalars."""
        self._pending.append((step, learning_rate, values))

    def flush(self) -> tuple[int, str] | None:
        """Write what is pending; the first step and name of a loss term that is not finite, if any.

        Terms are named "loss/<term>".
        """
        if not self._pending:
            return None
        # One transfer from the device for all pending steps.
        flat = torch.stack([v.detach().float() for _, _, values in self._pending for v in values.values()])
        numbers = iter(flat.tolist())
        lines, bad = [], None
        for step, learning_rate, values in self._pending:
            row = {name: next(numbers) for name in values}
            for name, value in row.items():
                if name.startswith("loss/") and not math.isfinite(value) and bad is None:
                    bad = step, name.removeprefix("loss/")
            finite = {name: round(v, 6) if math.isfinite(v) else None for name, v in row.items()}
            lines.append(
                json.dumps({"step": step, "learning_rate": round(learning_rate, 9), **finite}) + "\n"
            )
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        self._pending.clear()
        return bad


def _lines_before(start: int, path: Path) -> list[str]:
    """The lines of steps before `start`, without one that was cut off when its writer was killed."""
    if not path.exists():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        with contextlib.suppress(ValueError):
            if json.loads(line)["step"] < start:
                kept.append(line)
    return kept


def read_result(folder: Path) -> dict[str, Any] | None:
    """The result of a run, if it is finished."""
    try:
        result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """The result of a finished run; its existence is what makes a run finished."""
    replace_text(folder / RESULT, json.dumps(result, indent=1) + "\n")


def write_spec(folder: Path, spec: dict[str, Any]) -> None:
    """The resolved specification, in the form that `ssl-video train` reads."""
    replace_text(folder / SPEC, yaml.safe_dump(spec, sort_keys=False))
