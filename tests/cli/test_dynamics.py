"""`ssl-video analyze dynamics` on real runs of a second, in this process."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ssl_video.cli.dynamics import command
from ssl_video.data.dataset import load
from ssl_video.errors import InputError
from ssl_video.inference import temporal_robustness
from ssl_video.inference.model import Model
from ssl_video.runs import checkpoint
from ssl_video.runs.folder import DYNAMICS, RunFolder
from ssl_video.spec import build
from ssl_video.training.execution import Execution
from ssl_video.training.run import plan, run

SMALL = {
    "width": 0.125, "protocol": "per-class:2", "frames": 4, "stride": 2, "size": 8, "steps": 3,
    "labeled_batch": 3, "unlabeled_batch": 3, "test_clips": 2, "learning_rate": 0.05,
}  # fmt: skip
Command = Callable[..., int]


@pytest.fixture(scope="module")
def trained_runs(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder: two seeds of CMPL, one of supervised; they reach their data by a link."""
    root = tmp_path_factory.mktemp("dynamics")
    (root / "videos").symlink_to(video_folder)
    specs = [
        build(SMALL | {"data": str(root / "videos"), "algorithm": algorithm, "seed": seed})
        for algorithm, seed in (("cmpl", 0), ("cmpl", 1), ("supervised", 0))
    ]
    data = load(specs[0])
    for spec in specs:
        todo = plan(spec, data, torch.device("cpu"))
        run(todo, root / "results" / "runs" / todo.name, Execution("cpu"))
    return root


@pytest.fixture
def results(trained_runs: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(trained_runs / "results", tmp_path / "results"))


@pytest.fixture
def call() -> Command:
    """Call the command as the command line does; its status."""

    def run(*arguments: object) -> int:
        status: int = command.main(
            [*map(str, arguments), "--device", "cpu"], prog_name="dynamics", standalone_mode=False
        )
        return status

    return run


def folders(results: Path, algorithm: str = "") -> list[Path]:
    return sorted((results / "runs").glob(f"{algorithm}*"))


def test_all_runs_of_a_folder(results: Path, call: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """One table a method, a row for each network; the original clips give each run's own numbers."""
    assert call("--results", results) == 0
    screen, aside = capsys.readouterr()
    assert "warning" not in aside
    assert "cmpl videos per-class:2, mean of 2 runs" in screen
    assert "supervised videos per-class:2\n" in screen.replace(" \n", "\n").replace("  ", "")
    for word in ("primary", "auxiliary", "slowed4", "frozen", "reversed", "shuffled", "±"):
        assert word in screen
    for folder in folders(results):
        record = json.loads((folder / "result.json").read_text())
        scores = temporal_robustness.read(folder)
        assert list(scores) == list(record["predictors"])
        assert {name: theirs["original"] for name, theirs in scores.items()} == record["predictors"]
        made_with = json.loads((folder / DYNAMICS).read_text())["environment"]
        assert made_with.items() <= record["environment"].items()


def test_the_cells_by_hand(results: Path, call: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs: original 40 and 60 %; frozen 30 and 45 %, so 10 and 15 points less, 12.5 in the mean.

    The 95 % quantile of Student's t with one degree of freedom is 12.706: half widths are 12.706 times the
    standard error, 10 for the original (127.1 points) and 2.5 for the difference (31.8).
    """
    for folder, original, frozen in zip(folders(results, "cmpl"), (0.4, 0.6), (0.3, 0.45), strict=True):
        top1 = dict.fromkeys(temporal_robustness.CHANGES, original) | {"frozen": frozen}
        scores = {change: {"top1": top, "top5": 1.0, "mean_class": top} for change, top in top1.items()}
        temporal_robustness.write(folder, {"primary": scores}, RunFolder(folder).result.environment)
    assert call(*folders(results, "cmpl")) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["primary", "50.0", "+0.0", "+0.0", "-12.5", "+0.0", "+0.0"] in lines
    assert ["±", "127.1", "±", "31.8"] in lines  # equal differences have no interval


def test_nothing_is_measured_twice_unless_asked_for(
    results: Path, call: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = folders(results, "supervised")
    assert call(folder, "--json") == 0
    first = capsys.readouterr().out
    measured: list[Any] = []
    really = Model.sensitivity

    def counted(*arguments: Any) -> temporal_robustness.Scores:
        measured.append(arguments)
        return really(*arguments)

    monkeypatch.setattr(Model, "sensitivity", counted)
    assert call(folder, "--json") == 0
    assert capsys.readouterr().out == first
    assert not measured
    assert call(folder, "--json", "--again") == 0
    assert capsys.readouterr().out == first, "shuffled in the same order"
    assert len(measured) == 1
    assert json.loads(first) == {folder.name: temporal_robustness.read(folder)}


def test_a_bad_run_does_not_cost_the_others(
    results: Path, call: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    cut, empty = folders(results, "cmpl")
    (cut / checkpoint.FINAL).write_bytes((cut / checkpoint.FINAL).read_bytes()[:-100])
    (empty / checkpoint.FINAL).unlink()
    (results / "runs" / "begun").mkdir()
    assert call(*folders(results)) == 1
    screen, aside = capsys.readouterr()
    assert "supervised videos" in screen
    assert "cmpl" not in screen
    problems = [line for line in aside.splitlines() if line.startswith("error:")]
    assert len(problems) == 3
    for folder, word in ((cut, "damaged"), (empty, "holds no checkpoint"), (Path("begun"), "result.json")):
        assert any(folder.name in problem and word in problem for problem in problems), word
    assert [folder for folder in folders(results, "cmpl") if (folder / DYNAMICS).exists()] == []


def test_data_that_is_gone_or_another(
    trained_runs: Path, results: Path, call: Command, make_video: Callable[..., Path]
) -> None:
    (folder,) = folders(results, "supervised")
    link = trained_runs / "videos"
    real = link.readlink()
    try:
        link.unlink()
        with pytest.raises(InputError, match="videos"):
            call(folder)
        for name in ("jump", "sleep"):
            for clip in range(4):
                make_video(link / name / f"{clip}.mkv", 12, 40, 44)
        with pytest.raises(InputError, match="sleep"):
            call(folder)
    finally:
        shutil.rmtree(link, ignore_errors=True)
        link.symlink_to(real)
    assert not (folder / DYNAMICS).exists()


def test_numbers_that_are_not_the_records_are_said(
    results: Path, call: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = folders(results, "supervised")
    record = json.loads((folder / "result.json").read_text())
    record["predictors"]["model"]["top1"] = 1 / 64
    del record["checksum"], record["files"]  # as of a version that wrote none
    (folder / "result.json").write_text(json.dumps(record))
    assert call(folder) == 0
    assert "% in its record" in capsys.readouterr().err


def test_folders_that_are_no_runs(results: Path, call: Command, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a results folder"):
        call(results)
    with pytest.raises(InputError, match="no finished run"):
        call("--results", tmp_path)
    (folder,) = folders(results, "supervised")
    (folder / "result.json").write_text('{"format": 2, "algorithm": "supervised"}')
    with pytest.raises(InputError, match="cannot be used: run is missing; options is missing; backbone is"):
        call(folder)
    (folder / "result.json").write_text('{"algorithm": "supervised"}')
    with pytest.raises(InputError, match="cannot be used: its format is 1, this version of ssl-video reads"):
        call(folder)
    (folder / "result.json").write_text("{")
    with pytest.raises(InputError, match=r"cannot be used: .*; rerun the command of the run"):
        call(folder)
