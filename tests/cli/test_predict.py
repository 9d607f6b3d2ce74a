"""`ssl-video predict`."""

import csv
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import Call, start, wait_for

from ssl_video.runs import checkpoint

HEADER = "path,start,end,label,probability,second_label,second_probability,margin,windows,error"


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_rows_as_json_and_as_a_table(run: Path, dataset: Path, call: Call) -> None:
    videos = [dataset / "test" / "dark" / "0.mp4", dataset / "test" / "light" / "1.mp4"]
    done = call("predict", run / "final.safetensors", *videos, "--json", cwd=run)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["path"] for answer in answers] == [str(video) for video in videos]
    for answer in answers:
        assert {answer["label"], answer["second_label"]} == {"dark", "light"}
        assert answer["probability"] + answer["second_probability"] == pytest.approx(1, abs=1e-5)
    table = call("predict", run, *videos, cwd=run)
    assert "probability" in table.stdout
    assert "light/1.mp4" in table.stdout.replace("\n", "").replace(" ", "").replace("│", "")


def test_a_table_of_a_folder_continues(run: Path, dataset: Path, call: Call, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(dataset / "test", tmp_path / "new"))
    broken = folder / "light" / "4.mp4"
    broken.write_text("no video")
    first = call("predict", run, "new", "-o", "labels.csv", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "1 clip could not be read; see the column error of" in first.stderr
    assert "new/light/4.mp4: " in first.stderr
    written = rows(tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_text().splitlines()[0] == HEADER
    assert [row["path"] for row in written] == [
        f"new/{label}/{n}.mp4" for label, count in (("dark", 4), ("light", 5)) for n in range(count)
    ]
    assert (written[-1]["label"], written[-1]["windows"], bool(written[-1]["error"])) == ("", "0", True)
    shutil.copy(dataset / "test/light/0.mp4", broken)
    again = call("predict", run, "new", "-o", "labels.csv", cwd=tmp_path)
    assert "8 of 9 clips were in labels.csv already" in again.stderr
    assert rows(tmp_path / "labels.csv")[:8] == written[:8]
    assert not rows(tmp_path / "labels.csv")[8]["error"]


def test_a_time_line(run: Path, dataset: Path, call: Call, tmp_path: Path) -> None:
    done = call(
        *("predict", run, dataset / "test/dark/0.mp4", "--every", "0.5", "--no-merge", "-o", "line.csv"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = [(row["start"], row["end"]) for row in rows(tmp_path / "line.csv")]
    assert found == [("0", "0.5"), ("0.5", "1"), ("1", "1.2")]  # 12 frames, 10 per second


def test_nothing_can_be_read(run: Path, call: Call, tmp_path: Path) -> None:
    done = call("predict", run, "nowhere.mp4", run / "result.json", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert "nowhere.mp4: no such file" in done.stderr
    assert "2 clips could not be read; " in done.stderr
    assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == [None, None]
    wrong = call("predict", run, "nowhere", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "nowhere does not exist" in wrong.stderr


def test_the_expectation_of_a_probability(run: Path, dataset: Path, call: Call, tmp_path: Path) -> None:
    done = call("predict", run, dataset / "test", "--abstain", "0.999999", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "note: the run has neither validation clips" in done.stderr
    assert {json.loads(line)["label"] for line in done.stdout.splitlines()} == {"unknown"}


def test_names_for_a_terminal(run: Path, dataset: Path, call: Call, tmp_path: Path) -> None:
    """Markup and control characters are text."""
    name = "[red]a[b]\x1b[31m.mp4"
    shutil.copy(dataset / "test/dark/0.mp4", tmp_path / name)
    done = call("predict", run, name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "[red]a[b]" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("every", [(), ("--every", "0.3")])
def test_a_killed_command_continues(
    every: tuple[str, ...], run: Path, dataset: Path, environment: dict[str, str], call: Call, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    for number in range(400):
        os.link(dataset / f"test/dark/{number % 4}.mp4", tmp_path / f"new/{number:03}.mp4")
    table = tmp_path / "labels.csv"
    process = start(environment, "predict", run, "new", *every, "-o", "labels.csv", cwd=tmp_path)
    wait_for(lambda: table.exists() and len(rows(table)) > 20, process)
    process.kill()
    process.communicate()
    before = rows(table)
    assert len(before) < 400
    done = call("predict", run, "new", *every, "-o", "labels.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "of 400 clips were in labels.csv already" in done.stderr
    after = rows(table)
    assert after[: len(before) - 1] == before[:-1]
    call("predict", run, "new", *every, "-o", "whole.csv", cwd=tmp_path)
    places = [(row["path"], row["start"], row["end"], row["label"]) for row in rows(tmp_path / "whole.csv")]
    assert [(row["path"], row["start"], row["end"], row["label"]) for row in after] == places


@pytest.mark.slow
def test_ctrl_c_keeps_the_rows(run: Path, dataset: Path, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    for number in range(400):
        os.link(dataset / f"test/dark/{number % 4}.mp4", tmp_path / f"new/{number:03}.mp4")
    table = tmp_path / "labels.csv"
    process = start(environment, "predict", run, "new", "-o", "labels.csv", cwd=tmp_path)
    wait_for(lambda: table.exists() and len(rows(table)) > 20, process)
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1].endswith("stopped\n")
    assert process.returncode == 130
    assert 20 < len(rows(table)) < 400


def test_why_there_is_no_expectation(
    run: Path, dataset: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def notes(**state: Any) -> str:
        monkeypatch.setattr("ssl_video.inference.load._read", lambda *_: load(made) | state)
        done = call("predict", made, dataset / "test/dark/0.mp4", "--abstain", "0.9", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stderr

    made, load = Path(shutil.copy(run / "final.safetensors", tmp_path / "alone.safetensors")), checkpoint.load
    spec = load(made)["spec"]
    assert "the run has neither validation clips nor folds, from which" in notes()
    kept = notes(spec=spec | {"validation": 0.2})
    assert "which are in its folder and not in the checkpoint: give the folder" in kept
    assert "the run is not finished: the fraction and the precision" in notes(step=1)
