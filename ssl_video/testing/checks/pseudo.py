"""Checks of pseudo-labels: their values, the terms that use them, and their weights."""

import torch

from ssl_video.contract import Algorithm, Batch, LossOutput
from ssl_video.testing import clips
from ssl_video.testing.check import Failed, NotApplicable, check, named_unlabeled
from ssl_video.testing.networks import CLASSES, Readout
from ssl_video.testing.subject import (
    LATE,
    TASK,
    Subject,
    gradients,
    seeded,
    total,
    without_draws,
)

_CLASSES = (0, 1, 2, 0, 1, 2)
_ABOVE_ALL = 1.1  # a threshold that no confidence reaches


@check(
    "pseudo-labels",
    promise="Pseudo-labels are classes with weights in [0, 1], one per unlabeled clip, without gradient.",
    reason="The audit compares them with the hidden labels. A gradient through a label's weight or "
    "distribution would let a network lower the loss by changing its labels instead of learning "
    "them.",
    ways=True,
    fix="Return Pseudo(label, weight) from code under torch.no_grad(), one row per clip.",
)
def pseudo_labels(subject: Subject) -> None:
    algorithm = subject.build(**subject.eager)
    pseudos = algorithm(clips.moving(algorithm), LATE).pseudo
    if not pseudos:
        if subject.eager:
            raise Failed(
                "there is a threshold, but `LossOutput.pseudo` is empty: the audit has nothing to measure"
            )
        raise NotApplicable("it produces no pseudo-labels")
    for role, (label, weight, distribution) in pseudos.items():
        if not label.shape == weight.shape == (clips.UNLABELED,) or label.dtype != torch.long:
            raise Failed(
                f"{role!r}: labels {tuple(label.shape)} {label.dtype}, weights {tuple(weight.shape)}"
            )
        if not ((label >= 0) & (label < CLASSES)).all():
            raise Failed(f"{role!r}: labels from {label.min()} to {label.max()}, with {CLASSES} classes")
        if not ((weight >= 0) & (weight <= 1)).all():
            raise Failed(f"{role!r}: weights from {weight.min():.3f} to {weight.max():.3f}")
        if weight.requires_grad or (distribution is not None and distribution.requires_grad):
            raise Failed(f"{role!r}: a gradient flows through its pseudo-labels")
        if distribution is not None and not torch.allclose(distribution.sum(-1), torch.ones(len(label))):
            raise Failed(f"{role!r}: the distributions do not sum to 1")


@check(
    "pseudo-labels-fit",
    promise="A pseudo-label is the class of its clip if the network recognises that class.",
    reason="In this check, networks read the class from the clip. A different label comes from a wrong "
    "axis, row or sign, and the method would train on it with full weight.",
    networks=("plain",),
    fix="Look for argmin, a shift, or rows of other clips.",
)
def pseudo_labels_fit(subject: Subject) -> None:
    algorithm = subject.build(network=Readout, **subject.eager)
    pseudos = seeded(algorithm, clips.plain(algorithm, _CLASSES)).pseudo
    if not pseudos:
        raise NotApplicable("it produces no pseudo-labels")
    for role, pseudo in pseudos.items():
        if pseudo.label.tolist() != list(_CLASSES):
            raise Failed(f"{role!r} labels clips of the classes {list(_CLASSES)} as {pseudo.label.tolist()}")
        if pseudo.distribution is not None and pseudo.distribution.argmax(-1).tolist() != list(_CLASSES):
            raise Failed(f"{role!r}: the likeliest class of a distribution is not the label")


@check(
    "stop-gradient",
    promise="A weak clip gets no gradient from the term that teaches its label to a strong clip.",
    reason="Otherwise the network can lower the loss by changing the label, and all clips drift to one "
    "class. This is checked without batch norm, because its statistics connect the clips of a "
    "batch.",
    ways=True,
    networks=("plain",),
    fix="Compute targets under torch.no_grad(), or detach() them; `forward_views` does it for weak clips.",
)
def stop_gradient(subject: Subject) -> None:
    algorithm = subject.build(**subject.eager)
    learners = clips.strong(algorithm)
    if not learners:
        raise NotApplicable("it has no strong view of unlabeled clips")
    batch = clips.moving(algorithm)
    sources = [view for view in algorithm.unlabeled if view not in learners]
    for view in sources:
        batch.unlabeled[view].requires_grad_()
    output = seeded(algorithm, batch)
    # An unused `threshold` option, left over from another method, must not hide the terms.
    terms = _selected(subject, output) or named_unlabeled(output)
    gradients(algorithm, total(terms))
    for view in sources:
        given = batch.unlabeled[view].grad
        if given is not None and given.any():
            raise Failed(
                f"{', '.join(terms)}: a gradient reaches the clips of view {view!r}, which give labels"
            )


