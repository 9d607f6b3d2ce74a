"""Fine-tuning: a network that starts from weights, trained with less change below its head.

The head is the classifier, all else is below it. With few labels, the full learning rate destroys what the
weights know before the new head fits them. Remedies:

- a smaller rate below the head, or one that falls from block to block towards the input (layer-wise decay;
  Clark et al. 2020, ELECTRA, arXiv:2003.10555; here as in BEiT, Bao et al. 2022, arXiv:2106.08254);
- the head first, then everything (LP-FT; Kumar et al. 2022, arXiv:2202.10054), by steps that train the head
  alone, or by a head that starts as a logistic regression, see `training.head_start`;
- frozen batch norm: few clips give poor statistics;
- dropout before the head.
"""

import functools
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.backbones.matching import find_classifier
from ssl_video.errors import InputError, counted
from ssl_video.networks.activation_checkpointing import blocks
from ssl_video.spec import FINE_TUNING, NetworkSpec, Spec

# In names of pytorchvideo's networks: pathways side by side, whose blocks are counted for each.
_PATHWAYS = "multipathway_blocks."
_BatchNorm = nn.modules.batchnorm._BatchNorm


class Rule(NamedTuple):
    """The learning rate of a parameter.

    Attributes:
        multiplier: of the run's learning rate.
        first_step: the first step that trains it.
    """

    multiplier: float = 1.0
    first_step: int = 0


class FineTuning:
    """The training of one network below its head. It has no state: a step alone decides modes and rates.

    Args:
        network: the network; with frozen batch norm, the affine parameters of its batch norms are excluded
            from training.
        settings: its resolved settings.
        spec: the run's resolved specification.
        num_classes: number of classes.

    Attributes:
        first_step: the first step that trains more than the head.
        head: the classifiers.
        starts_fitted: whether the head starts as a logistic regression.

    Raises:
        InputError: the network has no classifier, no batch norm to freeze, or no blocks for layer-wise decay;
            or the head's steps round to none or to all.
    """

    def __init__(self, network: nn.Module, settings: NetworkSpec, spec: Spec, num_classes: int) -> None:
        name, problems = str(settings.backbone), list[str]()
        self.network, self.shape = network, (1, 3, settings.frames or spec.frames, spec.size, spec.size)
        self.rate, self.decay = settings.backbone_learning_rate or 1.0, settings.layer_decay or 1.0
        self.frozen_norm, self.starts_fitted = bool(settings.freeze_norm), settings.head_start == "logistic"
        self.first_step = round((settings.head_steps or 0.0) * spec.steps)
        self.head = find_head(network, num_classes, name)
        if self.frozen_norm and not _batch_norms(network):
            problems.append(f"freeze_norm freezes batch norm, and {name} has none: leave it out")
        if self.decay != 1 and not blocks(network):
            problems.append(
                f"layer_decay needs a network of repeated blocks, and {name} has none: leave it out; "
                "backbone_learning_rate works for every network"
            )
        if settings.head_steps and not 0 < self.first_step < spec.steps:
            problems.append(
                f"head_steps {settings.head_steps:g} of {counted(spec.steps, 'step')} is "
                f"{'all of them' if self.first_step else 'none'}: give another fraction, or leave it out"
            )
        if problems:
            raise InputError(*problems)
        if self.frozen_norm:
            for norm in _batch_norms(network):
                norm.requires_grad_(False)
        above = {parameter for layer in self.head for parameter in layer.parameters()}
        self.below = [p for p in network.parameters() if p.requires_grad and p not in above]
        self._waiting = False

    def begin(self, step: int) -> bool:
        """Set the network's modes and trained parameters for a step.

        Until `first_step`, all but the head is in evaluation mode and without gradient, as in a probe.

        Returns:
            Whether other parameters are trained than before.
        """
        waiting = step < self.first_step
        self.network.train(not waiting)
        for layer in self.head:
            layer.train()
        if self.frozen_norm:
            # Searched at every step, because conversion to synchronised batch norm replaces them.
            for norm in _batch_norms(self.network):
                norm.eval()
        changed, self._waiting = waiting != self._waiting, waiting
        if changed:
            for parameter in self.below:
                parameter.requires_grad_(not waiting)
        return changed

    def rules(self) -> dict[nn.Parameter, Rule]:
        """Return the learning rates of the parameters below the head; with layer-wise decay by a trial pass.

        Of n blocks, block i from 1 has the multiplier decay^(n + 1 - i). Before the first block (patches,
        positions, stem) it is decay^(n + 1), and after the last 1. All are multiplied by the rate.
        """
        numbers, count = self._numbers() if self.decay != 1 else ({}, 0)
        return {
            parameter: Rule(
                self.rate * self.decay ** (count + 1 - numbers.get(parameter, count + 1)), self.first_step
            )
            for parameter in self.below
        }

    def _numbers(self) -> tuple[dict[nn.Parameter, int], int]:
        """Return each parameter's block, from 1; 0 before the first, n + 1 after the last; and n."""
        called, found = self._called(), set(blocks(self.network))
        names = {module: name for name, module in self.network.named_modules()}
        number, counts = dict[nn.Module, int](), Counter[str]()
        for block in [module for module in called if module in found]:
            pathway = names[block].partition(_PATHWAYS)[2].partition(".")[0]
            counts[pathway] += 1
            number[block] = counts[pathway]
        numbers, current, left = dict[nn.Parameter, int](), 0, len(number)
        for block, place in number.items():
            numbers |= dict.fromkeys(block.parameters(), place)
        most = max(counts.values(), default=0)
        for module in called:
            current, left = number.get(module, current), left - (module in number)
            for parameter in module.parameters(recurse=False):
                # What is inside a block, the last one included, has its number already.
                numbers.setdefault(parameter, current if left else most + 1)
        # Those of modules that are never called are read by a module around them, often the network.
        return {p: numbers.get(p, 0) for p in self.network.parameters()}, most

    @torch.no_grad()
    def _called(self) -> list[nn.Module]:
        """Return the network's modules in the order of their first call."""
        called, mode = dict[nn.Module, None](), self.network.training
        handles = [
            module.register_forward_pre_hook(lambda module, _: called.setdefault(module))
            for module in self.network.modules()
        ]
        try:
            device = next(self.network.parameters()).device
            self.network.eval()(torch.zeros(self.shape, device=device))
        finally:
            self.network.train(mode)
            for handle in handles:
                handle.remove()
        return list(called)


