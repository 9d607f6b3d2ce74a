"""The pseudo-label audit as a section of the page; its numbers are tested where they are made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from helpers import run_files
from helpers.records import draws
from helpers.report_pages import Document, folder, report_data, write

from ssl_video.benchmarks.analysis import audit as numbers
from ssl_video.benchmarks.report import audit
from ssl_video.runs.pseudo_labels import PseudoLabels

# Clip x of class a, y of class b; ten steps see both. The primary says a of both and is always used, the
# auxiliary says b of both and is never used.
MADE = PseudoLabels(
    clips=np.array(["x.mp4", "y.mp4"]),
    classes=np.array(["a", "b"]),
    truths=np.array([0, 1], np.int32),
    steps=np.repeat(np.arange(10, dtype=np.int32), 2),
    indices=np.tile(np.array([0, 1], np.int32), 10),
    labels={"primary": np.zeros(20, np.int32), "auxiliary": np.ones(20, np.int32)},
    weights={"primary": np.ones(20, np.float32), "auxiliary": np.zeros(20, np.float32)},
)


def test_confusion_counts_used_labels() -> None:
    assert numbers.confusion(MADE, "primary").tolist() == [[10, 0], [10, 0]]
    assert numbers.confusion(MADE, "auxiliary").tolist() == [[0, 0], [0, 0]]


def test_shares_of_few_labels_are_hidden() -> None:
    """Two windows of 10 labels each: the primary used all of them; of the first 4 of one window, none."""
    found = audit.fewest_hidden(numbers.over_time(MADE, 2)["primary"])
    assert found.precision.tolist() == [0.5, 0.5]
    weights = np.array([1.0] * 4 + [0.0] * 6 + [1.0] * 5 + [0.0] * 5, np.float32)
    few = replace(MADE, weights=MADE.weights | {"primary": weights})
    found = audit.fewest_hidden(numbers.over_time(few, 2)["primary"])
    assert np.isnan(found.precision).tolist() == [True, False]
    assert np.isnan(found.imbalance).tolist() == [True, False]
    np.testing.assert_allclose(found.coverage, [0.4, 0.5])


def test_of_many_classes_the_worst_are_shown() -> None:
    """40 classes with a clip each: all are said to be class 0, those above 9 twice."""
    classes = 40
    indices = np.concatenate([np.arange(classes), np.arange(10, classes)])
    made = PseudoLabels(
        clips=np.array([f"{n}" for n in range(classes)]),
        classes=np.array([f"class {n}" for n in range(classes)]),
        truths=np.arange(classes),
        steps=np.zeros(len(indices), np.int32),
        indices=indices,
        labels={"model": np.zeros(len(indices), np.int32)},
        weights={"model": np.ones(len(indices), np.float32)},
    )
    assert audit.shown_classes(made, "model").tolist() == list(range(10, 40))
    assert audit.shown_classes(MADE, "primary").tolist() == [0, 1]


def test_section(tmp_path: Path) -> None:
    runs = [*draws("supervised", 0.4), *draws("cmpl", 0.5, 0.6)]
    results = write(tmp_path, *runs)
    assert audit.section(report_data(results)) is None
    for facts in runs[1:]:
        run_files.write_pseudo_labels(folder(results, facts), MADE)
    section = audit.section(report_data(results))
    assert section
    document = Document(section.html)
    said = " ".join(document.text)
    assert "20\u00a0of\u00a020 b a y.mp4" in said, "of both runs together"
    assert "b a 20 100 %" in said
    assert "No label by auxiliary was used." in said
    assert "networks with the right label of a clip, used or not: primary, auxiliary" in document.text
    assert len(document.named("svg")) == 3 + 1 + 1
