"""Every pseudo-label of a run, kept with it.

So what they are worth by class and over time, and which clips they got wrong, needs neither networks nor
data. While a run is under way they are lines of JSON, which a killed run cuts back to its checkpoint; a
finished run holds them as arrays, with the clips' names and hidden labels.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssl_video.contract import Pseudo
from ssl_video.engine import arrays
from ssl_video.engine.lines import Lines
from ssl_video.engine.processes import Processes
from ssl_video.errors import InputError

UNFINISHED, PSEUDO_LABELS = "pseudo-labels.jsonl", "pseudo-labels.npz"


@dataclass(frozen=True)
class PseudoLabels:
    """All pseudo-labels of a run: one entry for each time that a step saw an unlabeled clip.

    Attributes:
        clips: (U,) names of the unlabeled clips, as in the data set's index.
        classes: names of the classes, by number.
        truths: (U,) the clips' class numbers, which no algorithm sees.
        steps: (N,) the entry's step, from 0.
        positions: (N,) its clip, as a place in `clips`.
        labels: by the network that gave them, (N,) class numbers; -1: it gave none.
        weights: by network, (N,) in [0, 1]; 0: not used.
    """

    clips: np.ndarray
    classes: np.ndarray
    truths: np.ndarray
    steps: np.ndarray
    positions: np.ndarray
    labels: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]


class _Batch(NamedTuple):
    """A batch's clips, and by network its labels and weights, each (U,)."""

    step: int
    positions: Tensor
    given: dict[str, tuple[Tensor, Tensor]]


class Keeper:
    """Notes pseudo-labels while a run is under way, buffered on the device and written by the first process.

    Args:
        folder: the run's folder.
        start: the first step that will be noted; what it holds of later ones is dropped.
        processes: those that carry out the run; every one of them notes and flushes the same steps.
    """

    def __init__(self, folder: Path, start: int, processes: Processes) -> None:
        self.processes, self._lines = processes, Lines(folder / UNFINISHED, start, processes.main)
        self._pending: list[_Batch] = []

    def note(self, step: int, positions: Tensor, pseudo: Mapping[str, Pseudo]) -> None:
        """Note a batch's pseudo-labels; `positions` (U,) are the places of its clips."""
        if pseudo:
            given = {name: (label, weight.detach().float()) for name, (label, weight, _) in pseudo.items()}
            self._pending.append(_Batch(step, positions, given))

    def flush(self) -> None:
        """Write what is pending."""
        if self._pending:
            # Each process has clips of its own.
            shares = self.processes.gather(self._rows())
            self._lines.write(row for rows in zip(*shares, strict=True) for row in rows)
            self._pending.clear()

    def _rows(self) -> list[dict[str, Any]]:
        """What is pending as plain values, one row a batch."""
        places = _moved([batch.positions for batch in self._pending])
        rows: list[dict[str, Any]] = [
            {"step": batch.step, "positions": some, "networks": {}}
            for batch, some in zip(self._pending, places, strict=True)
        ]
        for name in dict.fromkeys(name for batch in self._pending for name in batch.given):
            theirs = [
                (row, b.given[name]) for row, b in zip(rows, self._pending, strict=True) if name in b.given
            ]
            labels, weights = (_moved([pair[kind] for _, pair in theirs]) for kind in (0, 1))
            for (row, _), label, weight in zip(theirs, labels, weights, strict=True):
                row["networks"][name] = {"labels": label, "weights": [round(w, 4) for w in weight]}
        return rows


def _moved(tensors: Sequence[Tensor]) -> list[list[Any]]:
    """Tensors (U,) as lists, moved from the device at once."""
    together = iter(torch.cat(list(tensors)).tolist())
    return [list(islice(together, len(tensor))) for tensor in tensors]


def write(folder: Path, clips: Sequence[str], classes: Sequence[str], truths: np.ndarray) -> dict[str, float]:
    """Write a trained run's pseudo-labels as arrays, if it has any; see `PseudoLabels` for the arguments.

    Returns:
        By network the share of its pseudo-labels that were used, in [0, 1].
    """
    path = folder / UNFINISHED
    rows = [json.loads(line) for line in path.open(encoding="utf-8")] if path.exists() else []
    if not rows:
        return {}
    used = dict[str, float]()
    content = {
        "clips": np.array(clips),
        "classes": np.array(classes),
        "truths": truths.astype(np.int32),
        "steps": np.repeat([row["step"] for row in rows], [len(r["positions"]) for r in rows]).astype(
            np.int32
        ),
        "positions": np.concatenate([row["positions"] for row in rows]).astype(np.int32),
    }
    for name in dict.fromkeys(name for row in rows for name in row["networks"]):
        labels, weights = zip(*(_given(row, name) for row in rows), strict=True)
        content[f"labels/{name}"] = np.concatenate(labels).astype(np.int32)
        content[f"weights/{name}"] = np.concatenate(weights).astype(np.float32)
        used[name] = round(float((content[f"weights/{name}"] > 0).mean()), 4)
    arrays.save(folder / PSEUDO_LABELS, content)
    return used


def _given(row: Mapping[str, Any], name: str) -> tuple[list[int], list[float]]:
    """A row's labels and weights by a network; where it gave none, none is used."""
    none = {"labels": [-1] * len(row["positions"]), "weights": [0.0] * len(row["positions"])}
    given = row["networks"].get(name, none)
    return given["labels"], given["weights"]


def read(folder: Path) -> PseudoLabels:
    """What a finished run's folder holds.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / PSEUDO_LABELS
    content = arrays.load(path, "its algorithm gives none, or it is not finished, or of an older version")
    try:
        return PseudoLabels(
            **{key: content[key] for key in ("clips", "classes", "truths", "steps", "positions")},
            labels=arrays.named(content, "labels"),
            weights=arrays.named(content, "weights"),
        )
    except KeyError as error:
        raise InputError(f"{path} is damaged: it has no {error}") from None
