"""`ssl-video evaluate`."""

import json
import shutil
from pathlib import Path

from helpers.command_line import Call


def test_evaluate_gives_the_runs_own_numbers(run: Path, call: Call) -> None:
    done = call("evaluate", run, "--json", cwd=run)
    assert done.returncode == 0, done.stderr
    assert (
        json.loads(done.stdout)["predictors"] == json.loads((run / "result.json").read_text())["predictors"]
    )


def test_two_classes_have_no_top5(run: Path, call: Call) -> None:
    """Every guess would be right: nothing is shown in its place, as in leaderboard.csv."""
    done = call("evaluate", run, cwd=run)
    rows = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.startswith("│")]
    assert rows
    assert {row[2].strip() for row in rows} == {"–"}
    result = json.loads((run / "result.json").read_text())
    assert result["top5"] is None
    assert [scores["top5"] for scores in result["predictors"].values()] == [None] * len(rows)


def test_a_checkpoint_of_other_classes(run: Path, call: Call, tmp_path: Path) -> None:
    for label in ("dark", "bright", "grey"):
        for number in range(4):
            target = tmp_path / "other" / label / f"{number}.mp4"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"x")
    done = call("evaluate", run, "--data", tmp_path / "other", cwd=tmp_path)
    assert done.returncode == 2
    assert "has 2 classes" in done.stderr
    assert "bright, grey" in done.stderr


def test_clips_of_another_folder_are_all_tested_and_counted(
    run: Path, dataset: Path, call: Call, tmp_path: Path
) -> None:
    for label in ("dark", "light"):
        shutil.copytree(dataset / "train" / label, tmp_path / "camera" / label)
    done = call("evaluate", run, "--data", tmp_path / "camera", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["test"] == 16
    assert "note: no split is given: all 16 labeled clips are tested" in done.stderr
    # A part for testing alone, and a single class of it.
    shutil.rmtree(tmp_path / "camera" / "light")
    shutil.copytree(dataset / "test" / "light", tmp_path / "later" / "test" / "light")
    for data, count in (("camera", 8), ("later", 4)):
        done = call("evaluate", run, "--data", tmp_path / data, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"{data}, test clips: {count}" in done.stdout
