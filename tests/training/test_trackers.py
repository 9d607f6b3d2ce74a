import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import fake_trackers
from helpers.fake_trackers import BROKEN_FROM, NOTES, calls

from ssl_video.errors import InputError
from ssl_video.runs.folder import METRICS, TRACKERS, VALIDATION, RunFolder
from ssl_video.training import trackers
from ssl_video.training.execution import Execution, Logger, complete
from ssl_video.training.run import Plan, Stopped, run

MakePlan = Callable[..., Plan]
PACKAGES = ("wandb", "mlflow", "pytorch_lightning")


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file with the calls of fake packages, which stand in for any real ones."""
    for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
        monkeypatch.delitem(sys.modules, name)
    for variable in ("WANDB_PROJECT", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.syspath_prepend(fake_trackers.write_packages(tmp_path / "packages"))
    monkeypatch.setenv(NOTES, str(tmp_path / "calls"))
    yield tmp_path / "calls"
    for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
        del sys.modules[name]


def execution(*names: Logger, evaluate_every: int = 0) -> Execution:
    return Execution("cpu", checkpoint_seconds=1e9, logger=names, evaluate_every=evaluate_every)


def stopping_after(steps: int) -> Callable[[], bool]:
    """An answer to "stop?" that is yes after this many steps."""
    left = iter([False] * (steps - 1) + [True])
    return lambda: next(left)


def logged(noted: Path) -> list[tuple[int, dict[str, float]]]:
    """What W&B got, step by step."""
    return [(call["step"], call["numbers"]) for call in calls(noted) if call["call"] == "log"]


def numbers_of(row: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "step" and value is not None}


def test_wandb_gets_the_settings_every_step_and_the_result(
    noted: Path, make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    plan, folder = make_plan(algorithm="fixmatch", validation=0.5), tmp_path / "run"
    result = run(plan, folder, execution("wandb", evaluate_every=4))
    first, settings, *_, last = calls(noted)
    assert (first["call"], first["name"], first["project"]) == ("begin", "run", "mine")
    assert (
        settings["settings"] | {"algorithm": "fixmatch", "steps": 6, "run": plan.name}
        == (settings["settings"])
    )
    assert last == {"call": "finish", "state": 0}
    *rows, (step, final) = logged(noted)
    training = [(row["step"], numbers_of(row)) for row in RunFolder(folder).lines(METRICS)]
    assert [row for row in rows if "learning_rate" in row[1]] == training
    assert len(training) == 6
    validation = [(row["step"], row["model"]["top1"]) for row in RunFolder(folder).lines(VALIDATION)]
    assert [(s, row["validation/top1/model"]) for s, row in rows if "learning_rate" not in row] == validation
    assert [s for s, _ in validation] == [3, 5]
    assert (step, final["result/top1"], final["test/top1/model"]) == (6, result.top1, result.top1)
    assert final["result/training_gflops"] == result.training_gflops


def test_a_resumed_run_continues_its_run_in_the_tracker(
    noted: Path, make_plan: MakePlan, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        run(make_plan(), tmp_path / "run", execution("wandb"), stopping=stopping_after(3))
    run(make_plan(), tmp_path / "run", execution("wandb"))
    found = calls(noted)
    (id_, again) = (call["id"] for call in found if call["call"] == "begin")
    assert id_ == again
    assert [call["state"] for call in found if call["call"] == "finish"] == [1, 0]
    assert sum(call["call"] == "settings" for call in found) == 1
    assert [step for step, _ in logged(noted)] == [0, 1, 2, 3, 4, 5, 6]


def test_steps_after_the_checkpoint_are_not_logged_twice(
    noted: Path, make_plan: MakePlan, tmp_path: Path
) -> None:
    """As after a crash between a record and the next checkpoint: the tracker has more steps than it."""
    with pytest.raises(Stopped):
        run(make_plan(), tmp_path / "run", execution("wandb"), stopping=stopping_after(2))
    with trackers.Trackers(("wandb",), tmp_path / "run", {}, 2, Stopped, pytest.fail) as tracked:
        tracked.metrics([{"step": 2, "loss/labeled": 1.0}, {"step": 3, "loss/labeled": None}])
    run(make_plan(), tmp_path / "run", execution("wandb"))
    assert [step for step, _ in logged(noted)] == [0, 1, 2, 3, 4, 5, 6]


def test_a_tracker_that_comes_later_gets_the_steps_before(
    noted: Path, make_plan: MakePlan, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        run(make_plan(), tmp_path / "run", execution(), stopping=stopping_after(3))
    assert not (tmp_path / "run" / TRACKERS).exists()
    run(make_plan(), tmp_path / "run", execution("wandb"))
    assert [step for step, _ in logged(noted)] == [0, 1, 2, 3, 4, 5, 6]


def test_a_tracker_that_fails_is_left_out_and_the_run_goes_on(
    noted: Path, make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BROKEN_FROM, "2")
    warnings: list[str] = []
    stops = stopping_after(4)
    with pytest.raises(Stopped):
        run(make_plan(), tmp_path / "run", execution("wandb", "mlflow"), stopping=stops, warn=warnings.append)
    assert warnings == ["W&B failed, and the run goes on without it: ConnectionError: the server is gone"]
    assert [call["state"] for call in calls(noted) if call["call"] == "finish"] == [
        "KILLED"
    ]  # MLflow's alone
    before = len(logged_by_wandb(noted))
    monkeypatch.delenv(BROKEN_FROM)
    result = run(make_plan(), tmp_path / "run", execution("wandb"))
    assert result.steps == 6
    assert [step for step, _ in logged_by_wandb(noted)[before:]] == [0, 1, 2, 3, 4, 5, 6]


def logged_by_wandb(noted: Path) -> list[tuple[int, dict[str, float]]]:
    return [
        (call["step"], call["numbers"]) for call in calls(noted) if call["call"] == "log" and "step" in call
    ]


def test_mlflow_gets_many_steps_in_one_request(noted: Path, make_plan: MakePlan, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(make_plan(), tmp_path / "run", execution("mlflow"), stopping=stopping_after(3))
    run(make_plan(), tmp_path / "run", execution("mlflow"))
    begin, settings, first, stop, again, update, second, last, finish = calls(noted)
    assert begin == {
        "call": "begin", "id": None, "name": "run", "project": "ssl-video", "server": "its default",
    }  # fmt: skip
    assert settings["settings"]["algorithm"] == "supervised"
    assert (stop["state"], finish["state"]) == ("KILLED", "success")
    assert again["id"] == update["id"] == "given by the server"
    assert update["state"] == "RUNNING"
    steps = [
        [step for name, _, step in call["metrics"] if name == "loss/labeled"] for call in (first, second)
    ]
    assert steps == [[0, 1, 2], [3, 4, 5]]
    assert {name for name, *_ in last["metrics"]} >= {"result/top1", "test/top1/model"}


def test_mlflow_gets_no_more_at_once_than_it_takes(noted: Path, tmp_path: Path) -> None:
    rows = [{"step": step, "loss/a": 1.0, "loss/b": 2.0} for step in range(600)]
    with trackers.Trackers(("mlflow",), tmp_path, {}, 0, Stopped, pytest.fail) as tracked:
        tracked.metrics(rows)
    sent = [call["metrics"] for call in calls(noted) if call["call"] == "log"]
    assert [len(part) for part in sent] == [1000, 200]


def test_tensorboard(make_plan: MakePlan, tmp_path: Path) -> None:
    files = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with pytest.raises(Stopped):
        run(make_plan(), tmp_path / "run", execution("tensorboard"), stopping=stopping_after(3))
    run(make_plan(), tmp_path / "run", execution("tensorboard"))
    read = files.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    read.Reload()
    assert [event.step for event in read.Scalars("loss/labeled")] == [*range(6)]
    assert [event.step for event in read.Scalars("test/top1/model")] == [6]
    assert read.Tags()["tensors"] == ["settings/text_summary"]


def test_a_missing_package_is_reported_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "wandb" else object())
    trackers.check(["mlflow", "tensorboard"])
    with pytest.raises(InputError, match=r"--logger wandb .*'wandb'.*pip install 'ssl-video\[wandb\]'"):
        trackers.check(["mlflow", "wandb"])


def test_names_of_trackers() -> None:
    assert complete({"device": "cpu", "logger": "mlflow"}).logger == ("mlflow",)
    assert complete({"device": "cpu", "logger": ["wandb", "mlflow", "wandb"]}).logger == ("wandb", "mlflow")
    with pytest.raises(InputError, match="unknown logger 'wandbb'; did you mean wandb"):
        complete({"device": "cpu", "logger": ["wandbb"]})
