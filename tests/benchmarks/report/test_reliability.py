"""How far the probabilities of a method's runs are off."""

import dataclasses
from pathlib import Path

import numpy as np
from helpers import run_files
from helpers.numbers import close
from helpers.records import draws
from helpers.report_pages import Document, folder, report_data, write

from ssl_video.benchmarks.report import reliability
from ssl_video.inference import calibration

CLASSES = ("a", "b")
# At 0.9, 1 of 2 right, and in the second run 2 of 2; at the temperature 0.6 and b in place of a.
FIRST, SECOND = (
    run_files.predictions_of([0, 1], {"model": guesses}, CLASSES) for guesses in ([0, 0], [0, 1])
)
MOVED = {
    "calibrated_guesses": {"model": np.array([[1], [1]], np.int32)},
    "calibrated_confidences": {"model": np.array([[0.6], [0.6]], np.float32)},
}


def test_clips_of_all_runs_are_pooled() -> None:
    found = reliability.before_and_after([FIRST, SECOND], "model")
    ((*_, clips, probability, accuracy),) = found["not calibrated"]
    assert (clips, probability, accuracy) == (4, close(0.9), 0.75)
    assert list(found) == ["not calibrated"]
    moved = [dataclasses.replace(run, **MOVED) for run in (FIRST, SECOND)]
    found = reliability.before_and_after(moved, "model")
    assert [calibration.error(curve) for curve in found.values()] == close([0.15, 0.1])
    assert list(reliability.before_and_after([moved[0], SECOND], "model")) == ["not calibrated"]


def test_section(tmp_path: Path) -> None:
    runs = draws("supervised", 0.4, 0.5)
    results = write(tmp_path, *runs)
    assert reliability.section(report_data(results)) is None
    for facts, said in zip(runs, (FIRST, SECOND), strict=True):
        run_files.write_predictions(folder(results, facts), dataclasses.replace(said, **MOVED))
    section = reliability.section(report_data(results))
    assert section
    document = Document(section.html)
    text = " ".join(document.text)
    assert "not calibrated (ECE 15.0 %)" in text
    assert "calibrated (ECE 10.0 %)" in text
