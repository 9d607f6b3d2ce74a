"""What a checkpoint holds, and what several processes share."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ssl_video.contract import Algorithm, Batch
from ssl_video.testing import clips
from ssl_video.testing.check import Failed, NotApplicable, check
from ssl_video.testing.processes import Pair
from ssl_video.testing.subject import Subject, mean, train, without_draws

_STEPS, _SEEDS = (0.1, 0.5, 0.9), (1, 2, 3)
_History = list[dict[str, float]]


@check("resume", ways=True, mend="Keep all state in parameters and buffers (register_buffer).")
def resume(subject: Subject) -> None:
    """A fresh instance that loads the state goes on exactly as the old one does.

    No method has code of its own for saving: what is not in the state is lost when a run is resumed, and
    the run ends with other numbers.
    """
    algorithm = subject.build(**subject.eager)
    batches = [clips.moving(algorithm, seed) for seed in _SEEDS]
    train(algorithm, batches, _STEPS)
    other = subject.build(seed=5, **subject.eager)
    other.load_state_dict(algorithm.state_dict())
    # As text, in which NaN is equal to itself.
    if repr(train(other, batches, _STEPS)) != repr(train(algorithm, batches, _STEPS)):
        raise Failed("three steps after loading the state are not the steps of the instance that gave it")


@check(
    "state-is-saved",
    mend="self.register_buffer(name, tensor); a count of steps is a buffer, too, or comes from `progress`.",
)
def state_is_saved(subject: Subject) -> None:
    """No tensor and no number that training changes lies outside parameters and buffers.

    It would be lost in a checkpoint and left behind when the algorithm moves to another device.
    """
    algorithm = subject.build(**subject.eager)
    before = dict(_plain(algorithm))
    train(algorithm, [clips.moving(algorithm, seed) for seed in (1, 2)], _STEPS[:2])
    registered = {id(module) for module in algorithm.modules()}
    for path, module in algorithm.named_modules():
        kept = [name for name, value in _own(module).items() if _holds_tensors(value, set(registered))]
        if kept:
            raise Failed(f"{path or 'the algorithm'} keeps tensors as attributes: {', '.join(kept)}")
        if module._non_persistent_buffers_set:
            names = ", ".join(sorted(module._non_persistent_buffers_set))
            raise Failed(f"{path or 'the algorithm'} has buffers that are not saved: {names}")
    changed = [name for name, value in _plain(algorithm) if before.get(name, value) != value]
    if changed:
        raise Failed(f"numbers that training changes: {', '.join(changed)}")


@check(
    "two-processes",
    networks=("plain",),
    mend="Gather what is computed over the batch: `ssl_video.gather(rows)`.",
)
def two_processes(subject: Subject) -> None:
    """Two processes with half of the clips each take the steps of one process with all.

    Statistics, memories and contrasts over one process's share of the batch make results depend on the
    number of GPUs. Looked at without batch norm, which takes its statistics where it is.
    """
    _compare(subject, _two, "two processes")


@check(
    "parts",
    networks=("plain",),
    mend="Declare `whole_batch = True`: such a method is not run in parts.",
)
def parts(subject: Subject) -> None:
    """Two halves of a batch, one after the other, take the steps of the whole, or `whole_batch` is declared.

    `--accumulate` passes a step in parts. Where clips of a batch are compared, averaged or mixed with each
    other, it would silently make another method of it. Looked at without batch norm.
    """
    if subject.build().whole_batch:
        raise NotApplicable("it declares `whole_batch`")
    _compare(subject, _halves, "parts")


def _compare(
    subject: Subject,
    shared: Callable[[Subject, dict[str, Any]], tuple[_History, dict[str, Tensor]]],
    where: str,
) -> None:
    """Three steps with the whole batch against those with its shares: terms, and the state afterwards."""
    steady = without_draws(subject)
    # With a threshold in between some clips are used and others not; with 0 all are.
    for options in [subject.eager, {"threshold": 0.45}] if subject.eager else [{}]:
        alone = subject.build(**options)
        batches = [clips.moving(alone, seed) for seed in _SEEDS]
        terms, (found, state) = train(alone, batches, _STEPS), shared(subject, options)
        if _agree(terms, found, steady, where):
            _same(alone.state_dict(), state, where)
    if not steady:
        raise NotApplicable("every term draws at random")


def _two(subject: Subject, options: dict[str, Any]) -> tuple[_History, dict[str, Tensor]]:
    """Mean terms of three steps of two processes, and the first one's state in the end."""
    # Made before the threads start, which share torch's random numbers.
    both, pair = [subject.build(**options) for _ in range(2)], Pair()

    def steps(rank: int) -> _History:
        shares = [_half(clips.moving(both[rank], seed), rank) for seed in _SEEDS]
        return train(both[rank], shares, _STEPS, pair.same_buffers, pair.average)

    histories = pair.run(steps)
    return [mean(terms) for terms in zip(*histories, strict=True)], both[0].state_dict()


