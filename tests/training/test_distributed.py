"""Two processes are one: the same clips, gradients, records, memories and accuracies."""

import inspect
import json
import multiprocessing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.methods import by_steps
from helpers.processes import side_by_side
from torch import nn

from ssl_video.contract import Batch
from ssl_video.data.dataset import Data
from ssl_video.errors import InputError
from ssl_video.inference.evaluate import probabilities
from ssl_video.registry import algorithms
from ssl_video.runs import checkpoint, weight_file
from ssl_video.runs.folder import METRICS, RunFolder
from ssl_video.runs.result import Accuracies
from ssl_video.spec import Spec
from ssl_video.testing.clips import moving
from ssl_video.testing.subject import seeded, subject, without_draws
from ssl_video.training.distributed import Processes
from ssl_video.training.execution import Execution
from ssl_video.training.loop import fit
from ssl_video.training.run import Plan, Stopped, run
from ssl_video.training.state import Tested, Training

pytestmark = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="the processes are forked"
)
MakePlan = Callable[..., Plan]
ONE = Execution("cpu", checkpoint_seconds=1e9)
TWO = Execution("cpu", checkpoint_seconds=1e9, devices=2)
# Batch norm takes its statistics over one process's clips, so that two processes are one without it only.
PLAIN = '''
from torch import nn
from ssl_video import backbone


@backbone("plain")
def plain(num_classes, *, width=1.0, frames, size):
    """A small network without batch norm."""
    channels = max(4, round(16 * width))
    return nn.Sequential(
        nn.Conv3d(3, channels, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(),
        nn.Linear(channels, num_classes),
    )
'''
# Weights move by the gradient itself, which therefore shows in them.
BARE = {
    "optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "clip_norm": 0.0, "warmup": 0.0,
    "learning_rate": 0.5, "steps": 3, "labeled_batch": 4, "unlabeled_batch": 4,
}  # fmt: skip


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("plain") / "plain.py"
    file.write_text(PLAIN)
    return f"{file}:plain"


def options(name: str) -> dict[str, Any]:
    """Pseudo-labels from the start, where there is a threshold."""
    takes = "threshold" in inspect.signature(algorithms.get(name)).parameters
    return {"threshold": 0.34} if takes else {}


def draws(name: str) -> bool:
    """Whether a method's loss depends on torch's random numbers, as where clips are mixed."""
    made = subject(name)
    algorithm = made.build(**made.eager)
    return without_draws(made) != set(seeded(algorithm, moving(algorithm)).terms)


def training(plan: Plan, folder: Path, execution: Execution) -> Training:
    folder.mkdir(exist_ok=True)
    return Training(plan.spec, plan.data, plan.partition, folder, execution)


