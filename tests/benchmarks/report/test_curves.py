"""Learning curves: windows of steps, several runs, and what a section is made of."""

import math
from pathlib import Path

import pandas as pd
from helpers import run_files
from helpers.records import draws
from helpers.report_pages import Document, folder, report_data, write

from ssl_video.benchmarks.report import curves
from ssl_video.benchmarks.report.curves import curve, spread, windowed

nan = float("nan")


def test_windows_by_hand() -> None:
    """Steps 0, 1 | 2, 3 | 4, with 10 clips a step.

    Labels used: 2, 8 | 0, 4 | 4; right ones among them: 2, 4 | -, 1 | 4. The last window has fewer than 5.
    """
    metrics = {
        "loss/labeled": [(0, 1.0), (1, 3.0), (2, 5.0), (3, 7.0), (4, 9.0)],
        "coverage/model": [(0, 0.2), (1, 0.8), (2, 0.0), (3, 0.5), (4, 0.4)],
        "precision/model": [(0, 1.0), (1, 0.5), (3, 0.2), (4, 1.0)],
    }
    found = windowed(metrics, steps=5, width=2, batch=10)
    assert found.index.tolist() == [0.5, 2.5, 4.0]
    assert found["loss/labeled"].tolist() == [2.0, 6.0, 9.0]
    assert [round(value, 9) for value in found["coverage/model"]] == [0.5, 0.25, 0.4]
    # (0.2 * 1 + 0.8 * 0.5) / (0.2 + 0.8) = 0.6, where a mean of 1 and 0.5 would be 0.75; 0.2; 4 labels
    assert [round(value, 9) for value in found["precision/model"][:2]] == [0.6, 0.2]
    assert math.isnan(found["precision/model"][4.0])


def test_a_metric_that_comes_late_has_no_values_before() -> None:
    found = windowed({"a": [(0, 1.0), (5, 1.0)], "b": [(5, 2.0)]}, steps=6, width=3, batch=1)
    assert found.index.tolist() == [1.0, 4.0]
    assert math.isnan(found["b"][1.0])
    assert found["b"][4.0] == 2.0


def test_mean_and_ends_of_runs_by_hand() -> None:
    runs = [pd.Series([1.0, nan, 2.0]), pd.Series([4.0, nan, nan]), pd.Series([4.0, nan, 6.0])]
    found = spread(runs)
    assert found.loc[0].tolist() == [3.0, 1.0, 4.0]
    assert found.loc[1].isna().all()
    assert found.loc[2].tolist() == [4.0, 2.0, 6.0]
    assert curve(runs[:1], "a").low == (), "one run has no band"
    assert list(curve(runs, "a").high)[::2] == [4.0, 6.0]


def test_section(tmp_path: Path) -> None:
    runs = [
        *draws("supervised", 0.4, 0.5),
        *draws("cmpl", 0.5, 0.6),
        *draws("cmpl", 0.5, protocol="column:x"),
    ]
    results = write(tmp_path, *runs)
    assert curves.section(report_data(results)) is None
    rows = [{"step": n, "learning_rate": 0.1 - n / 100, "loss/labeled": 2.0 - n / 10} for n in range(4)]
    for facts in runs:
        unlabeled = {"loss/unlabeled": 1.0, "coverage/model": 1.0, "precision/model": 0.5}
        more = unlabeled if facts["algorithm"] == "cmpl" else {}
        run_files.write_lines(folder(results, facts), "metrics.jsonl", [row | more for row in rows])
    looks = [{"step": n, "model": {"top1": n / 10}, "ema": {"top1": 0.1}} for n in (1, 3)]
    run_files.write_lines(folder(results, runs[0]), "validation.jsonl", looks)
    section = curves.section(report_data(results))
    assert section
    document = Document(section.html)
    # Each title is there twice: above the chart, and in it for those who do not see it.
    titles = [text for text in document.text if text in TITLES][::2]
    # column:x comes first; its only method has the learning rate of all.
    labeled = ["loss terms", "pseudo-labels"]
    assert titles == [*labeled, "learning rate", "loss terms", "validation accuracy", *labeled]
    # Around the one loss of supervised, and two losses, coverage and precision of cmpl; column:x has one run.
    assert len(document.named("path", "band")) == 1 + 4
    assert len(document.named("details")) == 2


TITLES = ("loss terms", "pseudo-labels", "validation accuracy", "learning rate")
