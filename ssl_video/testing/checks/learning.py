"""Who learns, who teaches, and what batch norm keeps."""

from typing import Any

import torch
from torch import Tensor, nn

from ssl_video.contract import Algorithm
from ssl_video.testing import clips
from ssl_video.testing.check import Failed, NotApplicable, check
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
    unlabeled_terms,
)

_BatchNorm = nn.modules.batchnorm._BatchNorm


@check(
    "unlabeled-terms-teach",
    ways=True,
    mend="Look at whose logits stand in the term: those of the network that learns, computed with gradient.",
)
def unlabeled_terms_teach(subject: Subject) -> None:
    """The unlabeled terms reach every parameter of the network that is trained to be tested.

    Where a teacher's logits stand in the student's place, the term is exactly 0 and the method trains
    supervised-only under another name; its row in a table looks like the supervised one.
    """
    if not subject.build().unlabeled:
        raise NotApplicable("it reads no unlabeled clips")
    idle = set[str]()
    # A term may have nothing to say of one batch, as where all clips are of one class.
    for seed in (1, 2, 3):
        algorithm = subject.build(**subject.eager)
        terms = unlabeled_terms(seeded(algorithm, clips.moving(algorithm, seed)))
        still = {name for name, term in terms.items() if not _moves_something(term, algorithm)}
        idle = still if seed == 1 else idle & still
    if idle:
        raise Failed(
            f"{', '.join(f'{name} ({terms[name].item():.4g})' for name in sorted(idle))} moves nothing"
        )
    role = student(algorithm)
    found = gradients(algorithm, total(terms))
    mine = {name: gradient for name, gradient in found.items() if name.startswith(f"{role}.")}
    unmoved = [name for name, gradient in mine.items() if gradient is None or not gradient.any()]
    if unmoved or not mine:
        raise Failed(f"the terms {', '.join(terms)} do not move {', '.join(unmoved) or role}")


@check(
    "all-parameters-learn",
    ways=True,
    mend="Leave out what is not used; give a part that sleeps for a while a term of weight 0.",
)
def all_parameters_learn(subject: Subject) -> None:
    """Every trained parameter is part of the loss at any time, and is moved by it at the end of training.

    With several processes, a parameter without a gradient stops a run; and weights that nothing moves are
    counted as if they had been trained.
    """
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
    ways=True,
    mend="Keep teachers in eval mode whatever is asked, and without gradient: `ssl_video.Teacher`.",
)
def teachers_rest(subject: Subject) -> None:
    """Training moves no teacher: no gradient, evaluation mode, the same weights and statistics.

    A teacher in training mode normalises by the batch, drops units, and averages statistics of its own; a
    teacher that gets gradients is no average.
    """
    algorithm = subject.build(**subject.eager)
    teachers = frozen(algorithm)
    still = [role for role in algorithm.roles if role in teachers]
    if set(still) != set(algorithm.frozen):
        raise Failed(f"roles that are not trained: {still}; declared in `frozen`: {list(algorithm.frozen)}")
    if not teachers:
        raise NotApplicable("it has no network that is not trained")
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


@check("teachers-follow", ways=True, mend="Call self.teacher.update(self.model) in after_step.")
def teachers_follow(subject: Subject) -> None:
    """After a step, a teacher that averages a network has come nearer to it, in weights and statistics.

    A teacher that stays where it began, or that follows something else, gives labels of an untrained
    network. Frozen networks that are given (roles) stay as they are.
    """
    algorithm = subject.build(**subject.eager)
    teachers = frozen(algorithm)
    if not teachers:
        raise NotApplicable("it has no network that is not trained")
    before = {name: _state(teacher) for name, teacher in teachers.items()}
    train(algorithm, [clips.moving(algorithm)], [LATE])
    for name, teacher in teachers.items():
        after = _state(teacher)
        if name in algorithm.roles:
            if any(not torch.equal(value, before[name][key]) for key, value in after.items()):
                raise Failed(f"{name} is given and not trained, and yet changed in a step")
            continue
        if not any(not torch.equal(value, before[name][key]) for key, value in after.items()):
            raise Failed(f"{name} is where it was before the step")
        _nearer(name, before[name], after, algorithm)


def _nearer(name: str, before: dict[str, Tensor], after: dict[str, Tensor], algorithm: Algorithm) -> None:
    """Every value of a teacher has come nearer to a trained network of the same shape, or is there."""
    away = list[str]()
    for role in algorithm.roles:
        states = _state(algorithm.get_submodule(role))
        pairs = {key: mine for mine in before for key in states if mine == key or mine.endswith(f".{key}")}
        if len(pairs) < len(states):
            continue
        strayed = [k for k, mine in pairs.items() if not _approached(states[k], before[mine], after[mine])]
        if not strayed:
            return
        away.append(f"{strayed[0]} has not come nearer to that of {role}")
    if away:
        raise Failed(f"{name}: {', and '.join(away)}")


def _approached(target: Tensor, before: Tensor, after: Tensor) -> bool:
    """Whether no value has moved away from its target, and some have moved nearer where they could."""
    was, now = (target.double() - before.double()).abs(), (target.double() - after.double()).abs()
    return not was.any() or bool((now <= was + 1e-7).all() and (now < was).any())


@check(
    "batch-norm",
    networks=("batch-norm",),
    mend="Pass strong clips under `averages_untouched`; see `in_passes`.",
)
def batch_norm(subject: Subject) -> None:
    """Batch norm's averages, which tests use, see labeled clips; in separate passes they see no strong clip.

    Test clips are not strongly augmented. Code that holds the averages still for one kind of batch norm only
    does nothing for 3D networks, whose norms are of another class, and nobody notices.
    """
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


@check("predictors", mend="Return networks that take clips of their role and give logits, from predictors().")
def predictors(subject: Subject) -> None:
    """Every predictor takes clips of its role and gives one logit per class; its weights are the algorithm's.

    They are what is tested and exported; weights that lie elsewhere would not be in the checkpoint.
    """
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
    """The running means of all batch norms after one pass, where a kind of clips may be lighter."""
    algorithm = subject.build(**options)
    batch = clips.moving(algorithm)
    labeled, unlabeled = dict(batch.labeled), dict(batch.unlabeled)
    if lighter == "labeled":
        labeled = {name: clip + 3 for name, clip in labeled.items()}
    elif lighter == "strong":
        unlabeled |= {name: unlabeled[name] + 3 for name in clips.strong(algorithm)}
    seeded(algorithm, batch._replace(labeled=clips.Views(labeled), unlabeled=clips.Views(unlabeled)))
    return {name: norm.get_buffer("running_mean").clone() for name, norm in _norms(algorithm).items()}


def _norms(algorithm: Algorithm) -> dict[str, _BatchNorm]:
    """Batch norms that keep averages."""
    return {
        name: module
        for name, module in algorithm.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }


def _settings(algorithm: Algorithm) -> list[tuple[float | None, bool, bool]]:
    """How batch norms are set."""
    return [(n.momentum, n.track_running_stats, n.training) for n in _norms(algorithm).values()]


def _state(module: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters and buffers."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