def _halves(subject: Subject, options: dict[str, Any]) -> tuple[_History, dict[str, Tensor]]:
    """Mean terms of three steps in two parts, and the state in the end."""
    algorithm = subject.build(**options)
    batches = [clips.moving(algorithm, seed) for seed in _SEEDS]
    terms = train(algorithm, batches, _STEPS, cut=lambda batch: [_half(batch, number) for number in (0, 1)])
    return terms, algorithm.state_dict()


def _half(batch: Batch, number: int) -> Batch:
    """The first or the second half of a batch's clips."""
    rows, labeled = (
        range(number * size // 2, (number + 1) * size // 2) for size in (clips.UNLABELED, clips.LABELED)
    )
    return clips.picked(batch, rows, labeled)


def _agree(alone: _History, shared: _History, steady: set[str], where: str) -> bool:
    """Whether the steps of a whole batch and of its shares have the same terms, and draw nothing."""
    for step, (whole, means) in enumerate(zip(alone, shared, strict=True), 1):
        for name in steady & whole.keys():
            if abs(means[name] - whole[name]) > 1e-4 * (1 + abs(whole[name])):
                raise Failed(f"{name} of step {step} is {whole[name]:.6f}, and in {where} {means[name]:.6f}")
        if not whole.keys() <= steady:
            return False  # what is drawn differs, and with it the weights of the next step
    return True


def _same(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], where: str) -> None:
    for name, value in expected.items():
        if not torch.allclose(found[name].double(), value.double(), rtol=1e-3, atol=1e-4):
            raise Failed(f"{name} is another one after three steps in {where}")


def _own(module: nn.Module) -> dict[str, Any]:
    """A module's attributes but for what torch keeps in them."""
    return {k: v for k, v in vars(module).items() if k not in ("_parameters", "_buffers", "_modules")}


def _holds_tensors(value: Any, seen: set[int]) -> bool:
    """Whether there is a tensor or a network in a value, in its items or in its attributes."""
    if id(value) in seen:
        return False
    seen.add(id(value))
    if isinstance(value, Mapping):
        return any(_holds_tensors(inner, seen) for inner in value.values())
    if isinstance(value, list | tuple | set):
        return any(_holds_tensors(inner, seen) for inner in value)
    if isinstance(value, Tensor | nn.Module):
        return True
    if isinstance(value, Distribution | type) or callable(value):
        return False
    return hasattr(value, "__dict__") and _holds_tensors(vars(value), seen)


def _plain(algorithm: Algorithm) -> Iterator[tuple[str, float]]:
    """The numbers that the algorithm's own modules keep as attributes."""
    for path, module in algorithm.named_modules():
        for name, value in _own(module).items():
            if isinstance(value, int | float) and name != "training":
                yield f"{path}.{name}".lstrip("."), value
