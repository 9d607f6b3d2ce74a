"""From a cross-validation to the model on all labels, by the commands that are printed."""

import shlex
from pathlib import Path

from helpers.command_line import TINY, Call


def printed(stdout: str) -> list[str]:
    """Return the command that is printed last, without the program."""
    program, *arguments = shlex.split(stdout.strip().splitlines()[-1])
    assert program == "ssl-video"
    return arguments


def test_the_model_of_the_best_method_of_a_benchmark(dataset: Path, call: Call, tmp_path: Path) -> None:
    """With its options, and its folds are not trained again."""
    compared = ("--algo", "supervised,pseudolabel", "--set", "options.threshold=0.3", "--folds", "2")
    compared += ("--labeled-in-unlabeled",)
    done = call("bench", "--data", dataset, *compared, *TINY, "--results", "my results", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "next, the model whose accuracy these folds estimate:" in done.stdout
    done = call(*printed(done.stdout), "--threads", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 runs, 2 of them already finished" in done.stderr
    assert "expected top-1" in done.stdout
    assert not (tmp_path / "ssl-video-results").exists()


def test_one_fold(dataset: Path, call: Call, tmp_path: Path) -> None:
    """A run of a fold is no model to use; the one on all labels has a name of its own."""
    done = call("train", "--data", dataset, "--folds", "2", "--draw", "1", *TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "predict" not in done.stdout
    done = call(*printed(done.stdout), "--threads", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 runs, 1 of them already finished" in done.stderr
    assert done.stdout.count("expected top-1") == 1
    assert "ssl-video predict " in done.stdout
