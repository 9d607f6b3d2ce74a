"""What the networks of a method do for each other."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import run_files
from helpers.records import draws
from helpers.report_pages import Document, folder, report_data, write

from ssl_video.benchmarks.report import networks
from ssl_video.benchmarks.report.networks import by_class, gains, losses

CLASSES = ("a", "b", "c")
# Class a: the primary has 2 of 2, the auxiliary 1 of 2; class b: 0 of 1 and 1 of 1; no clip of c.
FIRST = run_files.predictions_of([0, 0, 1], {"primary": [0, 0, 0], "auxiliary": [0, 1, 1]}, CLASSES)
# Class a: 2 of 2 and 0 of 2; class b: 1 of 1 and 1 of 1.
SECOND = run_files.predictions_of([0, 0, 1], {"primary": [0, 0, 1], "auxiliary": [1, 1, 1]}, CLASSES)


def scores(**top1: float) -> dict[str, dict[str, float]]:
    return {change: {"top1": value, "top5": 1.0, "mean_class": value} for change, value in top1.items()}


def changed(original: float, other: float) -> dict[str, dict[str, float]]:
    names = ("slowed", "slowed4", "frozen", "reversed", "shuffled")
    return scores(original=original, **dict.fromkeys(names, other))


def test_accuracy_of_classes_by_hand() -> None:
    np.testing.assert_array_equal(by_class(FIRST, "auxiliary"), [0.5, 1, np.nan])


def test_gains_by_hand() -> None:
    """Class a: 0.5 and 1, mean 0.75, s = 0.3536; class b: -1 and 0. t(1) = 12.706, over sqrt(2) runs."""
    a, b = gains([FIRST, SECOND], "primary", "auxiliary")
    assert (a.name, a.clips, b.name, b.clips) == ("a", 2, "b", 1)
    assert a.gain == (pytest.approx(0.75), pytest.approx(12.7062 * 0.25, rel=1e-4), 2)
    assert b.gain == (pytest.approx(-0.5), pytest.approx(12.7062 * 0.5, rel=1e-4), 2)


def test_losses_are_paired_by_run() -> None:
    """0.2 less in both runs, however different the runs are: no spread."""
    runs = [{"model": changed(0.9, 0.7)}, {"model": changed(0.5, 0.3)}]
    found = losses(runs, "model")
    assert list(found) == ["slowed", "slowed4", "frozen", "reversed", "shuffled"]
    assert (found["frozen"].mean, found["frozen"].n) == (pytest.approx(-0.2), 2)
    assert not found["frozen"].known


def test_gain_section(tmp_path: Path) -> None:
    runs = [*draws("supervised", 0.4), *draws("cmpl", 0.5, 0.6, predictor="primary")]
    results = write(tmp_path, *runs)
    one = run_files.predictions_of([0, 1, 1], {"model": [0, 0, 0]}, CLASSES)
    for facts, said in zip(runs, (one, FIRST, SECOND), strict=True):
        run_files.write_predictions(folder(results, facts), said)
    section = networks.class_gains(report_data(results))
    assert section
    document = Document(section.html)
    assert "cmpl: primary minus auxiliary" in document.text
    assert len(document.named("svg")) == 1, "supervised has one network"
    assert "a: +75.0 ± 317.7 points, 2 runs, 2 clips" in document.text


def test_many_classes_are_shown_from_both_ends(tmp_path: Path) -> None:
    names = [f"class {n}" for n in range(101)]
    labels = list(range(101))
    wrong = [(n + 1) % 101 for n in labels]
    # The primary is better at the first two classes, the auxiliary at the last two.
    said = {"primary": [*labels[:99], *wrong[99:]], "auxiliary": [*wrong[:2], *labels[2:]]}
    results = write(tmp_path, *draws("cmpl", 0.5, predictor="primary"))
    (only,) = (results / "runs").iterdir()
    run_files.write_predictions(only, run_files.predictions_of(labels, said, names))
    section = networks.class_gains(report_data(results))
    assert section
    text = Document(section.html).text
    assert "class 0: +100.0 points, 1 run, 1 clip" in text
    assert "class 99: -100.0 points, 1 run, 1 clip" in text
    assert any("71 classes between are left out" in line for line in text)


def test_dynamics_section(tmp_path: Path) -> None:
    runs = draws("cmpl", 0.5, 0.6, predictor="primary")
    results = write(tmp_path, *runs)
    assert networks.dynamics(report_data(results)) is None
    for facts, value in zip(runs, (0.5, 0.7), strict=True):
        measured = {"primary": changed(value, value - 0.1), "auxiliary": changed(0.4, 0.4)}
        record = {"predictors": measured, "environment": {}}
        (folder(results, facts) / "dynamics.json").write_text(json.dumps(record))
    section = networks.dynamics(report_data(results))
    assert section
    document = Document(section.html)
    assert "cmpl (original clips: primary 60.0 %, auxiliary 40.0 %)" in document.text
    assert "frozen: primary: -10.0 points, 2 runs" in document.text
