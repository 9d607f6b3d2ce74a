"""The check of the declaration `works_on_pixels`."""

import math

import torch
from torch import Tensor, nn

from ssl_video.contract import Batch
from ssl_video.testing import clips
from ssl_video.testing.check import Failed, NotApplicable, check, raised
from ssl_video.testing.networks import SmallProbe
from ssl_video.testing.subject import LATE, Subject, gradients, seeded, values

# Relative, with an absolute part for terms near 0; features of other clips change a term far more.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-5
# Terms and gradients by name.
_Step = tuple[dict[str, float], dict[str, Tensor | None]]


@check(
    "features",
    promise="Features in place of clips give the same loss, or the class declares `works_on_pixels`.",
    reason="With a probe, a batch holds stored features, which only the networks can tell from clips. A "
    "method that mixes or changes clips would do so with features, and would be another method.",
    networks=("plain",),
    ways=True,
    fix="Pass views to the networks as they are, or declare `works_on_pixels = True`.",
)
def features(subject: Subject) -> None:
    if subject.build().works_on_pixels:
        raise NotApplicable("it declares `works_on_pixels`")
    frozen = SmallProbe(norm=True).backbone
    for progress in (0.0, 0.5, LATE):
        found = list[_Step]()
        for stored in (False, True):
            algorithm = subject.build(network=lambda: _probe(frozen), **subject.eager)
            batch = clips.moving(algorithm)
            try:
                output = seeded(algorithm, _features(batch, frozen) if stored else batch, progress)
            except Exception as error:
                if not stored:
                    raise
                raise Failed(f"it fails on features in place of clips: {raised(error, subject)}") from None
            found.append((values(output), gradients(algorithm, output.loss)))
        changed = _differing(*found)
        if changed:
            raise Failed(f"features in place of clips change {', '.join(changed)} at progress {progress}")


def _probe(frozen: nn.Sequential) -> SmallProbe:
    """Return a probe with a new last layer; all roles have the same features."""
    made = SmallProbe(norm=True)
    made.backbone = frozen
    return made


@torch.no_grad()
def _features(batch: Batch, frozen: nn.Module) -> Batch:
    """Return a batch with the features of its clips."""
    stored = (
        clips.Views({n: frozen(c) for n, c in kind.items()}) for kind in (batch.labeled, batch.unlabeled)
    )
    labeled, unlabeled = stored
    return batch._replace(labeled=labeled, unlabeled=unlabeled)


def _differing(one: _Step, other: _Step) -> list[str]:
    """Return the names of the terms, and of the parameters by their gradients, in which two steps differ."""
    terms = [
        name
        for name, value in one[0].items()
        if not math.isclose(value, other[0].get(name, math.nan), rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    ]
    return terms + [f"the gradient of {name}" for name, g in one[1].items() if not _equal(g, other[1][name])]


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.allclose(one, other, rtol=_RELATIVE, atol=_ABSOLUTE)
