"""Networks that torch compiles train as others do."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from ssl_video.runs import checkpoint
from ssl_video.training.execution import Execution
from ssl_video.training.loop import fit
from ssl_video.training.run import Plan
from ssl_video.training.state import Training

MakePlan = Callable[..., Plan]
ONCE = Execution("cpu", checkpoint_seconds=1e9)


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiled_networks_are_the_same(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """Up to rounding, and under the same names.

    The default backend takes a minute and a C++ compiler; the other one goes the same way up to the code that
    it makes.
    """
    if backend == "inductor" and not (os.environ.get("SSL_VIDEO_SLOW_TESTS") and shutil.which("g++")):
        pytest.skip("takes a minute: set SSL_VIDEO_SLOW_TESTS=1")
    plain_compile, compiled_networks = nn.Module.compile, list[nn.Module]()

    def spy(network: nn.Module) -> None:
        compiled_networks.append(network)
        plain_compile(network, backend=backend)

    monkeypatch.setattr(nn.Module, "compile", spy)
    made = make_plan(algorithm="supervised", steps=2)

    def stepped(execution: Execution) -> dict[str, torch.Tensor]:
        run = Training(made.spec, made.data, made.partition, tmp_path, execution)
        fit(run)
        (tmp_path / checkpoint.CURRENT).unlink()
        return run.assembly.state()["algorithm"]

    plain, compiled = stepped(ONCE), stepped(Execution("cpu", checkpoint_seconds=1e9, compile=True))
    assert len(compiled_networks) == 1
    assert plain.keys() == compiled.keys()
    assert all(torch.allclose(plain[name], compiled[name], rtol=1e-2, atol=1e-4) for name in plain)


def test_hooks_of_compiled_networks_note_every_pass() -> None:
    """With gradient: what algorithms take for features is the input of an inner layer."""
    torch.manual_seed(0)
    network, noted = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)), list[torch.Tensor]()
    network[2].register_forward_pre_hook(lambda _, inputs: noted.append(inputs[0]))
    network.compile(backend="aot_eager")
    for _ in range(2):
        noted.clear()
        given = torch.randn(4, 2)
        network(given)
        assert len(noted) == 1
        assert torch.allclose(noted[0], network[1](network[0](given)))
        network.zero_grad()
        noted[0].sum().backward()
        assert network[0].weight.grad is not None
        assert network[0].weight.grad.any()
