"""`ssl-video predict`."""

import json
from pathlib import Path

import pytest
from helpers.command_line import Call


def test_predict_as_json_and_as_table(run: Path, dataset: Path, call: Call) -> None:
    videos = [dataset / "test" / "dark" / "0.mp4", dataset / "test" / "light" / "1.mp4"]
    done = call("predict", run / "final.safetensors", *videos, "--top", "2", "--json", cwd=run)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["video"] for answer in answers] == [str(video) for video in videos]
    for answer in answers:
        assert {label["label"] for label in answer["labels"]} == {"dark", "light"}
        assert sum(label["probability"] for label in answer["labels"]) == pytest.approx(1, abs=1e-5)
    table = call("predict", run, *videos, cwd=run)
    assert "probability" in table.stdout


def test_predict_names_what_it_cannot_read_and_answers_the_rest(run: Path, dataset: Path, call: Call) -> None:
    done = call(
        "predict", run, run / "result.json", dataset / "test/dark/0.mp4", "nowhere.mp4", "--json", cwd=run
    )
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 1
    assert "result.json" in done.stderr
    assert "nowhere.mp4: no such file" in done.stderr
