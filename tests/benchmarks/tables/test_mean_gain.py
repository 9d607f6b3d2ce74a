"""Mean gains over protocols: by hand, in every form, and not where columns are no sets of labels."""

import json
from typing import Any

import pytest
from helpers.records import compare, draws, shown_table

from ssl_video.benchmarks.tables import mean_gain
from ssl_video.benchmarks.tables.comparison import Comparison
from ssl_video.benchmarks.tables.exports import to_csv, to_json, to_latex, to_markdown
from ssl_video.benchmarks.tables.table_content import Gains, lay_out
from ssl_video.errors import InputError


def suite() -> Comparison:
    """Gains of CMPL in three protocols: 2, 4 and 6 points; of FixMatch: -1 in one; 5 in another set."""
    runs: list[dict[str, Any]] = []
    for labeled, gain in ((1, 0.02), (2, 0.04), (5, 0.06)):
        protocol = {"protocol": f"per-class:{labeled}"}
        # One protocol has more draws, which do not count more.
        baseline = (0.3, 0.4, 0.5, 0.6) if labeled == 1 else (0.3, 0.4)
        runs += draws("supervised", *baseline, **protocol)
        runs += draws("cmpl", *(value + gain for value in baseline), **protocol)
    runs += draws("fixmatch", 0.29, 0.39, protocol="per-class:2")
    elsewhere = {"dataset": "other", "dataset_fingerprint": "d9"}
    runs += [*draws("supervised", 0.5, 0.6, **elsewhere), *draws("cmpl", 0.55, 0.65, **elsewhere)]
    return compare(*runs)


def test_by_hand() -> None:
    """Mean 4, s = 2: half width t(2) * 2 / sqrt(3) = 4.3027 * 1.1547 = 4.968; t = 3.4641, p = 0.0742.

    The distribution with 2 degrees of freedom is 1/2 + t / (2 sqrt(2 + t^2)): p = 1 - 3.4641 / sqrt(14).
    """
    content = lay_out(suite(), mean_gains=True)
    (column,) = [column for column in content.columns if isinstance(column, Gains)]
    assert column.title == "demo mean gain"
    assert content.labels == ("supervised", "cmpl", "fixmatch")
    supervised, cmpl, fixmatch = column.gains
    assert supervised is None
    assert fixmatch is None  # one gain is no mean
    assert cmpl is not None
    assert cmpl.gain.difference == pytest.approx((0.04, 0.04968, 3), abs=1e-5)
    assert (cmpl.gain.wins, cmpl.gain.ties, cmpl.gain.losses) == (3, 0, 0)
    assert cmpl.gain.p == pytest.approx(1 - 3.4641 / 14**0.5, abs=1e-4)
    assert cmpl.corrected_p == cmpl.gain.p  # the only test


def test_all_rows_are_corrected_together() -> None:
    runs: list[dict[str, Any]] = []
    for labeled, gain in ((1, 0.02), (2, 0.04), (5, 0.06)):
        protocol = {"protocol": f"per-class:{labeled}"}
        runs += draws("supervised", 0.3, **protocol)
        runs += draws("cmpl", 0.3 + gain, **protocol)
        runs += draws("fixmatch", 0.3 + gain / 4 - 0.02, **protocol)
    (column,) = (c for c in lay_out(compare(*runs), mean_gains=True).columns if isinstance(c, Gains))
    _, cmpl, fixmatch = column.gains
    assert cmpl
    assert fixmatch
    # FixMatch: -1.5, -1, -0.5 with s = 0.5, so t is that of CMPL and both count twice.
    assert fixmatch.gain.p == pytest.approx(cmpl.gain.p)
    assert fixmatch.corrected_p == pytest.approx(2 * cmpl.gain.p)
    assert (fixmatch.gain.wins, fixmatch.gain.losses) == (0, 3)


def test_in_every_form() -> None:
    content = lay_out(suite(), mean_gains=True)
    lines = shown_table(content, 160)
    (place,) = (n for n, line in enumerate(lines) if line.startswith("method") and "mean gain" in line)
    assert lines[place + 4].endswith("+4.0 ± 5.0 (3/3)")
    assert any(mean_gain.NOTE[:40] in line for line in lines)
    header, _, *rows = [line.split("|") for line in to_markdown(content).splitlines()[:5]]
    (where,) = (place for place, text in enumerate(header) if text.strip() == "demo mean gain")
    assert [row[where].strip() for row in rows] == ["", "+4.0 ± 5.0 (3/3)", ""]
    assert r" & $+4.0 \pm 5.0$ (3/3) & " in to_latex(content)
    assert to_csv(content) == to_csv(lay_out(suite()))  # one record a cell
    (found,) = json.loads(to_json(content))["mean_gains"]
    assert (found["method"], found["group"], found["gain_n"], found["wins"]) == ("cmpl", "demo", 3, 3)
    assert found["gain"] == pytest.approx(0.04)


def test_only_over_columns_of_one_data_set() -> None:
    """+10 points on one data set and -10 on another are no gain of 0 on shared test clips."""
    elsewhere = {"dataset": "other", "dataset_fingerprint": "d9"}
    runs = [
        *draws("supervised", 0.4, 0.5), *draws("cmpl", 0.5, 0.6),
        *draws("supervised", 0.4, 0.5, **elsewhere), *draws("cmpl", 0.3, 0.4, **elsewhere),
    ]  # fmt: skip
    both = compare(*runs)
    with pytest.raises(InputError, match="has demo and other: give --dataset NAME"):
        mean_gain.over_columns([row.cells for row in both.rows])
    # Each data set has columns of its own, and there are too few of them here for a mean.
    assert not any(isinstance(column, Gains) for column in lay_out(both, mean_gains=True).columns)
    further = [run | {"protocol": "per-class:9"} for run in runs]
    content = lay_out(compare(*runs, *further), mean_gains=True)
    gains = {column.title: column.gains[1] for column in content.columns if isinstance(column, Gains)}
    assert {title: gain and gain.gain.difference.mean for title, gain in gains.items()} == {
        "demo mean gain": pytest.approx(0.1), "other mean gain": pytest.approx(-0.1),
    }  # fmt: skip
    versions = [run | {"dataset": "demo"} for run in runs]
    with pytest.raises(InputError, match="has 2 versions of demo: give --where dataset_fingerprint=d0"):
        lay_out(compare(*versions), mean_gains=True)
    # FixMatch was run on one of them only, and supervised has no gains.
    one = [run for run in versions if run["algorithm"] == "supervised"]
    lay_out(compare(*one, *draws("fixmatch", 0.5, 0.6)), mean_gains=True)


def test_one_column_says_why_there_is_none() -> None:
    one = compare(*draws("supervised", 0.5, 0.6), *draws("cmpl", 0.55, 0.65))
    content = lay_out(one, mean_gains=True)
    assert mean_gain.NONE in content.notes
    assert not any(isinstance(column, Gains) for column in content.columns)
