"""`ssl-video analyze audit` on records made by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.records import write_into

from ssl_video.cli.audit import command
from ssl_video.errors import InputError
from ssl_video.runs.pseudo_labels import PSEUDO_LABELS

FACTS: dict[str, Any] = {
    "algorithm": "cmpl", "configuration": "c1", "dataset": "demo", "dataset_fingerprint": "d1",
    "protocol": "per-class:1", "setting": "s1",
    "spec": {"algorithm": "cmpl", "options": {"threshold": 0.8}, "seed": 0},
}  # fmt: skip
# Two classes, three clips, two steps of two clips each; at the end the primary uses a right and a wrong one.
LABELS = {
    "clips": np.array(["x", "y", "z"]), "classes": np.array(["a", "b"]), "truths": np.array([0, 1, 1]),
    "steps": np.array([0, 0, 1, 1]), "indices": np.array([0, 1, 1, 2]),
    "labels/primary": np.array([0, 0, 1, 0]), "weights/primary": np.array([0, 0, 1, 1], np.float32),
    "labels/auxiliary": np.array([0, 1, 0, 0]), "weights/auxiliary": np.array([0, 0, 0, 1], np.float32),
}  # fmt: skip


def make(folder: Path, **changes: Any) -> Path:
    write_into(folder, **{"classes": 2, "unlabeled": 3} | FACTS | changes)
    np.savez(folder / PSEUDO_LABELS, **LABELS)  # type: ignore[arg-type]
    return folder


def call(*arguments: object) -> int:
    status: int = command.main([*map(str, arguments)], prog_name="audit", standalone_mode=False)
    return status


def test_the_screen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(make(tmp_path / "one"), "--windows", 2) == 0
    screen = capsys.readouterr().out
    lines = [line.split() for line in screen.splitlines()]
    assert "cmpl demo per-class:1: labels by primary" in screen
    # Step 0: two labels, none used. Step 1: y is right, z taken for a, which gets half of them for no clip.
    assert ["0", "2", "0.0", "–", "0.0", "–"] in lines
    assert ["1", "2", "100.0", "50.0", "50.0", "50.0"] in lines
    # Classes of step 1, the least precise first: labels, coverage, recall, precision, of labels, of clips.
    assert ["a", "0", "–", "–", "0.0", "50.0", "0.0"] in lines
    assert ["b", "2", "100.0", "50.0", "100.0", "50.0", "100.0"] in lines
    assert lines.index(["a", "0", "–", "–", "0.0", "50.0", "0.0"]) < next(
        place for place, line in enumerate(lines) if line[:2] == ["b", "2"]
    )
    assert ["z", "b", "a", "1", "1"] in lines
    # Of step 1: y is right by the primary alone, z is wrong by both, with the same label.
    assert ["primary", "right", "0.0", "0.0", "50.0"] in lines
    assert ["primary", "wrong", "0.0", "50.0", "(same", "label:", "50.0)", "0.0"] in lines
    assert "both right 0.0 %, primary alone 50.0, auxiliary alone 0.0, neither 50.0" in screen


def test_runs_of_one_configuration_are_put_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But those of another configuration or protocol are not, and titles tell all of them apart."""
    runs = [
        make(tmp_path / "one"), make(tmp_path / "two"), make(tmp_path / "three", configuration="c2"),
        make(tmp_path / "four", protocol="per-class:2"),
        make(tmp_path / "five", configuration="c3", spec=FACTS["spec"] | {"options": {"threshold": 0.9}}),
        make(tmp_path / "six", dataset_fingerprint="d2"),
    ]  # fmt: skip
    assert call(*runs, "--json", "--windows", 1) == 0
    found = json.loads(capsys.readouterr().out)
    assert {title: body["networks"]["primary"]["over_time"]["seen"] for title, body in found.items()} == {
        # A plugin whose code was changed has the same words.
        "cmpl c1 demo per-class:1 (data d1), 2 runs": [8],
        "cmpl c2 demo per-class:1": [4],
        "cmpl c1 demo per-class:2": [4],
        "cmpl threshold=0.9 demo per-class:1": [4],
        "cmpl c1 demo per-class:1 (data d2)": [4],
    }
    primary = found["cmpl c1 demo per-class:1 (data d1), 2 runs"]["networks"]["primary"]
    assert primary["mistakes"] == [{"clip": "z", "truth": "b", "label": "a", "wrong": 2, "seen": 2}]
    (both,) = found["cmpl c1 demo per-class:2"]["agreement"]
    assert (both["one"], both["other"]) == ("primary", "auxiliary")
    assert np.sum(both["counts"]) == 4


def test_other_sets_of_labels_are_not_put_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [
        make(tmp_path / "one"), make(tmp_path / "two", labeled_in_unlabeled=True),
        make(tmp_path / "three", validation=0.2), make(tmp_path / "four", validation=0.0),
    ]  # fmt: skip
    assert call(*runs, "--json", "--windows", 1) == 0
    assert list(json.loads(capsys.readouterr().out)) == [
        "cmpl demo per-class:1, 2 runs",
        "cmpl demo per-class:1, labeled in unlabeled",
        "cmpl demo per-class:1, validation 0.2",
    ]


def test_what_was_not_used_is_null(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(make(tmp_path / "one"), "--json", "--windows", 2) == 0
    text = capsys.readouterr().out
    assert "NaN" not in text
    (found,) = json.loads(text).values()
    assert found["networks"]["primary"]["over_time"]["precision"] == [None, 0.5]
    assert found["networks"]["primary"]["by_class"]["recall"] == [[None, None], [None, 0.5]]


def test_a_run_without_labels_does_not_cost_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, none, damaged = (make(tmp_path / name) for name in ("good", "none", "damaged"))
    (none / PSEUDO_LABELS).unlink()
    (damaged / PSEUDO_LABELS).write_bytes(b"PK")
    assert call(good, none, damaged, tmp_path / "nowhere") == 1
    screen, aside = capsys.readouterr()
    assert "cmpl demo per-class:1: labels by primary" in screen
    assert aside.count("error:") == 2
    for name in ("damaged", "nowhere"):
        assert str(tmp_path / name) in aside
    assert "1 run stores no pseudo-labels that can be checked and is left out" in aside
    bare = make(tmp_path / "bare")
    (bare / "result.json").write_text("{")
    (bare / PSEUDO_LABELS).unlink()
    assert call(good, bare) == 1  # damaged, not without labels
    assert call(good, none) == 0  # as with runs/*, where those of supervised are among them
    with pytest.raises(InputError) as caught:
        call(none, damaged)
    assert len(caught.value.problems) == 2
