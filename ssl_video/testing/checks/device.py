"""The check of a step on another device than the CPU, which needs none: tensors without numbers."""

import torch

from ssl_video.contract import Batch
from ssl_video.meta import META, on_meta
from ssl_video.testing import clips
from ssl_video.testing.check import check
from ssl_video.testing.subject import LATE, Subject


@check(
    "no-waiting", networks=("plain",), ways=True,
    promise="A step keeps its tensors on its device, and reads no number of one.",
    reason="`item()`, `float()`, `bool()` and an index by a mask wait until a GPU has done all earlier work, "
    "in every step. A tensor that stays on the CPU ends a run on a GPU.",
    fix="Keep numbers in tensors: torch.where in place of an if or a mask, `register_buffer` for state, and "
    "`device=` for new tensors.",
)  # fmt: skip
def no_waiting(subject: Subject) -> None:
    """Run a step on tensors without numbers."""
    for progress in (0.0, LATE):
        algorithm = subject.build(**subject.eager)
        batch = _moved(clips.moving(algorithm))
        algorithm.to(META)
        with on_meta():
            algorithm(batch, progress).loss.backward()
            with torch.no_grad():
                algorithm.after_step(progress)


def _moved(batch: Batch) -> Batch:
    labeled, unlabeled = (
        clips.Views({name: clip.to(META) for name, clip in views.items()})
        for views in (batch.labeled, batch.unlabeled)
    )
    predictions = None if batch.predictions is None else batch.predictions.to(META)
    return Batch(labeled, batch.labels.to(META), unlabeled, batch.indices.to(META), predictions)
