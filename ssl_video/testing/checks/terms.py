"""Checks of the loss terms: their values, names and labels, the views they read, and their determinism."""

import torch
from torch import Tensor

from ssl_video.contract import Algorithm, Batch, LossOutput
from ssl_video.testing import clips
from ssl_video.testing.check import Failed, NotApplicable, check
from ssl_video.testing.networks import Readout
from ssl_video.testing.subject import (
    LATE,
    Subject,
    gradients,
    seeded,
    total,
    train,
    unlabeled_terms,
    without_draws,
)

_PROGRESS = (0.0, 0.5, LATE)


@check(
    "loss-runs",
    promise="The loss of a batch can be computed at the start, in the middle and at the end of training.",
    reason="All other checks need this.",
    ways=True,
    fix="Define loss(self, batch, progress); call super().__init__() in the constructor; return "
    "LossOutput({name: scalar}).",
)
def loss_runs(subject: Subject) -> None:
    if subject.constructor.loss is Algorithm.loss:
        raise Failed("the class has no method `loss` of its own")
    for progress in _PROGRESS:
        algorithm = subject.build()
        # Not `algorithm(...)`, which would fail unless the constructor has called its parent's.
        output: object = algorithm.loss(clips.moving(algorithm), progress)
        if not isinstance(output, LossOutput):
            raise Failed(f"`loss` returns a {type(output).__name__} instead of a LossOutput")


@check(
    "finite-terms",
    promise="Every term is a finite float32 scalar at the start, in the middle and at the end.",
    reason="The sum of the terms is minimised, and the terms are logged. One non-finite term ends a run.",
    ways=True,
    fix="Return LossOutput({name: scalar}); turn logits into float32 (`forward_joint` does); guard "
    "divisions and logarithms.",
)
def finite_terms(subject: Subject) -> None:
    for progress in _PROGRESS:
        algorithm = subject.build()
        output = algorithm(clips.moving(algorithm), progress)
        if not output.terms:
            raise Failed(f"there are no terms at progress {progress}")
        for name, term in output.terms.items():
            where = f"term {name!r} at progress {progress}"
            if term.shape != ():
                raise Failed(f"{where} has the shape {tuple(term.shape)}")
            if term.dtype != torch.float32:
                raise Failed(f"{where} is {term.dtype}")
            if not term.isfinite():
                raise Failed(f"{where} is {term.item()}")


@check(
    "term-names",
    promise="Terms are named after the clips they come from: labeled... or unlabeled...",
    reason="Common names in the records of all methods allow plotting their curves together.",
    networks=("plain",),
    style=True,
    fix="Name terms labeled, labeled/..., unlabeled or unlabeled/...",
)
def term_names(subject: Subject) -> None:
    algorithm = subject.build()
    output = algorithm(clips.moving(algorithm), LATE)
    others = [name for name in output.terms if not name.startswith(("labeled", "unlabeled"))]
    if others:
        raise Failed(f"terms with other names: {', '.join(others)}")
    if bool(unlabeled_terms(output)) != bool(algorithm.unlabeled):
        views = "views" if algorithm.unlabeled else "no views"
        raise Failed(f"it declares {views} of unlabeled clips, and has the terms {', '.join(output.terms)}")


@check(
    "declared-views",
    promise="Exactly the declared views are read, each at some time of training.",
    reason="A view that is not declared is missing in training. A view that is declared but not read is "
    "decoded and augmented for nothing, and was most likely forgotten in the loss.",
    ways=True,
    networks=("plain",),
    fix="Declare in `labeled` and `unlabeled` exactly the views that `loss` reads.",
)
def declared_views(subject: Subject) -> None:
    read = {"labeled": set[str](), "unlabeled": set[str]()}
    for progress in (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, LATE):
        algorithm = subject.build(**subject.eager)
        batch = clips.moving(algorithm)
        try:
            algorithm(batch, progress)
        except clips.Undeclared as error:
            raise Failed(f"view {error} is read at progress {progress}, but not declared") from None
        for kind, found in read.items():
            views = getattr(batch, kind)
            if views.undeclared:
                raise Failed(f"{kind} views are tested for, but not declared: {sorted(views.undeclared)}")
            found |= views.read
    for kind, found in read.items():
        unread = sorted(set(getattr(algorithm, kind)) - found)
        if unread:
            raise Failed(f"{kind} views are declared, but never read: {', '.join(unread)}")


@check(
    "batch-unchanged",
    promise="The loss does not modify its batch.",
    reason="Views that show the same clip share one tensor, so a change of one view appears in the "
    "others. For example, a warped clip could replace the original one.",
    networks=("plain",),
    fix="Make a copy before writing (clip.clone()), or use operations that return a new tensor.",
)
def batch_unchanged(subject: Subject) -> None:
    for progress in _PROGRESS:
        algorithm = subject.build(**subject.eager)
        batch = clips.moving(algorithm)
        before = clips.copied(batch)
        versions = _versions(batch)
        algorithm(batch, progress).loss.backward()
        written = sorted(name for name, version in _versions(batch).items() if version != versions[name])
        now = _tensors(batch)
        written += [name for name, tensor in _tensors(before).items() if not torch.equal(now[name], tensor)]
        if written:
            raise Failed(f"written into: {', '.join(dict.fromkeys(written))} (progress {progress})")


