"""Runs from Python: classes, keywords, failures, and code that is piped into Python."""

import functools
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import ssl_video as sv
from ssl_video.benchmarks.running import arguments

TINY: dict[str, Any] = {
    **{"steps": 3, "frames": 4, "stride": 2, "size": 16, "width": 0.5, "test_clips": 1},
    **{"labeled_batch": 4, "unlabeled_batch": 4},
}

MINE = '''
import sys
import torch
import ssl_video as sv

class Mine(sv.Algorithm):
    """Of this session."""

    def __init__(self, task, model, *, weight: float = 1.0):
        super().__init__()
        self.model, self.weight = model, weight

    def loss(self, batch, progress):
        loss = torch.nn.functional.cross_entropy(self.model(batch.labeled["weak"]), batch.labels)
        return sv.LossOutput({"labeled": self.weight * loss})

@sv.backbone("mine-net")
def net(num_classes, *, frames, size):
    """Of this session."""
    pool = torch.nn.AdaptiveAvgPool3d(1)
    return torch.nn.Sequential(pool, torch.nn.Flatten(), torch.nn.Linear(3, num_classes))

data, results = sys.argv[1:]
tiny = dict(steps=3, frames=4, stride=2, size=16, test_clips=1, labeled_batch=4, unlabeled_batch=4)
runs = sv.bench(
    {"algorithm": Mine, "options": {"weight": 2.0}}, baseline=None,
    data=data, protocols="per-class:2", seeds=1, backbones="mine-net", results=results, **tiny,
)
assert not runs.failures, runs.failures
for name in sorted(runs.frame["run"]):
    print(name)
'''


def python(*arguments: object, text: str | None = None, cwd: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], input=text, cwd=cwd, env=dict(os.environ),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_a_class_that_is_piped_into_python_is_trained(video_folder: Path, tmp_path: Path) -> None:
    """Beside a piped backbone. Other sessions share none of its runs: see tests/docs/test_python.py."""
    (name,) = python("-", video_folder, "results", text=MINE, cwd=tmp_path)
    assert name.startswith("Mine-")


@pytest.mark.slow
def test_a_class_of_a_script_without_a_guard_is_trained_once(video_folder: Path, tmp_path: Path) -> None:
    """The script is not run again by the processes of its runs, and the same source is the same run."""
    script = tmp_path / "mine.py"
    script.write_text(f"print('once', flush=True)\n{MINE}")
    first, again = (python(script, video_folder, "results", cwd=tmp_path) for _ in range(2))
    assert first == again
    assert first.count("once") == 1
    script.write_text(script.read_text().replace("self.weight * loss", "2 * self.weight * loss"))
    changed = python(script, video_folder, "results", cwd=tmp_path)
    (name,) = set(changed) - set(first)
    assert name.startswith("Mine-")


class Own(sv.Algorithm):
    """Of this file."""

    def __init__(self, task: sv.Task, model: nn.Module, *, fail: bool = False) -> None:
        super().__init__()
        self.model, self.fail = model, fail

    def loss(self, batch: sv.Batch, progress: float) -> sv.LossOutput:
        if self.fail:
            raise RuntimeError("as it was told to")
        return sv.LossOutput(
            {"labeled": nn.functional.cross_entropy(self.model(batch.labeled["weak"]), batch.labels)}
        )


class Other(Own):
    """Another one, which has the same name in a test."""


def renamed(entry: type[Other]) -> type[Other]:
    return type("Own", (entry,), {"__module__": entry.__module__, "__doc__": "Of the same name."})


@pytest.fixture
def here(video_folder: Path, tmp_path: Path) -> dict[str, Any]:
    return TINY | {"data": str(video_folder), "results": tmp_path / "results", "threads": 1}


def test_train_returns_the_folder_of_the_run(here: dict[str, Any]) -> None:
    run = sv.train(Own, **here, protocol="per-class:2", seed=3)
    assert run.result.algorithm == "Own"
    assert (run.result.seed, run.spec.steps) == (3, 3)
    assert 0 <= run.result.top1 <= 1
    assert run.metrics["step"].tolist() == [0, 1, 2]
    assert sv.read_results(here["results"]).frame["run"].tolist() == [run.name]
    assert sv.open_run(run.path).result == run.result
    finished = (run.path / "final.safetensors").stat().st_mtime_ns
    assert sv.train(Own, **here, protocol="per-class:2", seed=3).path == run.path
    assert (run.path / "final.safetensors").stat().st_mtime_ns == finished


