"""Checks of options: every option has an effect, and none on other instances."""

from typing import Any, Literal, get_args, get_origin

import torch
from torch import Tensor

from ssl_video.contract import Algorithm
from ssl_video.errors import InputError
from ssl_video.testing import clips
from ssl_video.testing.check import Failed, check
from ssl_video.testing.subject import TASK, Subject, train

_PROGRESSES = (0.05, 0.3, 0.6, 0.9, 0.999)
_Trained = tuple[list[dict[str, float]], dict[str, Tensor]]


@check(
    "class-stays",
    promise="Building an instance with other options does not change other instances' roles or views.",
    reason="Roles and views are class attributes: writing into them changes them for every later run of "
    "a benchmark.",
    networks=("plain",),
    fix="Give the instance views of its own: self.unlabeled = {...}, instead of self.unlabeled[...] = ...",
)
def class_stays(subject: Subject) -> None:
    first = subject.build()
    before = dict(first.roles), dict(first.labeled), dict(first.unlabeled)
    for option, default in subject.options.items():
        for value in _others(default, subject.hints.get(option)):
            _try(subject, {option: value})
    if before != (dict(first.roles), dict(first.labeled), dict(first.unlabeled)):
        raise Failed("another instance's options changed this one's roles or views")


@check(
    "options-are-read",
    promise="Every option changes the terms or the state of a few training steps.",
    reason="`--set` has no effect on an option that nothing reads, and published searches have used such "
    "options.",
    networks=("batch-norm",),
    fix="Use the option, or remove it.",
)
def options_are_read(subject: Subject) -> None:
    # Use all predictions, then only some: options that change a threshold have no effect at threshold 0.
    bases = [subject.eager, {"threshold": 0.6}] if subject.eager else [{}]
    expected = [_trained(subject.build(**base)) for base in bases]
    for option, default in subject.options.items():
        tried = False
        for value in _others(default, subject.hints.get(option)):
            made = [_try(subject, base | {option: value}) for base in bases]
            pairs = [(_trained(one), usual) for one, usual in zip(made, expected, strict=True) if one]
            tried = tried or bool(pairs)
            if not all(_same(*pair) for pair in pairs):
                break
        else:
            if tried:
                raise Failed(f"{option} changes nothing in {len(_PROGRESSES)} steps, whatever its value")


@check(
    "zero-options",
    promise="An option set to zero gives finite terms, or is rejected with an `InputError`.",
    reason="Zero switches a part of a method off, for example in an ablation.",
    fix="Skip the term or step at zero, or reject the value with an InputError.",
)
def zero_options(subject: Subject) -> None:
    for option, default in subject.options.items():
        # Zero of a switch is off, and that is one of its values.
        if isinstance(default, bool) or not isinstance(default, float | int):
            continue
        try:
            algorithm = subject.build(validate=True, **dict[str, Any]({option: type(default)(0)}))
        except InputError:
            continue
        for progress in (0.0, 0.999):
            loss = algorithm(clips.moving(algorithm), progress).loss
            if not loss.isfinite():
                raise Failed(f"with {option} = 0 the loss is {loss.item()} at progress {progress}")


def _others(default: Any, hint: Any) -> list[Any]:
    """Return values of an option other than its default; none for unsupported types."""
    if get_origin(hint) is Literal:
        return [value for value in get_args(hint) if value != default]
    if isinstance(default, bool):
        return [not default]
    if isinstance(default, int):
        return [default + 1, default * 2, 0]
    return [default * 2, default / 2, 0.0, 1.1] if isinstance(default, float) else []


def _trained(algorithm: Algorithm) -> _Trained:
    """Return terms and final state of a few steps that cover every position of the unlabeled set."""
    places = [[(step * 6 + row) % TASK.num_unlabeled for row in range(6)] for step in range(len(_PROGRESSES))]
    batches = [clips.moving(algorithm, step, row) for step, row in enumerate(places)]
    return train(algorithm, batches, _PROGRESSES), algorithm.state_dict()


def _same(one: _Trained, other: _Trained) -> bool:
    states = [one[1], other[1]]
    same_keys = states[0].keys() == states[1].keys()
    return (
        one[0] == other[0] and same_keys and all(torch.equal(v, states[1][k]) for k, v in states[0].items())
    )


def _try(subject: Subject, options: dict[str, Any]) -> Algorithm | None:
    """Return an instance with other options, or None if they are rejected."""
    try:
        return subject.build(**options)
    except (InputError, ValueError):
        return None
