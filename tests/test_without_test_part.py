"""Training on all labels: without test clips a run has no accuracy, and nothing invents one."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import encode
from helpers.command_line import TINY, Done, call_here
from helpers.input_errors import problems

import ssl_video as sv
from ssl_video.data.frames.store import FrameStore

KEYS: dict[str, Any] = {
    "frames": 4, "stride": 2, "size": 16, "width": 0.5, "steps": 3, "labeled_batch": 2, "unlabeled_batch": 2,
    "test_clips": 1, "progress": False,
}  # fmt: skip
TO_LOAD: dict[str, Any] = {key: KEYS[key] for key in ("frames", "stride", "size", "test_clips", "progress")}
INSTEAD = "--folds 5 tests every labeled clip once, --validation 0.2 keeps some for validation"


def call(*arguments: object, cwd: Path) -> Done:
    """Run a command in the process of the test."""
    return call_here(dict(os.environ), *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders with three videos each, and two videos without a label."""
    root = tmp_path_factory.mktemp("work") / "lab"
    for label, name in enumerate(("run", "walk", "unlabeled")):
        for clip in range(3 if label < 2 else 2):
            encode(root / name / f"{clip}.mkv", 12, label=label, clip=clip)
    return root


@pytest.fixture(scope="module")
def results(lab: Path) -> Path:
    """A results folder with a run of cmpl without test clips, and one with validation clips."""
    folder = lab.parent / "ssl-video-results"
    for more in ({}, {"validation": 1}):
        sv.train("cmpl", data=str(lab), results=folder, **KEYS, **more)
    return folder


@pytest.fixture
def plain(results: Path) -> sv.RunFolder:
    """The run without validation clips."""
    return next(run for run in sv.read_results(results).runs if not run.result.validation)


@pytest.fixture
def mixed(results: Path, lab: Path, tmp_path: Path) -> Path:
    """Both runs, and two of supervised on folds of the same data."""
    shutil.copytree(results, tmp_path / "mixed")
    for draw in range(2):
        keys = {"data": str(lab), "results": tmp_path / "mixed", "folds": 2, "draw": draw}
        sv.train("supervised", **keys, **KEYS)
    return tmp_path / "mixed"


def test_the_result_has_no_accuracy_and_says_how_to_get_one(results: Path, plain: sv.RunFolder) -> None:
    found = plain.result
    assert (found.labeled, found.unlabeled, found.test, found.protocol) == (6, 2, 0, "all")
    assert (found.top1, found.top5, found.mean_class, found.predictors) == (None, None, None, {})
    assert found.predictor == "primary"
    assert found.notes == (f"no test clips, so the run has no accuracy: {INSTEAD}",)
    assert not (plain.path / "predictions.npz").exists()
    with pytest.raises(sv.InputError, match="the run is not finished, has no test clips, or"):
        plain.predictions  # noqa: B018
    content = json.loads((plain.path / "result.json").read_text())
    assert (content["format"], content["top1"], content["mean_class"]) == (2, None, None)
    (validated,) = (run.result for run in sv.read_results(results).runs if run.name != plain.name)
    assert (validated.labeled, validated.top1) == (4, None)
    assert set(validated.validation_accuracies) == {"primary", "auxiliary"}
    top1 = validated.validation_accuracies["primary"].top1
    assert f"top-1 on its validation clips: primary {100 * top1:.1f} %" in validated.notes[1]


