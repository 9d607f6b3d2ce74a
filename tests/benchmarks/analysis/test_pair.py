"""Two finished runs side by side."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from helpers.records import write_into

from ssl_video.benchmarks.analysis.pair import Pair, load
from ssl_video.cli.compare import command
from ssl_video.errors import InputError
from ssl_video.runs import archive
from ssl_video.runs.folder import RunFolder
from ssl_video.runs.predictions import PREDICTIONS, predictions, write
from ssl_video.spec import build, plain

CLIPS = [f"{name}/{n}.mp4" for name in ("run", "walk") for n in range(4)]
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])


def said(*right: int) -> np.ndarray:
    """Probabilities (8, 2) by which clips 1 are right and clips 0 wrong, each a bit surer than the last."""
    sure = np.array([0.6 + 0.02 * n for n in range(8)])
    first = np.where(np.array(right) == 1, LABELS, 1 - LABELS)
    return np.where(np.arange(2) == first[:, None], sure[:, None], 1 - sure[:, None])


def finished(folder: Path, scores: dict[str, np.ndarray], clips: list[str] = CLIPS, **spec: Any) -> Path:
    """A run's folder: 20 steps whose loss is the step, and the predictions."""
    folder.mkdir(parents=True)
    (folder / "spec.yaml").write_text(yaml.safe_dump({"algorithm": "cmpl", "steps": 20} | spec))
    steps = [json.dumps({"step": n, "loss/labeled": float(n)}) + "\n" for n in range(20)]
    (folder / "metrics.jsonl").write_text("".join(steps))
    facts = {"fingerprint": "p0", "classes": 2, "test": len(clips)}
    spec = {"algorithm": "cmpl", "steps": 20} | spec
    write_into(folder, predictors=dict.fromkeys(scores, 0.5), spec=plain(build(spec)), **facts)
    write(folder, predictions(clips, ["run", "walk"], LABELS, scores))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """A has clips 0-4 and 6 right; B has 0, 1 and 7, and its auxiliary all."""
    a = finished(tmp_path / "a", {"model": said(1, 1, 1, 1, 1, 0, 1, 0)}, options={"threshold": 0.9})
    scores = {"primary": said(1, 1, 0, 0, 0, 0, 0, 1), "auxiliary": said(*[1] * 8)}
    return a, finished(tmp_path / "b", scores, options={"threshold": 0.8, "weight": 1.0})


@pytest.fixture
def pair(runs: tuple[Path, Path]) -> Pair:
    return load(*runs)


def test_clips(pair: Pair) -> None:
    """Only A: 2, 3, 4, 6; only B: 7. With five clips and one at most on a side: 2 (1 + 5) / 2^5 = .375."""
    assert pair.counts() == (2, 4, 1, 1)
    assert pair.chance() == pytest.approx(0.375)
    guesses = list(pair.disagreements())
    # The surest first; clip 4 is of class walk, which A says with .68 and B does not.
    assert [clip for clip, *_ in guesses] == [CLIPS[n] for n in (7, 6, 4, 3, 2)]
    clip, label, a, b = guesses[2]
    assert (clip, label, a, b) == (
        "walk/0.mp4",
        "walk",
        ("walk", pytest.approx(0.68)),
        ("run", pytest.approx(0.68)),
    )


def test_equals_differ_by_chance(runs: tuple[Path, Path]) -> None:
    assert load(runs[0], runs[0]).chance() == 1
    assert list(load(runs[0], runs[0]).disagreements()) == []


def test_classes(pair: Pair) -> None:
    """Of run A has all four and B two; of walk A has two and B one: the larger gain first."""
    assert pair.classes() == [("run", 4, 1.0, 0.5), ("walk", 4, 0.5, 0.25)]


def test_settings_and_curves(pair: Pair) -> None:
    assert pair.differences() == [("options.threshold", "0.9", "0.8"), ("options.weight", "not set", "1.0")]
    # The last tenth of 20 steps are 18 and 19.
    assert pair.metrics() == [("loss/labeled", 18.5, 18.5)]


def test_a_network_that_is_not_the_headline(runs: tuple[Path, Path]) -> None:
    found = load(runs[1], runs[1], (None, "auxiliary"))
    assert (found.a.network, found.b.network) == ("primary", "auxiliary")
    assert found.counts() == (3, 0, 5, 0)
    assert found.differences() == []


def test_runs_of_an_archive(runs: tuple[Path, Path], pair: Pair, tmp_path: Path) -> None:
    """They are compared by clip and by setting, without metrics."""
    archive.write(tmp_path / "runs.zip", [RunFolder(run) for run in runs])
    for inside in runs:
        shutil.rmtree(inside)
    found = load(tmp_path / "runs.zip" / "a", tmp_path / "runs.zip" / "b")
    assert pair.metrics()
    assert not found.metrics()
    assert found.counts() == pair.counts()
    assert found.differences() == pair.differences()
    assert list(found.disagreements()) == list(pair.disagreements())
    assert found.classes() == pair.classes()


def test_what_cannot_be_compared(runs: tuple[Path, Path], tmp_path: Path) -> None:
    other = finished(
        tmp_path / "runs" / "other", {"model": said(*[1] * 8)}, clips=[f"x{n}" for n in range(8)]
    )
    for arguments, message in (
        ((runs[0], other), "different clips"),
        ((tmp_path, other), "is a results folder"),
        ((tmp_path / "none", other), "no run in"),
        ((runs[0], runs[1], (None, "auxilary")), "did you mean auxiliary"),
    ):
        with pytest.raises(InputError, match=message):
            load(*arguments)
    (runs[1] / "result.json").write_text('{"run": "x"')
    with pytest.raises(InputError, match=r"b is not finished: its result\.json is missing or damaged"):
        load(*runs)
    (runs[0] / PREDICTIONS).unlink()
    (runs[1] / "result.json").unlink()
    with pytest.raises(InputError) as caught:
        load(*runs)
    assert len(caught.value.problems) == 2


def test_the_screen(runs: tuple[Path, Path]) -> None:
    result = CliRunner().invoke(command, [*map(str, runs), "--clips", "2"], catch_exceptions=False)
    lines = [line.split() for line in result.output.splitlines()]
    for expected in (
        ["A", "a", "model", "75.0"],
        ["B", "b", "primary", "37.5"],
        ["options.threshold", "0.9", "0.8"],
        ["B", "right", "2", "1"],
        ["B", "wrong", "4", "1"],
        ["run", "4", "100.0", "50.0", "+50.0"],
        ["loss/labeled", "18.5", "18.5"],
        ["walk/3.mp4", "walk", "run", "0.74", "walk", "0.74"],
    ):
        assert expected in lines
    assert "the same labels (p0)" in result.output
    assert "has probability 0.38" in result.output
    assert "2 of the 5 clips" in result.output
    assert "walk/0.mp4" not in result.output