def test_a_recipe_of_ones_own(here: dict[str, Any], tmp_path: Path) -> None:
    """The caller's keys override it."""
    (tmp_path / "mine.yaml").write_text("settings: {width: 0.25, frames: 2, steps: 2}")
    del here["frames"], here["width"]
    given = here | {"recipe": str(tmp_path / "mine.yaml"), "protocol": "per-class:2"}
    spec = sv.train("fixmatch", **given).spec
    assert (spec.frames, spec.width, spec.steps) == (2, 0.25, 3)
    del given["steps"], given["protocol"]
    runs = sv.bench("fixmatch", baseline=None, protocols="per-class:2", seeds=1, **given)
    (spec,) = (run.spec for run in runs.runs)
    assert (spec.frames, spec.width, spec.steps) == (2, 0.25, 2)


def test_a_run_that_crashes(here: dict[str, Any]) -> None:
    with pytest.raises(sv.RunFailed, match="RuntimeError: as it was told to") as caught:
        sv.train(Own, **here, protocol="per-class:2", options={"fail": True})
    assert "as it was told to" in caught.value.run.log
    entries = ["supervised", {"algorithm": Own, "options": {"fail": True}}]
    runs = sv.bench(entries, **here, protocols="per-class:2", seeds=1)
    assert len(runs) == 1
    (reason,) = runs.failures.values()
    assert "as it was told to" in reason


def test_progress_goes_to_an_observer(here: dict[str, Any]) -> None:
    class Noted(sv.Observer):
        """Notes everything."""

        def __init__(self) -> None:
            self.said, self.concluded = list[str](), list[sv.Results]()

        def say(self, sentence: str) -> None:
            self.said.append(sentence)

        def conclude(self, runs: sv.Results) -> None:
            self.concluded.append(runs)

    noted = Noted()
    run = sv.train("supervised", **here, protocol="per-class:2", progress=noted)
    assert any("12 training and 6 test clips" in sentence for sentence in noted.said)
    assert [r.frame["run"].tolist() for r in noted.concluded] == [[run.name]]