def resolve(spec: Spec, role: str, given: NetworkSpec, *, probe: str, weights: bool) -> dict[str, Any]:
    """Return a network's settings of fine-tuning: its own, else the run's; of other networks the defaults.

    A network from random weights has nothing to preserve, for example the auxiliary one of CMPL beside a
    pretrained one.

    Args:
        spec: the run's specification.
        role: the network's role.
        given: the network's own settings.
        probe: its resolved probe.
        weights: whether it starts from weights.

    Raises:
        InputError: a probe, or a network without weights, has such a setting of its own.
    """
    own = {key: getattr(given, key) for key in FINE_TUNING}
    if weights and probe == "none":
        return {key: getattr(spec, key) if value is None else value for key, value in own.items()}
    if useless := [key for key, value in own.items() if value not in (None, FINE_TUNING[key])]:
        raise InputError(
            *(
                f"networks.{role}.{key} is for a trained network that starts from weights, and the network "
                f"of {role} {_other_start(probe)}: leave it out"
                for key in useless
            )
        )
    return dict(FINE_TUNING)


def unused(spec: Spec, networks: Mapping[str, NetworkSpec]) -> list[str]:
    """Return a problem for each of the run's settings of fine-tuning that no resolved network takes."""
    if any(network.weights and network.probe == "none" for network in networks.values()):
        return []
    reasons = " and ".join(
        f"the network of {role} {_other_start(network.probe)}" for role, network in networks.items()
    )
    return [
        f"{key} is for trained networks that start from weights, and in {spec.algorithm} {reasons}: "
        f"leave it out, or set it to {default}"
        for key, default in FINE_TUNING.items()
        if getattr(spec, key) != default
    ]


def has(settings: NetworkSpec) -> bool:
    """Return whether a resolved network is trained otherwise below its head."""
    return any(getattr(settings, key) not in (None, default) for key, default in FINE_TUNING.items())


def find_head(network: nn.Module, num_classes: int, name: str) -> list[nn.Module]:
    """Return a network's classifier, or all that stand side by side, as the two of a distilled DeiT.

    Args:
        network: the network.
        num_classes: number of classes.
        name: the network's name in the error.

    Raises:
        InputError: it has none.
    """
    found = find_classifier(network, num_classes)
    if not found:
        raise InputError(
            f"{name} has no linear layer or convolution with {num_classes} outputs, which would be its head: "
            f"leave out dropout, {', '.join(FINE_TUNING)}, or use another backbone"
        )
    last, around = network.get_submodule(found), network.get_submodule(found.rpartition(".")[0])
    if isinstance(around, nn.Sequential):
        return [last]  # what is beside it is below it, such as a hidden layer of as many outputs
    return [
        layer for layer in around.children() if type(layer) is type(last) and _shape(layer) == _shape(last)
    ]


def add_dropout(network: nn.Module, probability: float, num_classes: int, name: str) -> None:
    """Drop inputs of a network's classifier in training; names of weights do not change.

    It comes on top of the dropout that a network has of its own.

    Raises:
        InputError: see `find_head`.
    """
    # A hook, not a module around the classifier, whose weights would get other names.
    for layer in find_head(network, num_classes, name):
        layer.register_forward_pre_hook(functools.partial(_dropped, probability))


def _dropped(probability: float, layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return F.dropout(inputs[0], probability, layer.training), *inputs[1:]


def _other_start(probe: str | None) -> str:
    return "starts from random weights" if probe == "none" else "is frozen below its probe"


def _shape(layer: nn.Module) -> torch.Size:
    return layer.get_parameter("weight").shape


def _batch_norms(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]
