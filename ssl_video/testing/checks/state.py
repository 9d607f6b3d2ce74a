"""Checks of state: resuming, checkpoints, several processes, and batches in parts."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ssl_video.contract import Algorithm, Batch
from ssl_video.testing import clips
from ssl_video.testing.check import Failed, NotApplicable, check
from ssl_video.testing.processes import TwoRanks
from ssl_video.testing.subject import Subject, mean, train, without_draws

_STEPS, _SEEDS = (0.1, 0.5, 0.9), (1, 2, 3)
_History = list[dict[str, float]]


@check(
    "resume",
    promise="A fresh instance that loads the state continues exactly like the old one.",
    reason="Methods have no code of their own for saving. Anything outside the state is lost when a run "
    "is resumed, and the run ends with different numbers.",
    ways=True,
    fix="Keep all state in parameters and buffers (register_buffer).",
)
def resume(subject: Subject) -> None:
    algorithm = subject.build(**subject.eager)
    batches = [clips.moving(algorithm, seed) for seed in _SEEDS]
    train(algorithm, batches, _STEPS)
    other = subject.build(seed=5, **subject.eager)
    other.load_state_dict(algorithm.state_dict())
    # Compared as text, because NaN does not equal itself.
    if repr(train(other, batches, _STEPS)) != repr(train(algorithm, batches, _STEPS)):
        raise Failed("three steps after loading the state differ from those of the instance that saved it")


@check(
    "state-is-saved",
    promise="All tensors, and all numbers that training changes, are parameters or buffers.",
    reason="Others would be missing from a checkpoint and left behind when the algorithm moves to "
    "another device.",
    fix="self.register_buffer(name, tensor); a count of steps is a buffer, too, or comes from `progress`.",
)
def state_is_saved(subject: Subject) -> None:
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
    promise="Two processes with half of the clips each take the same steps as one process with all.",
    reason="Statistics, memories and contrasts over one process's shard of the batch make results depend "
    "on the number of GPUs. This is checked without batch norm, which computes its statistics per "
    "process.",
    networks=("plain",),
    fix="Gather the rows that are compared over the batch: `ssl_video.gather(rows)`. Features also "
    "have to be those of the clips that they are used for: see the order in "
    "`ssl_video.forward_views`.",
)
def two_processes(subject: Subject) -> None:
    _compare(subject, _two, "two processes")


@check(
    "parts",
    promise="The halves of a batch give the step of the whole batch, or the class declares `whole_batch`.",
    reason="`--accumulate` passes a step's batch in parts. This would silently change a method that "
    "compares, averages or mixes the clips of a batch. This is checked without batch norm.",
    networks=("plain",),
    fix="Declare `whole_batch = True`: such a method is not run in parts.",
)
def parts(subject: Subject) -> None:
    if subject.build().whole_batch:
        raise NotApplicable("it declares `whole_batch`")
    _compare(subject, _halves, "parts")


def _compare(
    subject: Subject,
    shared: Callable[[Subject, dict[str, Any]], tuple[_History, dict[str, Tensor]]],
    where: str,
) -> None:
    """Check that three steps with the whole batch and with its shards have the same terms and final state."""
    steady = without_draws(subject)
    # Threshold 0 uses all clips, one in between uses only some of them.
    for options in [subject.eager, {"threshold": 0.45}] if subject.eager else [{}]:
        alone = subject.build(**options)
        batches = [clips.moving(alone, seed) for seed in _SEEDS]
        terms, (found, state) = train(alone, batches, _STEPS), shared(subject, options)
        if _agree(terms, found, steady, where):
            _same(alone.state_dict(), state, where)
    if not steady:
        raise NotApplicable("every term draws at random")


def _two(subject: Subject, options: dict[str, Any]) -> tuple[_History, dict[str, Tensor]]:
    """Return mean terms of three steps of two processes, and the first process's final state."""
    # Built before the threads start, because they share torch's generator.
    both, pair = [subject.build(**options) for _ in range(2)], TwoRanks()

    def steps(rank: int) -> _History:
        shards = [_half(clips.moving(both[rank], seed), rank) for seed in _SEEDS]
        return train(both[rank], shards, _STEPS, pair.same_buffers, pair.average)

    histories = pair.run(steps)
    return [mean(terms) for terms in zip(*histories, strict=True)], both[0].state_dict()


def _halves(subject: Subject, options: dict[str, Any]) -> tuple[_History, dict[str, Tensor]]:
    """Return mean terms of three steps in two parts, and the final state."""
    algorithm = subject.build(**options)
    batches = [clips.moving(algorithm, seed) for seed in _SEEDS]
    terms = train(algorithm, batches, _STEPS, cut=lambda batch: [_half(batch, number) for number in (0, 1)])
    return terms, algorithm.state_dict()


def _half(batch: Batch, number: int) -> Batch:
    """Return the first or the second half of a batch's clips."""
    rows, labeled = (
        range(number * size // 2, (number + 1) * size // 2) for size in (clips.UNLABELED, clips.LABELED)
    )
    return clips.picked(batch, rows, labeled)


def _agree(alone: _History, shared: _History, steady: set[str], where: str) -> bool:
    """Check that whole batch and shards have the same terms; return whether nothing was drawn at random."""
    for step, (whole, means) in enumerate(zip(alone, shared, strict=True), 1):
        for name in steady & whole.keys():
            if abs(means[name] - whole[name]) > 1e-4 * (1 + abs(whole[name])):
                raise Failed(f"{name} of step {step} is {whole[name]:.6f}, and in {where} {means[name]:.6f}")
        if not whole.keys() <= steady:
            return False  # draws differ, so the weights of the next step differ, too
    return True


def _same(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], where: str) -> None:
    for name, value in expected.items():
        if not torch.allclose(found[name].double(), value.double(), rtol=1e-3, atol=1e-4):
            raise Failed(f"{name} differs after three steps in {where}")


def _own(module: nn.Module) -> dict[str, Any]:
    """Return a module's attributes, without torch's own containers."""
    return {k: v for k, v in vars(module).items() if k not in ("_parameters", "_buffers", "_modules")}


def _holds_tensors(value: Any, seen: set[int]) -> bool:
    """Return whether a value, its items or its attributes contain a tensor or a network."""
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
    """Yield the numbers among the attributes of all modules of the algorithm, by name."""
    for path, module in algorithm.named_modules():
        for name, value in _own(module).items():
            if isinstance(value, int | float) and name != "training":
                yield f"{path}.{name}".lstrip("."), value
