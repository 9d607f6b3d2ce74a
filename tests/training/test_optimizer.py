"""The learning rate of each step, what is decayed, and how gradients are limited."""

import math
from typing import ClassVar

import pytest
import torch
from helpers.numbers import close
from torch import nn

from ssl_video.contract import Algorithm, Network, Task
from ssl_video.networks.memory_format import place
from ssl_video.spec import build
from ssl_video.training.optimizer import clip_gradients, clip_groups, make_optimizer, set_learning_rate


def rates(**values: object) -> list[float]:
    spec = build({"learning_rate": 1.0, **values})
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=9.0)
    made = [set_learning_rate(optimizer, spec, step) for step in range(spec.steps)]
    assert optimizer.param_groups[0]["lr"] == made[-1]
    return made


def test_learning_rate_without_warmup() -> None:
    """Half a cosine over 4 steps: (1 + cos(k pi / 4)) / 2 for k = 0 to 3; zero would be step 4."""
    half = math.sqrt(0.5)
    assert rates(steps=4, warmup=0) == close([1, (1 + half) / 2, 0.5, (1 - half) / 2])


def test_learning_rate_with_warmup() -> None:
    """2 of 6 steps rise, by thirds, and reach 1 at the third; then half a cosine over 4 steps."""
    half = math.sqrt(0.5)
    expected = [1 / 3, 2 / 3, 1, (1 + half) / 2, 0.5, (1 - half) / 2]
    assert rates(steps=6, warmup=1 / 3) == close(expected)


def test_learning_rate_with_a_warmup_of_parts_of_steps() -> None:
    """2.5 of 5 steps: 1/3, 2/3, 3/3, then the cosine at 0.5 / 2.5 and 1.5 / 2.5 of its half."""
    cosine = [(1 + math.cos(math.pi * part)) / 2 for part in (0.2, 0.6)]
    assert rates(steps=5, warmup=0.5) == close([1 / 3, 2 / 3, 1, *cosine])
    assert rates(steps=1, warmup=0.9) == [1]
    assert all(0 < rate <= 1 for rate in rates(steps=50, warmup=0.33))


class Two(Algorithm):
    """Two networks with known weights, and a projection beside them."""

    roles: ClassVar = {"left": Network(), "right": Network()}

    def __init__(self, task: Task | None = None) -> None:
        super().__init__()
        self.left, self.right = nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2)
        self.projection = nn.Linear(2, 1, bias=False)
        self.right.bias.requires_grad_(False)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_weight_decay_applies_to_matrices_and_kernels(name: str) -> None:
    algorithm = Two()
    spec = build({"optimizer": name, "weight_decay": 0.25, "learning_rate": 0.5, "momentum": 0.75})
    optimizer = make_optimizer(algorithm, spec)
    names = {id(p): n for n, p in algorithm.named_parameters()}
    found = {names[id(p)]: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert found == {
        "left.weight": 0.25,
        "projection.weight": 0.25,
        "left.bias": 0,
        "right.weight": 0,
    }, "right.bias is not trained"
    assert all(group["lr"] == 0.5 for group in optimizer.param_groups)
    if name == "sgd":
        assert all(g["momentum"] == 0.75 and g["nesterov"] for g in optimizer.param_groups)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_the_first_step_of_kernels_that_lie_channels_last(name: str) -> None:
    """Every weight moves by its own gradient, which a fused optimizer reads from memory in order.

    AdamW's first step is 0.1 along the sign of the gradient, after a decay of 0.1 * 0.5. That of Nesterov's
    SGD is 0.1 * (1 + 0.75) times the gradient with the decay's 0.5 * weight.
    """
    torch.manual_seed(0)
    algorithm = Two()
    algorithm.left = place(nn.Sequential(nn.Conv3d(2, 3, 3), nn.Conv3d(3, 4, 1)), torch.device("cpu"))
    spec = build({"optimizer": name, "weight_decay": 0.5, "learning_rate": 0.1, "momentum": 0.75})
    optimizer = make_optimizer(algorithm, spec)
    algorithm.left(torch.randn(2, 2, 4, 4, 4)).square().sum().backward()
    kernels = [algorithm.left[n].weight for n in (0, 1)]
    before = [(kernel.detach().clone(), kernel.grad.clone()) for kernel in kernels]
    optimizer.step()
    for kernel, (weight, gradient) in zip(kernels, before, strict=True):
        adamw = weight * (1 - 0.1 * 0.5) - 0.1 * gradient.sign()
        sgd = weight - 0.1 * 1.75 * (gradient + 0.5 * weight)
        torch.testing.assert_close(kernel, adamw if name == "adamw" else sgd, rtol=1e-4, atol=1e-4)


def test_sgd_without_momentum() -> None:
    make_optimizer(Two(), build({"optimizer": "sgd", "momentum": 0}))


def norm(module: nn.Module) -> float:
    grads = [p.grad for p in module.parameters() if p.grad is not None]
    return float(torch.cat([g.flatten() for g in grads]).norm())


def with_gradients(left: float, right: float, projection: float) -> Two:
    """An algorithm whose parts have gradients of these norms."""
    algorithm = Two()
    for part, wanted in (
        (algorithm.left, left),
        (algorithm.right, right),
        (algorithm.projection, projection),
    ):
        parameters = [p for p in part.parameters() if p.requires_grad]
        count = sum(p.numel() for p in parameters)
        for parameter in parameters:
            parameter.grad = torch.full_like(parameter, wanted / math.sqrt(count))
    return algorithm


def test_gradients_are_limited_for_each_network_by_itself() -> None:
    """Norms 10, 1 and 6, limit 2: the small one stays although all together have norm 11.7."""
    algorithm = with_gradients(10, 1, 6)
    clip_gradients(clip_groups(algorithm), 2)
    parts = algorithm.left, algorithm.right, algorithm.projection
    assert [norm(part) for part in parts] == close([2, 1, 2])


def test_gradients_are_left_alone_without_a_limit() -> None:
    algorithm = with_gradients(10, 1, 6)
    clip_gradients(clip_groups(algorithm), 0)
    assert norm(algorithm.left) == close(10)
