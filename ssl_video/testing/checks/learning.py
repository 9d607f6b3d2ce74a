"""Checks of gradients, teachers, batch-norm statistics and predictors."""

from typing import Any

import torch
from torch import Tensor, nn

from ssl_video.contract import Algorithm
from ssl_video.testing import clips
from ssl_video.testing.check import Failed, NotApplicable, check, named_unlabeled
from ssl_video.testing.networks import CLASSES
from ssl_video.testing.subject import (
    LATE,
    Subject,
    frozen,
    gradients,
    seeded,
    student,
    total,
    train,
)

_BatchNorm = nn.modules.batchnorm._BatchNorm


@check(
    "unlabeled-terms-teach",
    promise="The unlabeled terms reach every parameter of the network whose training is tested.",
    reason="If a teacher's logits replace the student's, the term is exactly 0 and the method trains "
    "supervised-only under another name. Its row in a table looks like the supervised one.",
    ways=True,
    fix="Check whose logits the term uses: those of the network that learns, computed with gradient.",
)
def unlabeled_terms_teach(subject: Subject) -> None:
    if not subject.build().unlabeled:
        raise NotApplicable("it reads no unlabeled clips")
    idle = set[str]()
    # A term may be idle for one batch, for example if all clips are of one class.
    for seed in (1, 2, 3):
        algorithm = subject.build(**subject.eager)
        terms = named_unlabeled(seeded(algorithm, clips.moving(algorithm, seed)))
        still = {name for name, term in terms.items() if not _moves_something(term, algorithm)}
        idle = still if seed == 1 else idle & still
    if idle:
        raise Failed(
            f"{', '.join(f'{name} ({terms[name].item():.4g})' for name in sorted(idle))} changes no parameter"
        )
    role = student(algorithm)
    found = gradients(algorithm, total(terms))
    mine = {name: gradient for name, gradient in found.items() if name.startswith(f"{role}.")}
    unmoved = [name for name, gradient in mine.items() if gradient is None or not gradient.any()]
    if unmoved or not mine:
        raise Failed(f"the terms {', '.join(terms)} do not move {', '.join(unmoved) or role}")


@check(
    "all-parameters-learn",
    promise="Every trained parameter is always part of the loss and gets a nonzero gradient at the end.",
    reason="With several processes, a parameter without a gradient stops a run. Weights without a "
    "gradient would also be counted as trained.",
    ways=True,
    fix="Remove unused parts; give a part that is inactive for a while a term of weight 0.",
)
def all_parameters_learn(subject: Subject) -> None:
    for progress in (0.0, 0.5, LATE):
        algorithm = subject.build(**subject.eager)
        found = gradients(algorithm, seeded(algorithm, clips.moving(algorithm), progress).loss)
        absent = [name for name, gradient in found.items() if gradient is None]
        if absent:
            raise Failed(f"not part of the loss at progress {progress}: {', '.join(absent)}")
    still = [name for name, gradient in found.items() if gradient is None or not gradient.any()]
    if still:
        raise Failed(f"not moved at progress {LATE}: {', '.join(still)}")


@check(
    "teachers-rest",
    promise="The loss leaves teachers alone: no gradient, evaluation mode, the same state.",
    reason="A teacher in training mode normalises by the batch, applies dropout, and averages its own "
    "statistics. A teacher that gets gradients is not an average.",
    ways=True,
    fix="Keep teachers in eval mode whatever mode is requested, and without gradient: `ssl_video.Teacher`.",
)
def teachers_rest(subject: Subject) -> None:
    algorithm = subject.build(**subject.eager)
    teachers = frozen(algorithm)
    still = [role for role in algorithm.roles if role in teachers]
    if set(still) != set(algorithm.frozen):
        raise Failed(f"roles that are not trained: {still}; declared in `frozen`: {list(algorithm.frozen)}")
    if not teachers:
        raise NotApplicable("all of its networks are trained")
    before = {name: _state(teacher) for name, teacher in teachers.items()}
    algorithm.train()
    seeded(algorithm, clips.moving(algorithm)).loss.backward()
    for name, teacher in teachers.items():
        loud = [part for part, module in teacher.named_modules() if module.training]
        if loud:
            raise Failed(f"{name} is in training mode after algorithm.train()")
        if any(parameter.grad is not None for parameter in teacher.parameters()):
            raise Failed(f"{name} gets a gradient")
        changed = [key for key, value in _state(teacher).items() if not torch.equal(value, before[name][key])]
        if changed:
            raise Failed(f"the loss changed {', '.join(changed)} of {name}")


@check(
    "teachers-follow",
    promise="A step moves an averaging teacher towards its network, in weights and statistics.",
    reason="A teacher that does not move, or that follows something else, gives the labels of an "
    "untrained network. Frozen networks that the run is given (roles) must not change.",
    ways=True,
    fix="Call self.teacher.update(self.model) in after_step.",
)
def teachers_follow(subject: Subject) -> None:
    algorithm = subject.build(**subject.eager)
    teachers = frozen(algorithm)
    if not teachers:
        raise NotApplicable("all of its networks are trained")
    before = {name: _state(teacher) for name, teacher in teachers.items()}
    train(algorithm, [clips.moving(algorithm)], [LATE])
    for name, teacher in teachers.items():
        after = _state(teacher)
        if name in algorithm.roles:
            if any(not torch.equal(value, before[name][key]) for key, value in after.items()):
                raise Failed(f"{name} is supplied and not trained, but changed in a step")
            continue
        if not any(not torch.equal(value, before[name][key]) for key, value in after.items()):
            raise Failed(f"{name} did not move in the step")
        _nearer(name, before[name], after, algorithm)


