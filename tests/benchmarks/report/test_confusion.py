"""Which classes are taken for which."""

from pathlib import Path

import numpy as np
from helpers import run_files
from helpers.records import draws
from helpers.report_pages import Document, folder, report_data, write

from ssl_video.benchmarks.report import confusion
from ssl_video.benchmarks.report.confusion import Confusion, fractions, most_confused

CLASSES = ("a", "b", "c")
# Two runs: a is a, a is b, b is b, b is a | a is a, a is c, b is a, b is a; c has no clip.
FIRST = run_files.predictions_of([0, 0, 1, 1], {"model": [0, 1, 1, 0], "teacher": [2, 2, 2, 2]}, CLASSES)
SECOND = run_files.predictions_of([0, 0, 1, 1], {"model": [0, 2, 0, 0], "teacher": [2, 2, 2, 2]}, CLASSES)


def test_counts_by_hand() -> None:
    counts = confusion.confusion([FIRST, SECOND], "model")
    assert counts.tolist() == [[2, 1, 1], [3, 1, 0], [0, 0, 0]]
    np.testing.assert_array_equal(fractions(counts), [[0.5, 0.25, 0.25], [0.75, 0.25, 0], [np.nan] * 3])


def test_most_confused_by_hand() -> None:
    counts = confusion.confusion([FIRST, SECOND], "model")
    expected = [Confusion("b", "a", 3, 0.75), Confusion("a", "b", 1, 0.25), Confusion("a", "c", 1, 0.25)]
    assert most_confused(counts, CLASSES) == expected
    assert most_confused(counts, CLASSES, 1) == expected[:1]
    rare = np.array([[0, 1, 0], [2, 8, 0], [0, 0, 1]])
    by_fraction, by_clips = (most_confused(rare, CLASSES, by_clips=by) for by in (False, True))
    assert [pair.truth for pair in by_fraction] == ["a", "b"]
    assert [pair.truth for pair in by_clips] == ["b", "a"]
    assert most_confused(np.eye(3, dtype=np.int64), CLASSES) == []


def test_section(tmp_path: Path) -> None:
    runs = [*draws("supervised", 0.4, 0.5), *draws("cmpl", 0.5, 0.6)]
    results = write(tmp_path, *runs)
    assert confusion.section(report_data(results)) is None
    for facts, said in zip(runs, (FIRST, SECOND, FIRST, FIRST), strict=True):
        run_files.write_predictions(folder(results, facts), said)
    section = confusion.section(report_data(results))
    assert section
    text = " ".join(Document(section.html).text)
    assert "b → a: 75 %" in text
    assert "b → a: 50 %" in text
    assert "c → c: none" in text


def test_many_classes_are_a_table(tmp_path: Path) -> None:
    many = [f"class {n}" for n in range(101)]
    results = write(tmp_path, *draws("supervised", 0.4))
    (only,) = (results / "runs").iterdir()
    run_files.write_predictions(only, run_files.predictions_of([7, 7, 8], {"model": [9, 9, 8]}, many))
    section = confusion.section(report_data(results))
    assert section
    document = Document(section.html)
    assert not document.named("svg")
    assert "class 7class 92100 %" in "".join(document.text)
