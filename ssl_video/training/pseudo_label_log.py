"""Log the pseudo-labels of a running run, and compare them with labels that the algorithm never sees."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ssl_video.contract import Pseudo
from ssl_video.runs.jsonl import Records
from ssl_video.runs.pseudo_labels import UNFINISHED
from ssl_video.training.distributed import Processes
from ssl_video.training.recorder import Ratio


class _Batch(NamedTuple):
    """A batch's clips, and by network its labels and weights, each (U,)."""

    step: int
    indices: Tensor
    given: dict[str, tuple[Tensor, Tensor]]


class PseudoLabelLog:
    """Log of a run's pseudo-labels, buffered on the device and written by the first process.

    Args:
        records: the run's records.
        processes: the run's processes; each of them logs and flushes the same steps.
    """

    def __init__(self, records: Records, processes: Processes) -> None:
        self.processes, self._records = processes, records
        self._pending: list[_Batch] = []

    def note(self, step: int, indices: Tensor, pseudo: Mapping[str, Pseudo]) -> None:
        """Log a batch's pseudo-labels; `indices` (U,) are those of its clips."""
        if pseudo:
            given = {name: (label, weight.detach().float()) for name, (label, weight, _) in pseudo.items()}
            self._pending.append(_Batch(step, indices, given))

    def flush(self) -> None:
        """Write the pending batches."""
        if self._pending:
            # Each process has its own clips.
            shards = self.processes.gather(self._rows())
            self._records.write(UNFINISHED, (row for rows in zip(*shards, strict=True) for row in rows))
            self._pending.clear()

    def _rows(self) -> list[dict[str, Any]]:
        """Return the pending batches as plain values, one row per batch."""
        places = _moved([batch.indices for batch in self._pending])
        rows: list[dict[str, Any]] = [
            {"step": batch.step, "indices": some, "networks": {}}
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
    """Return tensors (U,) as lists, with one transfer from the device."""
    together = iter(torch.cat(list(tensors)).tolist())
    return [list(islice(together, len(tensor))) for tensor in tensors]


@torch.no_grad()
def pseudo_label_metrics(pseudo: Mapping[str, Pseudo], hidden: Tensor) -> dict[str, Ratio]:
    """Return coverage and precision of a batch's pseudo-labels, as ratios that can be summed over batches.

    Args:
        pseudo: pseudo-labels by the network that gave them, each (U,).
        hidden: true labels of the same clips, (U,); -1: the clip has none.

    Returns:
        "coverage/<network>": fraction of clips whose pseudo-label is used;
        "precision/<network>": weighted fraction of the used ones that are right, of clips with a true label;
        nan if none is used.
    """
    record, known = {}, hidden >= 0
    for name, (label, weight, _) in pseudo.items():
        record[f"coverage/{name}"] = Ratio((weight > 0).sum(), float(len(weight)))
        record[f"precision/{name}"] = Ratio((weight * (label == hidden)).sum(), (weight * known).sum())
    return record