def _nearer(name: str, before: dict[str, Tensor], after: dict[str, Tensor], algorithm: Algorithm) -> None:
    """Check that every value of a teacher moved towards a trained network of the same shape, or equals it."""
    away = list[str]()
    for role in algorithm.roles:
        states = _state(algorithm.get_submodule(role))
        pairs = {key: mine for mine in before for key in states if mine == key or mine.endswith(f".{key}")}
        if len(pairs) < len(states):
            continue
        strayed = [k for k, mine in pairs.items() if not _approached(states[k], before[mine], after[mine])]
        if not strayed:
            return
        away.append(f"{strayed[0]} has not moved towards that of {role}")
    if away:
        raise Failed(f"{name}: {', and '.join(away)}")


def _approached(target: Tensor, before: Tensor, after: Tensor) -> bool:
    """Return whether no value moved away from its target and at least one moved nearer, if any could."""
    was, now = (target.double() - before.double()).abs(), (target.double() - after.double()).abs()
    return not was.any() or bool((now <= was + 1e-7).all() and (now < was).any())


@check(
    "batch-norm",
    promise="Batch-norm averages include labeled clips and, in separate passes, no strong clips.",
    reason="The test uses these averages, and test clips are not strongly augmented. Code that freezes "
    "the averages of only one class of batch norm does nothing for 3D networks, which use another "
    "class, and nobody notices.",
    networks=("batch-norm",),
    fix="Pass strong clips under `averages_untouched`; see `forward_views`.",
)
def batch_norm(subject: Subject) -> None:
    algorithm = subject.build(**subject.eager)
    settings = _settings(algorithm)
    train(algorithm, [clips.moving(algorithm, seed) for seed in (1, 2)], [0.5, LATE])
    norms = _norms(algorithm)
    if settings != _settings(algorithm):
        raise Failed("a step left batch norms with another momentum or mode")
    for name, value in algorithm.named_buffers():
        if value.is_floating_point() and not value.isfinite().all():
            raise Failed(f"{name} is not finite after two steps")
    usual = _averages(subject)
    lighter = _averages(subject, "labeled")
    trained = [
        name for name in usual if name.split(".")[0] in algorithm.roles and norms[name].weight.requires_grad
    ]
    unmoved = [name for name in trained if torch.equal(usual[name], lighter[name])]
    if unmoved:
        raise Failed(f"labeled clips do not count in the averages of {', '.join(unmoved)}")
    if "passes" in subject.options and clips.strong(algorithm):
        separate, other = (_averages(subject, kind, passes="separate") for kind in (None, "strong"))
        moved = [name for name in separate if not torch.equal(separate[name], other[name])]
        if moved:
            raise Failed(f"strong clips of a pass of their own count in the averages of {', '.join(moved)}")


@check(
    "predictors",
    promise="Predictors map clips of their role to one logit per class, with weights of the algorithm.",
    reason="Predictors are tested and exported. Weights outside the algorithm would not be in the "
    "checkpoint.",
    fix="Return networks that take clips of their role and give logits, from predictors().",
)
def predictors(subject: Subject) -> None:
    algorithm = subject.build().eval()
    shapes, found = clips.shapes(algorithm), algorithm.predictors()
    if not found:
        raise Failed("there is none")
    saved = {id(parameter) for parameter in algorithm.parameters()}
    for name, network in found.items():
        frames = shapes.get(name, next(iter(shapes.values()))).frames
        with torch.no_grad():
            logits = network(torch.zeros(5, 3, frames, clips.SIZE, clips.SIZE))
        if logits.shape != (5, CLASSES) or not logits.isfinite().all():
            raise Failed(f"{name}: 5 clips of {frames} frames give {tuple(logits.shape)}, not (5, {CLASSES})")
        if not {id(parameter) for parameter in network.parameters()} <= saved:
            raise Failed(f"{name}: its weights are not the algorithm's")


def _moves_something(term: Tensor, algorithm: Algorithm) -> bool:
    if not term.requires_grad:
        return False
    trained = [parameter for parameter in algorithm.parameters() if parameter.requires_grad]
    found = torch.autograd.grad(term, trained, retain_graph=True, allow_unused=True)
    return any(gradient is not None and bool(gradient.any()) for gradient in found)


def _averages(subject: Subject, lighter: str | None = None, **options: Any) -> dict[str, Tensor]:
    """Return the running means of all batch norms after one pass, with one kind of clips made lighter.

    They also get more contrast, so that methods that see differences of frames notice it.
    """
    algorithm = subject.build(**options)
    batch = clips.moving(algorithm)
    labeled, unlabeled = dict(batch.labeled), dict(batch.unlabeled)
    if lighter == "labeled":
        labeled = {name: 2 * clip + 3 for name, clip in labeled.items()}
    elif lighter == "strong":
        unlabeled |= {name: 2 * unlabeled[name] + 3 for name in clips.strong(algorithm)}
    seeded(algorithm, batch._replace(labeled=clips.Views(labeled), unlabeled=clips.Views(unlabeled)))
    return {name: norm.get_buffer("running_mean").clone() for name, norm in _norms(algorithm).items()}


def _norms(algorithm: Algorithm) -> dict[str, _BatchNorm]:
    """Return the batch norms that have running averages."""
    return {
        name: module
        for name, module in algorithm.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }


def _settings(algorithm: Algorithm) -> list[tuple[float | None, bool, bool]]:
    """Return the settings of all batch norms."""
    return [(n.momentum, n.track_running_stats, n.training) for n in _norms(algorithm).values()]


def _state(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of all parameters and buffers."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
