"""The moving average as a predictor, looks at validation clips, and compiled networks."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ssl_video.data.dataset import Data
from ssl_video.engine import checkpoint, exported, record, trained
from ssl_video.engine.processes import Execution
from ssl_video.engine.run import Plan, Stopped, run
from ssl_video.engine.train import Training, fit
from ssl_video.errors import InputError

MakePlan = Callable[..., Plan]
CPU = torch.device("cpu")
ONCE = Execution("cpu", checkpoint_seconds=1e9)
LOOKING = Execution("cpu", checkpoint_seconds=1e9, evaluate_every=2)


def looks(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / record.VALIDATION).read_text().splitlines()]


# -- the moving average


def test_the_average_by_hand(make_training: Callable[..., Training]) -> None:
    """Decay 0.75: the plain mean of the first four states, then three quarters of what it was."""
    made = make_training(algorithm="fixmatch", steps=4, ema=0.75, learning_rate=0.1)
    network, average = made.algorithm.get_submodule("model"), made.assembly.average
    assert average is not None
    name = next(iter(dict(network.named_parameters())))
    expected = network.state_dict()[name].clone()
    before = expected.clone()

    shares = iter([1 / 2, 1 / 3, 1 / 4, 1 / 4])

    def note(_: float) -> None:
        expected.lerp_(network.state_dict()[name], next(shares))

    made.algorithm.after_step = note  # type: ignore[method-assign]
    fit(made)
    assert torch.allclose(average.network.state_dict()[name], expected)
    assert not torch.allclose(expected, before)


# One network, two, a teacher that is tested first, two teachers, several views of one network.
@pytest.mark.parametrize("name", ["supervised", "cmpl", "svformer", "timebalance", "mvpl"])
def test_an_average_is_tested_and_exported(
    make_plan: MakePlan, data: Data, tmp_path: Path, name: str
) -> None:
    result = run(make_plan(algorithm=name, ema=0.5, learning_rate=0.05), tmp_path, ONCE)
    plain = run(make_plan(algorithm=name, learning_rate=0.05), tmp_path / "plain", ONCE)
    scores = dict(result["predictors"])
    assert list(scores)[-1] == "ema"
    assert result["predictor"] == plain["predictor"]
    del scores["ema"]
    assert scores == plain["predictors"], "the average must not change the run"
    assert trained.evaluate(trained.load(tmp_path, CPU), data) == result["predictors"]


def test_an_algorithm_with_an_average_of_its_own(make_plan: MakePlan, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from ssl_video import algorithm\n"
        "from ssl_video.algorithms.supervised import Supervised\n\n"
        "@algorithm('own')\nclass Own(Supervised):\n    '''It has one.'''\n\n"
        "    def predictors(self):\n        return {'ema': self.model}\n"
    )
    made = make_plan(algorithm=f"{tmp_path / 'own.py'}:own", ema=0.5)
    with pytest.raises(InputError, match="has a predictor 'ema' of its own"):
        run(made, tmp_path / "run", ONCE)


# -- looks at the validation clips


def test_looks_are_recorded_and_change_nothing(make_plan: MakePlan, plugin: str, tmp_path: Path) -> None:
    """After steps 1 and 3 of 0 to 4, and after the last; a run that was stopped in between has the same."""
    made = make_plan(algorithm=plugin, validation=1, steps=5, learning_rate=0.05)
    assert len(made.partition.validation) == 3
    run(made, tmp_path / "without", ONCE)
    result = run(made, tmp_path / "straight", LOOKING)
    found = looks(tmp_path / "straight")
    assert [line["step"] for line in found] == [1, 3, 4]
    assert {name: found[-1][name] for name in result["validation"]} == result["validation"]
    assert list(result["validation"]) == ["teacher", "student", "other"]
    for _ in range(made.spec.steps):
        with pytest.raises(Stopped):
            run(made, tmp_path / "stopped", LOOKING, stopping=lambda: True)
    run(made, tmp_path / "stopped", LOOKING)
    assert looks(tmp_path / "stopped") == found
    weights = [
        exported.load(tmp_path / name / checkpoint.FINAL)["algorithm"]
        for name in ("without", "straight", "stopped")
    ]
    assert all(torch.equal(weights[0][name], other[name]) for other in weights[1:] for name in weights[0])


def test_looks_without_clips_to_look_at(make_plan: MakePlan, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--evaluate-every needs clips to evaluate on"):
        run(make_plan(), tmp_path, LOOKING)
    assert run(make_plan(steps=1), tmp_path, ONCE)["validation"] == {}


# -- compiled networks


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