@check(
    "agreement",
    promise="Pseudo-label terms are small if networks confidently predict one class for weak and strong.",
    reason="They must be much smaller than for strong clips of other classes. Swapped rows, a wrong "
    "sign, or logits in place of probabilities would teach something else.",
    networks=("plain",),
    fix="Check which labels are paired with which clips, the sign, and logits used as probabilities.",
)
def agreement(subject: Subject) -> None:
    algorithm = subject.build(network=Readout, **subject.eager)
    if not clips.strong(algorithm):
        raise NotApplicable("it has no strong view of unlabeled clips")
    # Of a method that sees differences of frames, either sign is right.
    if (found := _disagreement(subject, falling=False)) and _disagreement(subject, falling=True):
        raise Failed(found)


def _disagreement(subject: Subject, falling: bool) -> str:
    """Return a sentence about a term that is not small if weak and strong clips agree; empty: all are."""
    outputs = []
    for shift in (0, 1, 2):
        strongly = [(shown + shift) % CLASSES for shown in _CLASSES]
        made = subject.build(network=Readout, **subject.eager)
        outputs.append(seeded(made, clips.plain(made, _CLASSES, strongly, falling)))
    for name in _selected(subject, outputs[0]) or named_unlabeled(outputs[0]):
        agreed, *others = (output.terms[name].item() for output in outputs)
        if agreed >= min(others) / 2:
            return f"{name} is {agreed:.3f} where weak and strong agree, {min(others):.3f} where they do not"
    return ""


@check(
    "empty-selection",
    promise="Terms are finite if no prediction reaches the threshold, and zero if they need a selection.",
    reason="Early in training, this is every batch. A mean over no clips is not a number, and a term "
    "without a gradient leaves processes waiting for each other.",
    fix="Multiply by weights and take the mean over all clips (`masked_cross_entropy`), instead of "
    "selecting the used clips.",
)
def empty_selection(subject: Subject) -> None:
    if not subject.eager:
        raise NotApplicable("it has no option `threshold`")
    algorithm = subject.build(threshold=_ABOVE_ALL)
    output = seeded(algorithm, clips.moving(algorithm))
    if any(pseudo.weight.any() for pseudo in output.pseudo.values()):
        if not _moves(subject, output):
            raise Failed(f"clips are selected though none reaches the threshold {_ABOVE_ALL}")
        raise NotApplicable("its threshold moves: at first all clips are below it")
    terms = named_unlabeled(output)
    everything = seeded(subject.build(**subject.eager), clips.moving(algorithm)).terms
    for name, term in terms.items():
        if not term.isfinite():
            raise Failed(f"nothing is selected, and the term {name!r} is {term.item()}")
        if everything[name].requires_grad and not term.requires_grad:
            raise Failed(f"nothing is selected, and the term {name!r} has no gradient, as it has otherwise")
    if all(term.any() for term in terms.values()):
        found = ", ".join(f"{name} = {term.item():.4f}" for name, term in terms.items())
        raise Failed(f"nothing is selected, and no unlabeled term is zero: {found}")
    zero = {name: term for name, term in terms.items() if not term.any()}
    for name, gradient in gradients(algorithm, total(zero)).items():
        if gradient is not None and gradient.any():
            raise Failed(f"{', '.join(zero)} is zero, but moves {name}")


