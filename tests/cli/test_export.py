"""`ssl-video export` and `ssl-video features`."""

import json
from pathlib import Path

import numpy as np
import torch
from helpers.command_line import Call


def test_a_runs_network_as_a_file(run: Path, call: Call, tmp_path: Path) -> None:
    """Its metadata name the run."""
    done = call("export", run, "-o", "model.pt2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "model.pt2: tiny3d, 4 frames of any size, resized to 16 px, 2 classes" in done.stdout
    about = {"ssl-video.json": ""}
    torch.export.load(tmp_path / "model.pt2", extra_files=about)
    found = json.loads(about["ssl-video.json"])
    assert (found["run"], found["classes"], found["steps"]) == (run.name, ["dark", "light"], 6)
    wrong = call("export", run, "-o", "model.h5", cwd=tmp_path)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


def test_features_of_a_folder(run: Path, dataset: Path, call: Call, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_text("no video")
    done = call("features", run, dataset / "test", "broken.mp4", "-o", "f.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 clip could not be read; see errors in " in done.stderr
    assert "note: not calibrated: the run has no validation clips" in done.stderr
    with np.load(tmp_path / "f.npz") as found:
        assert found["labels"].tolist() == ["dark"] * 4 + ["light"] * 4
        assert len(found["features"]) == len(found["probabilities"]) == 8
        assert found["errors"][0].startswith("broken.mp4: ")
