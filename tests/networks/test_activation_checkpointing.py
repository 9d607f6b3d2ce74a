"""Activation checkpointing: the same numbers from less memory."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ssl_video import backbones
from ssl_video.errors import InputError
from ssl_video.networks.activation_checkpointing import blocks, save_activations, saved_bytes
from ssl_video.registry import algorithms
from ssl_video.training.execution import Execution
from ssl_video.training.loop import fit
from ssl_video.training.run import Plan
from ssl_video.training.state import Training


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2), nn.Dropout(0.5), nn.Conv1d(2, 2, 1))

    def forward(self, clip: Tensor) -> Tensor:
        """(N, 2, L) -> (N, 2, L)."""
        made: Tensor = clip + self.body(clip)
        return made


def stage() -> nn.Sequential:
    return nn.Sequential(Residual(), Residual())


def test_blocks_are_the_innermost_repeated_ones() -> None:
    """Two stages of two residual blocks: the blocks, neither the stages nor a block's convolutions."""
    stages = nn.Sequential(nn.Conv1d(2, 2, 1), stage(), stage(), nn.Flatten())
    assert blocks(stages) == [block for n in (1, 2) for block in stages[n]]
    assert blocks(nn.Sequential(nn.Conv1d(2, 2, 1), nn.Conv1d(2, 2, 1))) == []


@pytest.fixture
def narrow() -> nn.Module:
    torch.manual_seed(0)
    return backbones.create("slow_r50", num_classes=3, width=0.125, frames=4, size=32).train()


def gradients(network: nn.Module, clip: Tensor) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """Logits, gradients and buffers after a forward and a backward pass."""
    torch.manual_seed(1)
    logits = network(clip)
    logits.square().sum().backward()
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return logits, found, dict(network.named_buffers())


@pytest.mark.parametrize("kind", ["residual", "slow_r50"])
def test_the_numbers_are_the_same(kind: str, narrow: nn.Module) -> None:
    """Logits, gradients and batch-norm averages; dropout drops the same units in both passes."""
    plain = stage() if kind == "residual" else narrow
    clip = torch.randn(3, 2, 5) if kind == "residual" else torch.randn(2, 3, 4, 32, 32)
    frugal = copy.deepcopy(plain)
    save_activations(frugal)
    assert plain.state_dict().keys() == frugal.state_dict().keys()
    for one, other in zip(gradients(plain, clip), gradients(frugal, clip), strict=True):
        pairs = zip(one.values(), other.values(), strict=True) if isinstance(one, dict) else [(one, other)]
        assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in pairs)


def test_batch_norms_that_are_replaced_later_are_averaged_once() -> None:
    """As for several processes: the mean of one step's batch, times the momentum of 0.5."""
    network = stage()
    save_activations(network)
    norm = nn.BatchNorm1d(2, momentum=0.5)
    network[0].body = nn.Sequential(norm)
    clip = torch.full((3, 2, 5), 4.0) + torch.randn(3, 2, 5)
    network(clip).sum().backward()
    assert norm.num_batches_tracked == 1
    assert norm.running_mean is not None
    assert torch.allclose(norm.running_mean, clip.mean((0, 2)) / 2)


def test_less_is_kept(narrow: nn.Module) -> None:
    clip = torch.randn(2, 3, 4, 32, 32)
    before = saved_bytes(lambda: narrow(clip))
    save_activations(narrow)
    assert saved_bytes(lambda: narrow(clip)) < before / 2


def test_saved_bytes_are_counted_once() -> None:
    """A product keeps both factors, 4 floats each; a square keeps its argument twice."""
    a, b = torch.ones(4, requires_grad=True), torch.ones(4, requires_grad=True)
    assert saved_bytes(lambda: a * b) == 2 * 4 * 4
    assert saved_bytes(lambda: a * a) == 4 * 4


def test_without_gradient_nothing_runs_twice(narrow: nn.Module) -> None:
    calls: list[int] = []
    block = blocks(narrow)[0]
    block.register_forward_hook(lambda *_: calls.append(1))
    save_activations(narrow)
    with torch.no_grad():
        narrow(torch.randn(1, 3, 4, 32, 32))
    assert len(calls) == 1


def test_a_network_without_blocks() -> None:
    with pytest.raises(InputError, match="needs a network of repeated blocks, and Sequential has none"):
        save_activations(nn.Sequential(nn.Linear(2, 2)))


def test_compiling_as_well_is_refused() -> None:
    with pytest.raises(InputError, match="--compile and --activation-checkpointing exclude each other"):
        Execution("cpu", compile=True, activation_checkpointing=True)


SMALL = """
from torch import nn
from ssl_video import backbone


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv3d(4, 4, 1), nn.ReLU(), nn.Conv3d(4, 4, 1))

    def forward(self, clip):
        return clip + self.body(clip)


@backbone("small-blocks")
def small(num_classes, *, width=1.0, frames, size):
    '''Two residual blocks.'''
    body = [nn.Conv3d(3, 4, 1), Block(), Block(), nn.AdaptiveAvgPool3d(1), nn.Flatten()]
    return nn.Sequential(*body, nn.Linear(4, num_classes))
"""


@pytest.mark.parametrize("name", algorithms.builtin())
def test_every_network_that_is_trained_is_saved(
    make_plan: Callable[..., Plan], tmp_path: Path, name: str
) -> None:
    """Tested ones and others, as the second network of LTG."""
    (tmp_path / "small.py").write_text(SMALL)
    made = make_plan(algorithm=name, backbone=f"{tmp_path}/small.py:small-blocks", width=1, frames=4)
    execution = Execution("cpu", activation_checkpointing=True)
    run = Training(made.spec, made.data, made.partition, tmp_path, execution)
    for role in run.algorithm.roles:
        found = blocks(run.algorithm.get_submodule(role))
        assert len(found) == 2
        assert all("forward" in vars(block) for block in found), role


def test_every_network_that_is_trained_is_compiled(
    make_plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = list[nn.Module]()
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    made = make_plan(algorithm="ltg")
    run = Training(made.spec, made.data, made.partition, tmp_path, Execution("cpu", compile=True))
    assert compiled == [run.algorithm.model, run.algorithm.gradient]


def test_a_run_trains_the_same(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    made = make_plan(algorithm="fixmatch", backbone="slow_r50", frames=4, size=32, steps=2)
    weights = []
    for frugal in (False, True):
        folder = tmp_path / str(frugal)
        folder.mkdir()
        execution = Execution("cpu", threads=1, activation_checkpointing=frugal)
        run = Training(made.spec, made.data, made.partition, folder, execution)
        fit(run)
        weights.append(run.algorithm.state_dict())
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.allclose(weights[0][n].float(), weights[1][n].float(), atol=1e-4) for n in weights[0])
