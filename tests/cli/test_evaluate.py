"""`ssl-video evaluate`."""

import json
from pathlib import Path

from helpers.command_line import Call


def test_evaluate_gives_the_runs_own_numbers(run: Path, call: Call) -> None:
    done = call("evaluate", run, "--json", cwd=run)
    assert done.returncode == 0, done.stderr
    assert (
        json.loads(done.stdout)["predictors"] == json.loads((run / "result.json").read_text())["predictors"]
    )


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