@check(
    "loss-only",
    promise="The loss changes no parameter and no mode, and gives no parameter a gradient.",
    reason="The training engine runs the backward pass and the optimizer, in the same way for all "
    "methods. Gradients that a method computed by itself would not be scaled, averaged over "
    "processes or clipped.",
    networks=("batch-norm",),
    fix="Leave optimizer steps to the training loop; update teachers in after_step.",
)
def loss_only(subject: Subject) -> None:
    algorithm = subject.build(**subject.eager)
    before = {name: p.detach().clone() for name, p in algorithm.named_parameters()}
    modes = {name: module.training for name, module in algorithm.named_modules()}
    trained = {name: p.requires_grad for name, p in algorithm.named_parameters()}
    algorithm(clips.moving(algorithm), LATE)
    for name, parameter in algorithm.named_parameters():
        if not torch.equal(parameter, before[name]):
            raise Failed(f"the loss changed the parameter {name}")
        if parameter.grad is not None:
            raise Failed(f"the loss gave {name} a gradient")
        if parameter.requires_grad != trained[name]:
            raise Failed(f"the loss changed whether {name} is trained")
    changed = [name for name, module in algorithm.named_modules() if module.training != modes[name]]
    if changed:
        raise Failed(f"the loss changed the mode (train, eval) of {', '.join(changed)}")
    if not torch.is_grad_enabled():
        raise Failed("the loss switched gradients off")


@check(
    "bfloat16",
    promise="Bfloat16 autocast gives finite float32 terms, and gradients wherever float32 gives them.",
    reason="GPUs train in mixed precision. With 8 bits of mantissa, a threshold of 0.95 is no longer the "
    "same number, and small terms vanish in sums. A method's own autocast, with its cache of "
    "weights, loses gradients after a pass without gradient (torch up to 2.9).",
    fix="Compute losses from logits.float(); `forward_joint` and `forward_views` return float32.",
)
def bfloat16(subject: Subject) -> None:
    algorithm, exact = subject.build(**subject.eager), subject.build(**subject.eager)
    # Without the cache, as in runs.
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
        output = seeded(algorithm, clips.moving(algorithm))
    for name, term in output.terms.items():
        if term.dtype != torch.float32 or not term.isfinite():
            raise Failed(f"term {name!r} is {term.item()}, {term.dtype}")
    found = gradients(algorithm, output.loss)
    expected = gradients(exact, seeded(exact, clips.moving(exact)).loss)
    lost = [name for name, gradient in expected.items() if gradient is not None and found[name] is None]
    if lost:
        raise Failed(f"no gradient reaches {', '.join(lost)}, which get one in float32")


@check(
    "labels",
    promise="The labeled terms are lower with the right labels than with wrong ones.",
    reason="Labels that are shifted, or paired with other clips' logits, still give a decreasing loss.",
    networks=("plain",),
    fix="Check which labels are paired with which logits.",
)
def labels(subject: Subject) -> None:
    algorithm = subject.build(network=Readout)
    batch = clips.plain(algorithm, [0, 1, 2, 0, 1, 2])
    state = {key: value.clone() for key, value in algorithm.state_dict().items()}
    found = []
    for shift in (0, 1, 2):
        algorithm.load_state_dict(state)
        output = seeded(algorithm, batch._replace(labels=(batch.labels + shift) % 3))
        terms = {name: term for name, term in output.terms.items() if name.startswith("labeled")}
        # Terms with other names are a matter of style.
        found.append(total(terms or output.terms).item())
    if found[0] >= min(found[1:]):
        raise Failed(f"{found[0]:.3f} with the right labels, {min(found[1:]):.3f} with wrong ones")


@check(
    "order",
    promise="The order of the clips in a batch does not matter.",
    reason="The order is random. A term that depends on it pairs clips with others' labels.",
    fix="Compute each clip's part from its own rows; what is drawn at random may be permuted.",
)
def order(subject: Subject) -> None:
    algorithm, same = subject.build(**subject.eager), subject.build(**subject.eager)
    batch, rows, labeled = clips.moving(algorithm), [4, 0, 5, 2, 1, 3], [2, 0, 3, 1]
    expected = seeded(algorithm, batch)
    found = seeded(same, clips.picked(batch, rows, labeled))
    for network, pseudo in expected.pseudo.items():
        if not torch.equal(found.pseudo[network].label, pseudo.label[rows]):
            raise Failed(f"the pseudo-labels of {network!r} change with the clips in another order")
    fixed = without_draws(subject)
    for name in fixed:
        ours, theirs = expected.terms[name].item(), found.terms[name].item()
        if abs(ours - theirs) > 1e-5 * (1 + abs(ours)):
            raise Failed(
                f"term {name!r} is {ours:.6f}, and {theirs:.6f} with the same clips in another order"
            )
    if not fixed:
        raise NotApplicable("every term draws at random")


@check(
    "deterministic",
    promise="The same seed gives the same steps, bit for bit.",
    reason="Checkpoints hold the state of torch's generator. With any other source of randomness, a "
    "resumed run differs from an uninterrupted one.",
    networks=("plain",),
    fix="Draw with torch (torch.rand, torch.randperm), nothing else.",
)
def deterministic(subject: Subject) -> None:
    histories = []
    for _ in range(2):
        algorithm = subject.build(**subject.eager)
        histories.append(train(algorithm, [clips.moving(algorithm, n) for n in (1, 2, 3)], _PROGRESS))
    if repr(histories[0]) != repr(histories[1]):  # as text, because NaN does not equal itself
        raise Failed("three steps from the same seed gave different terms the second time")


def _tensors(batch: Batch) -> dict[str, Tensor]:
    """Return all tensors of a batch, by name."""
    views = [("labeled", batch.labeled), ("unlabeled", batch.unlabeled)]
    found = {f"{kind} view {name!r}": clip for kind, part in views for name, clip in part.items()}
    return found | {"labels": batch.labels, "indices": batch.indices}


def _versions(batch: Batch) -> dict[str, int]:
    """Return torch's count of in-place changes of each tensor of a batch."""
    return {name: tensor._version for name, tensor in _tensors(batch).items()}