def trained(plan: Plan, folder: Path, execution: Execution) -> dict[str, Any]:
    """The state of a run after its last step."""
    made = training(plan, folder, execution)
    fit(made)
    return made.assembly.state()


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def assert_close(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for part, state in expected.items():
        assert found[part].keys() == state.keys()
        for name, value in state.items():
            # Sums over two halves differ by rounding. A gradient that was not shared, or shared twice, would
            # move weights half as far, or twice: by 1e-3 at least, see below.
            torch.testing.assert_close(found[part][name], value, rtol=1e-4, atol=1e-5)


def same_metrics(row: dict[str, float]) -> dict[str, Any]:
    """Return metrics that equal a row but for the rounding of its weights and of losses of any size."""
    return {key: pytest.approx(value, rel=1e-4, abs=2e-5) for key, value in row.items()}


@pytest.mark.parametrize("name", by_steps())
def test_two_processes_have_the_gradients_of_one(
    make_plan: MakePlan, plain: str, tmp_path: Path, name: str
) -> None:
    """And the same losses, coverage and precision; nobody but the first writes."""
    if draws(name):
        pytest.skip("each process draws at random for its own clips")
    plan = make_plan(algorithm=name, options=options(name), backbone=plain, width=1, ema=0.5, **BARE)
    start = training(plan, tmp_path / "start", ONE).assembly.state()
    expected = trained(plan, tmp_path / "one", ONE)
    both = side_by_side(TWO, lambda: trained(plan, tmp_path / "two", TWO))
    for found in both:
        assert_close(found, expected)
    moved = [(value - start["algorithm"][key]).abs().max() for key, value in expected["algorithm"].items()]
    assert max(moved) > 1e-3, "the weights must have moved for this to mean anything"
    ours, theirs = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    assert len(theirs) == 3
    for one, two in zip(ours, theirs, strict=True):
        assert two == same_metrics(one)


def whole_batch(name: str) -> bool:
    """Whether a method looks at a batch as a whole."""
    return subject(name).build().whole_batch


@pytest.mark.parametrize("name", [name for name in by_steps() if not whole_batch(name)])
def test_an_average_of_several_parts_is_the_whole(
    make_plan: MakePlan, plain: str, tmp_path: Path, name: str
) -> None:
    """Gradient accumulation, in one process and in two."""
    values = {"algorithm": name, "options": options(name), "backbone": plain, "width": 1, **BARE}
    expected = trained(make_plan(**values), tmp_path / "one", ONE)
    plan = make_plan(**values, accumulate=2)
    assert_close(trained(plan, tmp_path / "parts", ONE), expected)
    for found in side_by_side(TWO, lambda: trained(plan, tmp_path / "both", TWO)):
        assert_close(found, expected)
    assert metrics(tmp_path / "parts")[0] == same_metrics(metrics(tmp_path / "one")[0])


@pytest.mark.parametrize("name", [name for name in algorithms.builtin() if whole_batch(name)])
def test_what_looks_at_a_batch_as_a_whole_is_not_cut_into_parts(
    make_plan: MakePlan, tmp_path: Path, name: str
) -> None:
    plan = make_plan(algorithm=name, labeled_batch=4, accumulate=2)
    with pytest.raises(InputError, match=rf"{name} needs the whole batch at once.*accumulate 2"):
        training(plan, tmp_path, ONE)


def test_an_option_may_need_the_whole_batch(make_plan: MakePlan, plain: str, tmp_path: Path) -> None:
    aligned = {"algorithm": "fixmatch", "options": {"alignment": True, "threshold": 0.3}}
    with pytest.raises(InputError, match=r"fixmatch needs the whole batch at once.*accumulate 2"):
        training(make_plan(**aligned, labeled_batch=4, accumulate=2), tmp_path, ONE)
    plan = make_plan(**aligned, backbone=plain, width=1, **BARE)
    expected = trained(plan, tmp_path / "one", ONE)
    for found in side_by_side(TWO, lambda: trained(plan, tmp_path / "both", TWO)):
        assert_close(found, expected)


def test_a_step_has_the_same_clips_however_it_is_shared(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(algorithm="cmpl", labeled_batch=4, unlabeled_batch=8)
    whole = list(training(plan, tmp_path, ONE).batches())
    shared = make_plan(algorithm="cmpl", labeled_batch=4, unlabeled_batch=8, accumulate=2)
    both = side_by_side(TWO, lambda: list(training(shared, tmp_path, TWO).batches()))
    for step, expected in enumerate(whole):
        # In the order of processes, and within each of parts.
        parts: list[Batch] = [batches[2 * step + part] for batches in both for part in (0, 1)]
        assert torch.equal(torch.cat([part.labels for part in parts]), expected.labels)
        assert torch.equal(torch.cat([part.indices for part in parts]), expected.indices)
        for kind in ("labeled", "unlabeled"):
            for view, clips in getattr(expected, kind).items():
                assert torch.equal(torch.cat([getattr(part, kind)[view] for part in parts]), clips)


def test_predictions_belong_to_their_clips_however_a_step_is_shared(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    """Also from loading processes. The table gives a clip's class 0.7, so indices show whose row it is."""
    values = {"algorithm": "distill", "labeled_batch": 4, "unlabeled_batch": 8}
    plan, shared = make_plan(**values), make_plan(**values, accumulate=2)
    whole = list(training(plan, tmp_path, ONE).batches())
    loaded = list(training(plan, tmp_path, Execution("cpu", workers=1)).batches())
    both = side_by_side(TWO, lambda: list(training(shared, tmp_path, TWO).batches()))
    rows = training(plan, tmp_path, ONE).unlabeled
    labels = torch.from_numpy(plan.data.index.labels[rows])
    for step, expected in enumerate(whole):
        assert expected.predictions is not None
        assert torch.equal(expected.predictions.argmax(-1), labels[expected.indices])
        assert torch.equal(loaded[step].predictions, expected.predictions)
        parts: list[Batch] = [batches[2 * step + part] for batches in both for part in (0, 1)]
        assert torch.equal(torch.cat([part.predictions for part in parts]), expected.predictions)


@pytest.mark.parametrize("values", [{"labeled_batch": 3}, {"unlabeled_batch": 6, "accumulate": 2}], ids=str)
def test_batches_that_cannot_be_shared(make_plan: MakePlan, tmp_path: Path, values: dict[str, Any]) -> None:
    plan = make_plan(algorithm="fixmatch", **{"labeled_batch": 4, "unlabeled_batch": 4} | values)

    def refused() -> str:
        with pytest.raises(InputError) as error:
            training(plan, tmp_path, TWO)
        return str(error.value)

    name = next(iter(values))
    for message in side_by_side(TWO, refused):
        assert f"{name} {values[name]} cannot be cut into" in message


def test_statistics_of_all_processes_need_gpus(make_plan: MakePlan, tmp_path: Path) -> None:
    """One process has them anyway."""
    plan = make_plan(labeled_batch=4, batch_norm="sync")

    def refused() -> str:
        with pytest.raises(InputError) as error:
            fit(training(plan, tmp_path, TWO))
        return str(error.value)

    for message in side_by_side(TWO, refused):
        assert "batch_norm sync needs GPUs" in message
    fit(training(plan, tmp_path, ONE))


class Mean(nn.Module):
    """Logits from a matrix product, whose rounding may depend on the size of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 2 * 8 * 8, 3)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(clip.flatten(1))
        return logits


@pytest.mark.parametrize("rows", [[0, 3, 5, 8, 10, 13, 17], [4]], ids=["seven", "one"])
def test_clips_are_tested_once_each(
    make_training: Callable[..., Training], data: Data, small_spec: Callable[..., Spec], rows: list[int]
) -> None:
    """Seven clips on two processes, two at a time: 0 and 1, 4 and 5 here, 2 and 3, 6 there. Or only one."""
    torch.manual_seed(0)
    network, spec = Mean(), small_spec(test_clips=16)
    shape = make_training().assembly.shape_for("model")

    def scores(processes: Processes | None) -> np.ndarray:
        return probabilities(
            {"model": network}, lambda _: shape, data.store, rows, spec, torch.device("cpu"), None, processes
        )["model"]

    expected = scores(None)
    assert expected.shape == (len(rows), 3)
    for found in side_by_side(TWO, lambda: scores(Processes(TWO))):
        assert np.array_equal(found, expected)


def test_the_first_ones_statistics_are_tested(make_plan: MakePlan, tmp_path: Path) -> None:
    """Those that it exports. The second one's are made useless here."""
    plan = make_plan(labeled_batch=4, test_clips=16, ema=0.5)

    def tested() -> tuple[dict[str, Any], dict[str, list[Any]]]:
        made = training(plan, tmp_path, TWO)
        if made.processes.rank == 1:
            for part in made.assembly.parts():
                for buffer in part.buffers():
                    buffer.fill_(float("nan") if buffer.is_floating_point() else -1)
        return plain(made.test())

    def plain(found: Tested) -> tuple[dict[str, Any], dict[str, list[Any]]]:
        assert found.predictions
        return found.scores, {n: guess.tolist() for n, guess in found.predictions.guesses.items()}

    one, two = side_by_side(TWO, tested)
    assert one == two == plain(training(plan, tmp_path, ONE).test())


# -- stop and resume


def finished(folder: Path) -> tuple[bytes, dict[str, Any], dict[str, Accuracies]]:
    """Records, weights and accuracies."""
    result = RunFolder(folder).finished()
    assert result is not None
    weights = weight_file.load(folder / checkpoint.FINAL)["algorithm"]
    return (folder / METRICS).read_bytes(), weights, result.predictors


@pytest.mark.slow
def test_a_killed_run_of_two_equals_a_straight_one(make_plan: MakePlan, plugin: str, tmp_path: Path) -> None:
    """Both are killed after 4 of 7 steps. Each has dropout of its own, and batch-norm statistics."""
    plan = make_plan(algorithm=plugin, steps=7, labeled_batch=4)
    often = Execution("cpu", checkpoint_seconds=0.0, devices=2)

    class Killed(BaseException):
        pass

    def killed() -> None:
        steps = iter(range(9))

        def kill() -> bool:
            if next(steps) == 4:
                raise Killed
            return False

        with pytest.raises(Killed):
            run(plan, cut, often, stopping=kill)

    cut, straight = (tmp_path / name / plan.name for name in ("killed", "straight"))
    side_by_side(TWO, lambda: run(plan, straight, TWO))
    side_by_side(TWO, killed)
    assert checkpoint.load(cut / checkpoint.CURRENT)["step"] == 4
    side_by_side(TWO, lambda: run(plan, cut, TWO))
    (ours, weights, scores), (theirs, others, other_scores) = (finished(place) for place in (cut, straight))
    assert ours == theirs
    assert scores == other_scores
    assert all(torch.equal(weights[name], others[name]) for name in others)


def test_one_that_is_told_to_stop_stops_all(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(labeled_batch=4, steps=9)

    def stopped() -> int:
        made = training(plan, tmp_path, TWO)
        with pytest.raises(Stopped):
            fit(made, stopping=lambda: made.processes.rank == 1 and made.step == 3)
        return made.step

    assert side_by_side(TWO, stopped) == [3, 3]
    assert checkpoint.load(tmp_path / checkpoint.CURRENT)["step"] == 3


def test_another_number_of_processes_goes_on_and_says_so(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(labeled_batch=4)
    with pytest.raises(Stopped):
        run(plan, tmp_path, ONE, stopping=lambda: True)

    def resumed() -> list[str]:
        return training(plan, tmp_path, TWO).resume()

    for notes in side_by_side(TWO, resumed):
        assert len(notes) == 1
        assert "the checkpoint of 1 process is resumed by 2" in notes[0]