def test_without_a_terminal_nothing_is_printed(
    here: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    sv.train("supervised", **here, protocol="per-class:2")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: sv.train("fixmtch"), "unknown algorithm 'fixmtch'; did you mean fixmatch"),
        (lambda: sv.train("fixmatch", stepz=3), "unknown keyword 'stepz'; did you mean steps"),
        (lambda: sv.train("fixmatch", threshold=0.5), "given as options="),
        (lambda: sv.train("fixmatch", jobs=2), "unknown keyword 'jobs'"),
        (lambda: sv.bench("fixmatch", devices=2), "unknown keyword 'devices'"),
        (lambda: sv.bench("fixmatch", data="nowhere"), "there is no file or folder nowhere"),
        (lambda: sv.bench({"options": {}}), "a method needs the key 'algorithm'"),
        (lambda: sv.bench("fixmatch", draws=2, draw=1), "leave out one of them"),
        (lambda: sv.bench("fixmatch", seeds=0), "seeds must be a number from 1, found 0"),
        (lambda: sv.bench("fixmatch", draws=-1), "draws must be a number from 1, found -1"),
        (lambda: sv.bench("fixmatch", jobs=-1), "jobs must be a number from 1, found -1"),
        (lambda: sv.bench("fixmatch", jobs=0), "jobs must be a number from 1, found 0"),
        (lambda: sv.train("fixmatch", workers=-3), "workers must be a number from 0, found -3"),
        (lambda: sv.train("fixmatch", on_nonfinite="Skip"), "unknown on_nonfinite 'Skip'; did you mean skip"),
        (lambda: sv.train("fixmatch", strategy="dpp"), "unknown strategy 'dpp'; did you mean ddp"),
        (lambda: sv.forecast("fixmatch", executor="slrum"), "unknown executor 'slrum'; did you mean slurm"),
        (lambda: sv.draw_views("demo", device="cuda:7"), "unknown keyword 'device'"),
        (lambda: sv.measure_step("fixmatch", test_clips=3), "unknown keyword 'test_clips'"),
        (lambda: sv.load_data(learning_rate=9.0), "unknown key 'learning_rate'"),
        (lambda: sv.data.clear_cache(root="elsewhere"), "give data, too"),
        (lambda: sv.analysis.dynamics([]), "there is no run to measure"),
        (lambda: sv.bench([Own, renamed(Other)]), "two different algorithms are called 'Own'"),
        (lambda: sv.create("fixmatch", 3, backbone=functools.partial(print)), "has no name"),
        (lambda: sv.train("fixmatch", options={"threshold": 7}), "less than or equal to 1, found 7"),
        (lambda: sv.open_run("nowhere"), "is not the folder of a run"),
        (lambda: sv.read_results("nowhere"), "there is no results folder nowhere"),
    ],
)
def test_mistakes_have_the_sentences_of_the_command_line(
    call: Any, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(sv.InputError, match=sentence):
        call()
    assert not list(tmp_path.glob("*/runs/*"))


def test_classes_that_other_processes_cannot_have(
    here: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = type("Locked", (Own,), {"__module__": "__main__", "lock": threading.Lock()})
    with pytest.raises(sv.InputError, match=r"Locked cannot be sent to the process of a run .*cannot pickle"):
        sv.bench(locked, baseline=None, **here, protocols="per-class:2", seeds=1)
    monkeypatch.setattr("ssl_video.benchmarks.running.executors.make", lambda execution: None)
    with pytest.raises(
        sv.InputError, match="Own is defined in this Python session, which machines of slurm cannot import"
    ):
        sv.bench(Own, executor="slurm", **here, protocols="per-class:2", seeds=1)


def test_a_mapping_beside_a_name_leaves_the_suites_own_rows() -> None:
    mapped = {"algorithm": "fixmatch", "options": {"threshold": 0.8}}
    counts = [
        len([spec for spec in arguments.benchmark(entries, suite="ucf101-5c", baseline=None)[1]
             if spec.algorithm == "cmpl"])
        for entries in (["cmpl"], ["cmpl", mapped])
    ]  # fmt: skip
    assert counts[0] == counts[1] > 3


def test_none_stands_for_the_default() -> None:
    assert arguments.split({"results": None, "size": None}, without=()) == (
        {},
        {"results": "ssl-video-results"},
    )


def test_a_single_name_in_place_of_a_list() -> None:
    found = sv.published_results("ucf101", "cmpl").to_frame()
    assert len(found) > 1
    assert len(found) == len(sv.published_results(["ucf101"], ["cmpl"]).to_frame())


def test_a_run_that_is_resumed_stays_in_its_folder(here: dict[str, Any], tmp_path: Path) -> None:
    run = sv.train("supervised", **here, protocol="per-class:2")
    assert sv.train(resume=run, results=here["results"], threads=1).path == run.path
    with pytest.raises(sv.InputError, match="leave out --results"):
        sv.train(resume=run, results=tmp_path / "other")


def test_a_finished_run_as_a_model(here: dict[str, Any], video_folder: Path) -> None:
    run = sv.train("supervised", **here, protocol="per-class:2")
    model = run.model("cpu")
    videos = sorted(video_folder.rglob("*.mkv"))[:2]
    predicted = model.predict([*videos, "absent.mp4"])
    assert predicted["path"].tolist() == [*map(str, videos), "absent.mp4"]
    assert predicted["label"][:2].isin(model.classes).all()
    assert predicted["probability"][:2].between(1 / 3, 1).all()
    assert (predicted["second_probability"] <= predicted["probability"])[:2].all()
    assert predicted["error"].isna().tolist() == [True, True, False]
    assert model.module(torch.zeros(1, 3, 4, 16, 16)).shape == (1, 3)
    with pytest.raises(sv.InputError, match="unknown predictor 'modle'; did you mean model"):
        model.predict(videos, predictor="modle")


def test_a_model_is_tested_on_the_part_that_is_named(
    here: dict[str, Any], video_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the data that is given, and with its number of clips per video."""
    run = sv.train("supervised", **here, protocol="per-class:2")
    model = run.model("cpu")
    own = {"data": str(video_folder), "protocol": "per-class:2", "frames": 4, "stride": 2, "size": 16}
    data = sv.load_data(**own, test_clips=1, validation=1)
    assert sv.evaluate(model, data) == run.result.model_dump()["predictors"]
    seen = list[tuple[int, list[int]]]()

    def probabilities(
        predictors: Any,
        shape: Any,
        store: Any,
        rows: list[int],
        spec: sv.Spec,
        *_: Any,
        average: Any,
        threads: int,
    ) -> Any:
        seen.append((spec.test_clips, rows))
        return {name: torch.full((len(rows), 2, 3), 1 / 3).numpy() for name in predictors}

    monkeypatch.setattr("ssl_video.inference.model.probabilities", probabilities)
    sv.evaluate(model, data, part="validation")
    more = sv.load_data(**own, test_clips=3)
    sv.evaluate(model, more)
    assert seen == [(1, data.partition.validation.tolist()), (3, more.partition.test.tolist())]
    assert seen[0][1], "there are clips for validation"
    with pytest.raises(sv.InputError, match="no clip in its part 'validation'"):
        sv.evaluate(model, more, part="validation")
    with pytest.raises(sv.InputError, match=r"the model takes clips of 16 pixels, and the data has 8"):
        sv.evaluate(model, sv.load_data(**own | {"size": 8}))
