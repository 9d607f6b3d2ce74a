"""The optimizer, its learning-rate schedule, and gradient clipping."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ssl_video.contract import Algorithm
from ssl_video.networks.fine_tuning import FineTuning, Rule
from ssl_video.spec import Spec


def make_optimizer(
    algorithm: Algorithm, spec: Spec, fine_tuned: Sequence[FineTuning] = ()
) -> torch.optim.Optimizer:
    """Return the optimizer; weight decay applies to matrices and kernels, not to biases and norm layers.

    Args:
        algorithm: all of its parameters that require gradients are trained.
        spec: the specification.
        fine_tuned: networks with other learning rates below their heads.
    """
    special = {p: rule for network in fine_tuned for p, rule in network.rules().items()}
    trained = [(p, special.get(p, Rule())) for p in algorithm.parameters() if p.requires_grad]
    groups = [
        {
            "params": [p for p, own in trained if own == rule and (p.ndim > 1) == decayed],
            "weight_decay": spec.weight_decay if decayed else 0.0,
            **rule._asdict(),
        }
        for decayed in (True, False)
        for rule in dict.fromkeys([Rule(), *(own for _, own in trained)])
    ]
    # Fused: torch's default on the CPU reads and writes all weights once for each operation of the formula.
    # It requires gradients with the memory layout of their weights, which autograd guarantees.
    if spec.optimizer == "sgd":
        nesterov = spec.momentum > 0
        return torch.optim.SGD(
            groups, lr=spec.learning_rate, momentum=spec.momentum, nesterov=nesterov, fused=True
        )
    return torch.optim.AdamW(groups, lr=spec.learning_rate, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, spec: Spec, step: int) -> float:
    """Set and return a step's learning rate: linear warm-up, then a half cosine to zero, without state.

    A group of parameters has that rate times its multiplier. One that is trained from a later step on has a
    warm-up of its own from there, and the rate 0 before.
    """
    warmup = spec.warmup * spec.steps
    if step < warmup:
        rate = spec.learning_rate * (step + 1) / (math.floor(warmup) + 1)
    else:
        rate = spec.learning_rate * (1 + math.cos(math.pi * (step - warmup) / (spec.steps - warmup))) / 2
    for group in optimizer.param_groups:
        first = group.get("first_step", 0)
        rise = min(1.0, (step - first + 1) / (math.floor(warmup) + 1)) if first else 1.0
        group["lr"] = rate * max(0.0, rise) * group.get("multiplier", 1.0)
    return rate


def clip_groups(algorithm: Algorithm) -> list[list[nn.Parameter]]:
    """Return the parameters whose gradients are clipped together: those of each network, then all others.

    One network does not scale the other's step. Parameters beside networks are for example projections.
    """
    networks = [list(algorithm.get_submodule(role).parameters()) for role in algorithm.roles]
    inside = {id(parameter) for network in networks for parameter in network}
    return [*networks, [parameter for parameter in algorithm.parameters() if id(parameter) not in inside]]


def clip_gradients(groups: Sequence[Sequence[nn.Parameter]], largest: float) -> None:
    """Clip the gradient norm of each group; see `clip_groups`. With 0, it does nothing."""
    if largest > 0:
        for parameters in groups:
            nn.utils.clip_grad_norm_(parameters, largest)


def finite(algorithm: Algorithm) -> Tensor:
    """Return whether every gradient is finite, as a boolean scalar on the device."""
    gradients = [p.grad for p in algorithm.parameters() if p.grad is not None]
    return torch.stack(torch._foreach_norm(gradients)).isfinite().all()