@check(
    "mean-over-batch",
    promise="Terms are means over all clips of the batch, not only over the used ones.",
    reason="Doubling the batch with unused clips must halve the term. A mean over the used clips gives "
    "the few confident clips of early training the weight of a whole batch.",
    networks=("plain",),
    fix="Take the mean over all unlabeled clips (`masked_cross_entropy`): an unused one counts as 0.",
)
def mean_over_batch(subject: Subject) -> None:
    if not subject.eager:
        raise NotApplicable("it has no option `threshold`")
    seen = [0, 1, 2, 0, 1, 2, None, None, None, None, None, None]
    learned = [1 if shown == 0 else 0 if shown is not None else 1 for shown in seen]
    algorithm = _primed(subject)
    state = {key: value.clone() for key, value in algorithm.state_dict().items()}
    whole = clips.plain(algorithm, seen, learned)._replace(indices=torch.arange(12))
    doubled = seeded(algorithm, whole)
    algorithm.load_state_dict(state)
    alone = seeded(algorithm, clips.picked(whole, range(6)))
    for pseudo in doubled.pseudo.values():
        if not pseudo.weight[:6].all() or pseudo.weight[6:].any():
            raise NotApplicable(
                "on the clips of this check, it weights some below the threshold, or leaves out some above it"
            )
    selected = _selected(subject, alone)
    if not selected:
        raise NotApplicable("no term depends on the threshold")
    terms = selected.keys() & without_draws(subject)
    for name in terms:
        once, twice = alone.terms[name].item(), doubled.terms[name].item()
        if abs(once - 2 * twice) > 1e-4 * abs(once):
            raise Failed(
                f"term {name!r} of six used clips is {once:.4f}; with six more that are not used it is "
                f"{twice:.4f} instead of half"
            )
    if not terms:
        raise NotApplicable("the terms that depend on the threshold draw at random")


@check(
    "indices",
    promise="Indices only identify clips: permuted indices give the same terms.",
    reason="A position is a clip's row in a memory. Positions used as rows of the batch, or as numbers, "
    "would mix up clips. A memory without a row for each position would be written past its end.",
    networks=("plain",),
    fix="Use indices as rows of a buffer of Task.num_unlabeled rows.",
)
def indices(subject: Subject) -> None:
    order = torch.randperm(TASK.num_unlabeled, generator=torch.Generator().manual_seed(4))
    first, second = subject.build(**subject.eager), subject.build(**subject.eager)
    if not first.unlabeled:
        raise NotApplicable("it reads no unlabeled clips")
    for step in (1, 2, 3):
        # Each step repeats some clips and adds new ones.
        batch = clips.moving(
            first, step, [(place + step) % TASK.num_unlabeled for place in (19, 0, 7, 8, 3, 11)]
        )
        ours = seeded(first, batch)
        theirs = seeded(second, batch._replace(indices=order[batch.indices]))
        for name, term in ours.terms.items():
            if not torch.allclose(term, theirs.terms[name], rtol=1e-5):
                raise Failed(f"term {name!r} changes when indices are exchanged (step {step})")
    for name, buffer in first.named_buffers():
        expected = second.get_buffer(name)
        if buffer.ndim and len(buffer) == TASK.num_unlabeled:
            expected = expected[order]
        if not torch.allclose(buffer, expected, rtol=1e-5):
            raise Failed(f"buffer {name!r} changes when indices are exchanged")


def _selected(subject: Subject, output: LossOutput) -> dict[str, torch.Tensor]:
    """Return the unlabeled terms that an unreachable threshold makes zero; all if there is no threshold."""
    terms = named_unlabeled(output)
    if not subject.eager:
        return terms
    algorithm = subject.build(threshold=_ABOVE_ALL)
    none = seeded(algorithm, clips.moving(algorithm))
    if _moves(subject, none):
        return terms
    return {name: term for name, term in terms.items() if name in none.terms and not none.terms[name].any()}


def _moves(subject: Subject, above_all: LossOutput) -> bool:
    """Return whether clips are selected despite an unreachable threshold, because it starts lower."""
    algorithm = subject.build(threshold=0.0)
    free = seeded(algorithm, clips.moving(algorithm))
    pairs = [(pseudo.weight, free.pseudo[role].weight) for role, pseudo in above_all.pseudo.items()]
    return any(weight.any() for weight, _ in pairs) and all(torch.equal(*pair) for pair in pairs)


def _primed(subject: Subject) -> Algorithm:
    """Return an instance with threshold 0.9 that has seen a confident clip at every position."""
    algorithm = subject.build(network=Readout, threshold=0.9)
    for start in range(0, TASK.num_unlabeled, len(_CLASSES)):
        batch: Batch = clips.plain(algorithm, _CLASSES)
        places = torch.arange(start, start + len(_CLASSES)) % TASK.num_unlabeled
        seeded(algorithm, batch._replace(indices=places))
    return algorithm
