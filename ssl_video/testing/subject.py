"""The algorithm under check, and functions to build and run it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

import torch
from torch import Tensor, nn

from ssl_video.contract import Algorithm, Batch, LossOutput, Task
from ssl_video.errors import InputError
from ssl_video.options import declared, unvalidated
from ssl_video.registry import algorithms
from ssl_video.testing import clips
from ssl_video.testing.networks import CLASSES, Small

Networks = Literal["plain", "batch-norm"]
TASK = Task(CLASSES, clips.NUM_UNLABELED)
LATE = 0.999  # when ramps and phases are over


class Subject:
    """An algorithm's class under check.

    Attributes:
        name: its name in messages.
        constructor: the class.
        networks: the kind of small networks that instances are given.
        chosen: options of all instances that differ from the defaults.
    """

    def __init__(
        self,
        name: str,
        constructor: type[Algorithm],
        networks: Networks = "plain",
        chosen: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.name, self.constructor, self.networks, self.chosen = name, constructor, networks, chosen

    def given(self, networks: Networks, chosen: Mapping[str, Any]) -> "Subject":
        """Return the same subject with other networks and options."""
        return Subject(self.name, self.constructor, networks, chosen)

    @property
    def ways(self) -> list[dict[str, Any]]:
        """Every non-default value of the `Literal` options, each as a dict of one option."""
        return [
            {name: way}
            for name, default in self.options.items()
            if get_origin(self.hints.get(name)) is Literal
            for way in get_args(self.hints[name])
            if way != default
        ]

    @property
    def options(self) -> dict[str, Any]:
        """The options with their defaults."""
        return {name: option.default for name, option in declared(self.constructor).items()}

    @property
    def hints(self) -> dict[str, Any]:
        """The types of the options that have an annotation."""
        found = declared(self.constructor).items()
        return {name: option.type for name, option in found if option.annotation is not None}

    @property
    def eager(self) -> dict[str, Any]:
        """Options with which every prediction is used."""
        return {"threshold": 0.0} if "threshold" in self.options else {}

    def build(
        self,
        *,
        network: Callable[[], nn.Module] | None = None,
        seed: int = 0,
        validate: bool = False,
        **options: Any,
    ) -> Algorithm:
        """Return an instance with fresh networks (by default small ones), in training mode.

        Options are not validated by default: checks use values that no user may give, such as a threshold
        that no confidence reaches.
        """
        torch.manual_seed(seed)
        make = network or (lambda: Small(self.networks == "batch-norm"))
        networks = {role: make() for role in self.constructor.roles}
        given = networks | dict(self.chosen) | options
        with nullcontext() if validate else unvalidated():
            return self.constructor(TASK, **given).train()


def subject(algorithm: str | type[Algorithm]) -> Subject:
    """Return the subject for a name, `path/to/file.py:name` or a class.

    Raises:
        InputError: there is no such algorithm, or it is not a subclass of `Algorithm`.
    """
    entry: Any = algorithms.get(algorithm) if isinstance(algorithm, str) else algorithm
    name = algorithm if isinstance(algorithm, str) else algorithm.__name__
    if not (inspect.isclass(entry) and issubclass(entry, Algorithm)):
        raise InputError(f"{name} is not a subclass of ssl_video.Algorithm")
    return Subject(name, entry)


def unlabeled_terms(output: LossOutput) -> dict[str, Tensor]:
    """Return the terms of unlabeled clips."""
    return {name: term for name, term in output.terms.items() if name.startswith("unlabeled")}


def values(output: LossOutput) -> dict[str, float]:
    """Return the terms as numbers."""
    return {name: term.item() for name, term in output.terms.items()}


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of terms."""
    return torch.stack(list(terms.values())).sum()


def gradients(algorithm: Algorithm, loss: Tensor) -> dict[str, Tensor | None]:
    """Return the gradient of every trained parameter."""
    algorithm.zero_grad()
    if loss.requires_grad:
        loss.backward()
    return {name: p.grad for name, p in algorithm.named_parameters() if p.requires_grad}


def seeded(algorithm: Algorithm, batch: Batch, progress: float = LATE, seed: int = 7) -> LossOutput:
    """Return the loss of a copy of the batch, with torch's generator seeded by `seed`."""
    torch.manual_seed(seed)
    made: LossOutput = algorithm(clips.copied(batch), progress)
    return made


def train(
    algorithm: Algorithm,
    batches: Sequence[Batch],
    progresses: Sequence[float],
    before: Callable[[Algorithm], None] = lambda _: None,
    between: Callable[[Algorithm], None] = lambda _: None,
    cut: Callable[[Batch], Sequence[Batch]] = lambda batch: [batch],
) -> list[dict[str, float]]:
    """Run a few steps of gradient descent from a fixed seed and return each step's mean terms over its parts.

    Args:
        algorithm: the algorithm to train.
        batches: one per step.
        progresses: one per step.
        before: called before each step.
        between: called after the gradients are computed and before they are used.
        cut: cuts a step's batch into parts, which pass one after the other.
    """
    torch.manual_seed(3)
    history = []
    for batch, progress in zip(batches, progresses, strict=True):
        before(algorithm)
        algorithm.zero_grad()
        parts, found = cut(batch), list[dict[str, float]]()
        for part in parts:
            output = algorithm(clips.copied(part), progress)
            (output.loss / len(parts)).backward()
            found.append(values(output))
        between(algorithm)
        # Without torch.optim, whose first use imports half of torch and takes seconds.
        with torch.no_grad():
            for parameter in algorithm.parameters():
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad, alpha=0.2)
        algorithm.after_step(progress)
        history.append(mean(found))
    return history


def mean(terms: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each term."""
    return {name: sum(each[name] for each in terms) / len(terms) for name in terms[0]}


def without_draws(subject: Subject) -> set[str]:
    """Return the names of the terms that do not depend on torch's random numbers."""
    algorithm = subject.build(**subject.eager)
    state = {key: value.clone() for key, value in algorithm.state_dict().items()}
    batch = clips.moving(algorithm)
    found = []
    for seed in (11, 12):
        algorithm.load_state_dict(state)
        found.append(values(seeded(algorithm, batch, seed=seed)))
    return {name for name, value in found[0].items() if found[1].get(name) == value}


def frozen(algorithm: Algorithm) -> dict[str, nn.Module]:
    """Return teachers: the outermost sub-modules with parameters of which none is trained."""
    found: dict[str, nn.Module] = {}
    for name, module in algorithm.named_modules():
        parameters = list(module.parameters())
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if name and parameters and not inside and not any(p.requires_grad for p in parameters):
            found[name] = module
    return found


def student(algorithm: Algorithm) -> str:
    """Return the role whose training is tested: the headline, or the network that its teacher averages."""
    headline = next(iter(algorithm.predictors()))
    return headline if headline in algorithm.roles else next(iter(algorithm.roles))
