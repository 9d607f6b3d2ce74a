"""From one run's predictions to another run that learns them."""

import csv
import json
from pathlib import Path

import pytest
import torch
from helpers.command_line import TINY, Call

import ssl_video as sv
from ssl_video.registry import algorithms


@pytest.fixture
def table(run: Path, dataset: Path, call: Call, tmp_path: Path) -> Path:
    """The predictions of a run for the training clips."""
    done = call("predict", run, dataset / "train", "--probabilities", "-o", "teacher.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path / "teacher.csv"


def test_the_table_has_a_column_for_each_class(
    table: Path, run: Path, dataset: Path, call: Call, tmp_path: Path
) -> None:
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    for row in rows:
        assert float(row["dark"]) + float(row["light"]) == pytest.approx(1, abs=1e-5)
        assert row[row["label"]] == row["probability"]
    refused = call("predict", run, dataset / "train", "-o", "teacher.csv", cwd=tmp_path)
    assert refused.returncode == 2
    assert "other settings (probabilities True, now None)" in refused.stderr
    for suffix in (".json", ".arrow"):
        done = call("predict", run, dataset / "test", "--probabilities", "-o", f"other{suffix}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    listed = json.loads((tmp_path / "other.json").read_text())
    frame = sv.open_run(run).model().predict(dataset / "test", probabilities=True)
    assert [row["dark"] for row in listed] == pytest.approx(frame["dark"].tolist(), abs=1e-6)


def test_a_run_learns_a_table(table: Path, dataset: Path, call: Call, tmp_path: Path) -> None:
    train = ("train", "--data", dataset, "--algo", "distill", "--protocol", "per-class:2", *TINY)
    done = call(*train, "--set", "options.teacher=teacher.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (first,) = (tmp_path / "ssl-video-results/runs").iterdir()
    used = json.loads((first / "result.json").read_text())["pseudo_labels_used"]
    assert used == {"teacher": 1.0}
    again = call(*train, "--set", "options.teacher=teacher.csv", cwd=tmp_path)
    assert "1 of them already finished" in again.stderr
    # The trained network is independent of the table, and a changed table makes another run.
    text = table.read_text()
    table.unlink()
    assert call("predict", first, dataset / "test", "--json", cwd=tmp_path).returncode == 0
    table.write_text(text.replace(",0,", ",0.0,", 1) + "\n")
    done = call(*train, "--set", "options.teacher=teacher.csv", cwd=tmp_path)
    assert "0 of them already finished" in done.stderr
    assert len(list((tmp_path / "ssl-video-results/runs").iterdir())) == 2


def test_what_is_wrong_is_said_before_videos_are_read(
    table: Path, dataset: Path, call: Call, tmp_path: Path
) -> None:
    train = ("train", "--data", dataset, "--algo", "distill", "--protocol", "per-class:2", *TINY)
    without = call(*train, cwd=tmp_path)
    assert without.returncode == 2
    assert "--set options.teacher=FILE.csv" in without.stderr
    absent = call(*train, "--set", "options.teacher=teach.csv", cwd=tmp_path)
    assert "did you mean" in absent.stderr
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *(line for line in lines[1:] if "/1.mp4" not in line)]) + "\n")
    some = call(*train, "--set", "options.teacher=teacher.csv", cwd=tmp_path)
    assert some.returncode == 2
    assert "unlabeled clips have no predictions" in some.stderr
    assert not any(tmp_path.glob("ssl-video-results/runs/*"))


def test_from_python(table: Path, dataset: Path) -> None:
    """Each clip has its own row, in any order of the batches."""
    data = sv.load_data(dataset, protocol="per-class:2", frames=2, stride=1, size=8)
    algorithm = sv.create("distill", data=data, backbone="tiny3d", width=0.125, teacher=str(table))
    with table.open(newline="") as file:
        known = {row["path"].split("train/")[1]: float(row["dark"]) for row in csv.DictReader(file)}
    expected = sorted(round(known[name.split("train/")[1]], 4) for name in data.unlabeled)
    found = dict[int, float]()
    for batch, _ in data.batches(algorithm, labeled=2, unlabeled=4, steps=9):
        assert batch.predictions is not None
        assert torch.isfinite(algorithm(batch, 0.5).loss)
        for index, value in zip(batch.indices.tolist(), batch.predictions[:, 0].tolist(), strict=True):
            assert found.setdefault(index, value) == value
    assert sorted(round(value, 4) for value in found.values()) == expected


def test_all_methods_are_those_that_take_steps_and_need_no_table() -> None:
    methods = {name: algorithms.get(name) for name in algorithms.builtin()}
    needing = {name for name, method in methods.items() if getattr(method, "predictions_from", "")}
    at_once = {name for name, method in methods.items() if getattr(method, "at_once", False)}
    compared = {line.method for line in sv.forecast("all", data="demo", steps=10).lines}
    assert (needing, at_once) == ({"distill"}, {"logistic", "propagation"})
    assert compared == methods.keys() - needing - at_once