def test_the_screen_of_train(lab: Path, tmp_path: Path) -> None:
    done = call("train", "--data", lab, "--validation", 1, *TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "lab: 6 labeled, 2 unlabeled and no test clips, 2 classes" in done.stderr
    assert "all 6 labeled clips are for training, none is for testing" in done.stderr
    assert "finished supervised  all  seed 0: without test clips in" in done.stderr
    assert f": no test clips, so the run has no accuracy: {INSTEAD}" in done.stdout
    assert ": top-1 on its validation clips: model " in done.stdout
    assert "No finished runs" not in done.stdout
    again = call("train", "--data", lab, "--validation", 1, *TINY, cwd=tmp_path)
    assert "1 of them already finished" in again.stderr


def test_the_model_of_such_a_run(lab: Path, plain: sv.RunFolder, tmp_path: Path) -> None:
    shown = call("predict", plain.path, lab / "run/0.mkv", "--json", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    row = json.loads(shown.stdout)
    assert {row["label"], row["second_label"]} == {"run", "walk"}
    refused = call("evaluate", plain.path, cwd=tmp_path)
    assert refused.returncode == 2
    assert "lab, which the run was trained on, has no test clips: give other data by --data" in refused.stderr
    other = call("evaluate", plain.path, "--data", shutil.copytree(lab, tmp_path / "other"), cwd=tmp_path)
    assert other.returncode == 0, other.stderr
    assert "other, test clips: 6" in other.stdout


@pytest.mark.parametrize("where", ["inside", "elsewhere"])
def test_clips_of_training_are_not_tested_when_the_unlabeled_ones_are_gone(
    lab: Path, tmp_path: Path, where: str
) -> None:
    own, more = tmp_path / "own", {}
    shutil.copytree(lab, own)
    if where == "elsewhere":
        shutil.move(own / "unlabeled", tmp_path / "archive")
        more = {"unlabeled": [str(tmp_path / "archive")]}
    run = sv.train("fixmatch", data=str(own), results=tmp_path / "results", **KEYS, **more)
    assert (run.result.labeled, run.result.unlabeled, run.result.test) == (6, 2, 0)
    shutil.rmtree(own / "unlabeled" if where == "inside" else tmp_path / "archive")
    with pytest.raises(sv.InputError, match="own, which the run was trained on, has no test clips"):
        run.model().open_data()


@pytest.mark.parametrize("command", ["bench", "dry run", "python"])
def test_methods_are_not_compared_without_test_clips(
    lab: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a video was decoded")

    monkeypatch.setattr(FrameStore, "prepare", refuse)
    expected = (
        "lab: there is no test part to compare methods on: --folds 5 tests every labeled clip once, or give "
        "test clips"
    )
    if command == "python":
        keys = {"data": str(lab), "results": tmp_path / "results", "validation": 1}
        assert problems(sv.bench, ["fixmatch", "cmpl"], **keys, **KEYS) == (expected,)
    else:
        more = ["--dry-run"] if command == "dry run" else ["--validation", 1]
        done = call("bench", "--data", lab, "--algo", "fixmatch", *more, *TINY, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.count(expected) == 1
    assert not list(tmp_path.glob("**/runs/*"))
    folds = call("bench", "--data", lab, "--algo", "fixmatch", "--folds", 2, "--dry-run", *TINY, cwd=tmp_path)
    assert folds.returncode == 0, folds.stderr


def test_load_data_and_evaluate(lab: Path) -> None:
    data = sv.load_data(str(lab), validation=1, **TO_LOAD)
    assert (len(data.labeled), len(data.validation), len(data.unlabeled), data.test) == (4, 2, 2, [])
    algorithm = sv.create("supervised", data=data, width=0.5)
    (problem,) = problems(sv.evaluate, algorithm, data)
    assert problem.startswith("lab has no test clip: load_data(..., folds=5) tests a fifth of the labeled")
    labels = [data.data.index.labels[row] for row in data.partition.validation.tolist()]
    with torch.no_grad():  # a network that says one class is right about its clips
        head = [module for module in algorithm.modules() if isinstance(module, torch.nn.Linear)][-1]
        head.weight.zero_()
        head.bias.copy_(torch.tensor([0.0, 1.0]))
    top1 = sv.evaluate(algorithm, data, part="validation")["model"]["top1"]
    assert top1 == labels.count(1) / len(labels) == 0.5
    (problem,) = problems(sv.evaluate, algorithm, sv.load_data(str(lab), **TO_LOAD), part="validation")
    assert "no clip in its part 'validation'" in problem


def test_a_model_is_evaluated_on_validation_clips(lab: Path, results: Path, plain: sv.RunFolder) -> None:
    data = sv.load_data(str(lab), validation=1, **TO_LOAD)
    model = plain.model("cpu")
    assert sv.evaluate(model, data, part="validation").keys() == {"primary", "auxiliary"}
    (validated,) = (run for run in sv.read_results(results).runs if run.result.validation)
    found = sv.evaluate(validated.model("cpu"), data, part="validation")
    assert found == {name: one.model_dump() for name, one in validated.result.validation_accuracies.items()}
    assert "has no test clip" in problems(sv.evaluate, model, data)[0]


def test_tables_leave_such_runs_out_and_count_them(mixed: Path, tmp_path: Path) -> None:
    runs = sv.read_results(mixed)
    tested = runs.frame[runs.frame["test"] > 0]
    assert (len(runs), len(tested)) == (4, 2)
    assert {str(runs.frame[name].dtype) for name in ("top1", "top5", "mean_class")} == {"float64"}
    assert runs.frame["top1"].isna().sum() == 2
    table = runs.compare()
    assert "2 runs have no test clips: left out" in table.notes
    frame = table.to_frame()
    assert frame["algorithm"].tolist() == ["supervised"]
    assert frame["mean"].tolist() == pytest.approx([tested["top1"].mean()])
    shown = call("leaderboard", "--results", mixed, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "2 runs have no test clips: left out" in shown.stdout
    lines = (mixed / "leaderboard.csv").read_text().splitlines()
    cells = [dict(zip(lines[0].split(","), line.split(","), strict=False)) for line in lines[1:]]
    assert sorted(cell["test"] for cell in cells) == ["0", "0", "3", "3"]
    assert all((cell["top1"] == "") == (cell["test"] == "0") for cell in cells)
    # The CSV alone is read as the records are.
    shutil.copy(mixed / "leaderboard.csv", tmp_path)
    published = sv.read_results(tmp_path)
    np.testing.assert_array_equal(published.frame["top1"], runs.frame["top1"])
    assert published.compare().to_frame()["mean"].tolist() == pytest.approx(frame["mean"].tolist())


def test_a_folder_of_nothing_else(results: Path, plain: sv.RunFolder, tmp_path: Path) -> None:
    for form in ("terminal", "markdown", "latex", "csv", "json"):
        shown = call("leaderboard", "--results", results, "--format", form, cwd=tmp_path)
        assert shown.returncode == 0, shown.stderr
        assert form == "csv" or "2 runs have no test clips: left out" in shown.stdout, form
    (problem,) = problems(sv.write_report, results, tmp_path / "page", progress=False)
    assert problem == "2 runs have no test clips, so there are no accuracies"
    for place, text in ((results, "  finished   3/3"), (plain.path, "finished, step 3 of 3, no test clips")):
        watched = call("watch", place, "--once", cwd=tmp_path)
        assert watched.returncode == 0, watched.stderr
        assert text in watched.stdout


def test_the_report_leaves_such_runs_out(mixed: Path, tmp_path: Path) -> None:
    page = sv.write_report(mixed, tmp_path / "page", progress=False).read_text()
    assert "<p>2 runs have no test clips: left out.</p>" in page
    assert "2 finished runs, the last of" in page
    assert "<main>" in page
    assert "cmpl" not in page.partition("<main>")[2].partition("published")[0]


def test_analyses(mixed: Path, plain: sv.RunFolder, tmp_path: Path) -> None:
    tested, other = (run.path for run in sv.read_results(mixed).runs if run.result.test)
    (problem,) = problems(sv.analysis.compare, plain.path, tested)
    assert problem == f"{plain.path} has no test clips to compare predictions on"
    done = call("analyze", "dynamics", "--results", mixed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 runs have no test clips: left out" in done.stderr
    found = sv.analysis.dynamics(results=mixed, progress=False)
    assert set(found.scores) == {tested, other}
    for path, scores in found.scores.items():  # each on the clips of its own fold
        top1 = scores["model"]["original"]["top1"]
        assert top1 == pytest.approx(sv.open_run(path).result.top1)
    (problem,) = problems(sv.analysis.dynamics, plain, progress=False)
    assert problem == f"{plain.path} has no test clips to measure on"


def test_a_split_column_without_test_clips(lab: Path, tmp_path: Path) -> None:
    names = sorted(file.relative_to(lab).as_posix() for file in lab.glob("[rw]*/*.mkv"))
    rows = [f"{name},{name.split('/')[0]},train" for name in names]
    (tmp_path / "m.csv").write_text("\n".join(["path,label,split", *rows]))
    keys = {"root": str(lab), "protocol": "per-class:2", "results": tmp_path / "results"}
    run = sv.train("fixmatch", data=str(tmp_path / "m.csv"), **keys, **KEYS)
    assert (run.result.labeled, run.result.unlabeled, run.result.test, run.result.top1) == (4, 2, 0, None)
    again = sv.train("fixmatch", data=str(tmp_path / "m.csv"), **keys, **KEYS)
    assert again.result == run.result
