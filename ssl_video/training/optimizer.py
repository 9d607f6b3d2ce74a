"""The optimizer, its learning-rate schedule, and gradient clipping."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ssl_video.contract import Algorithm
from ssl_video.spec import Spec


def make_optimizer(algorithm: Algorithm, spec: Spec) -> torch.optim.Optimizer:
    """Return the optimizer; weight decay applies to matrices and kernels, not to biases and norm layers."""
    trained = [p for p in algorithm.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
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
    """Set and return a step's learning rate: linear warm-up, then a half cosine to zero, without state."""
    warmup = spec.warmup * spec.steps
    if step < warmup:
        rate = spec.learning_rate * (step + 1) / (math.floor(warmup) + 1)
    else:
        rate = spec.learning_rate * (1 + math.cos(math.pi * (step - warmup) / (spec.steps - warmup))) / 2
    for group in optimizer.param_groups:
        group["lr"] = rate
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
