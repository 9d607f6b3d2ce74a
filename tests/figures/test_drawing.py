"""Scales and ticks by hand."""

import math

import pytest

from ssl_video.figures.drawing import WIDTH, Scale, broken, fitted, legend, plain, scale, text_width


def test_values_are_where_they_belong() -> None:
    # 20 of 10..50 is a quarter of the way from 100 to 300.
    assert Scale(10, 50, 100, 300)(20) == 150
    # Upside down, as vertical axes are: 3/4 of the way from 200 up to 0.
    assert Scale(0, 1, 200, 0)(0.75) == 50
    # 10 is the middle of 1..100 by factors.
    assert Scale(1, 100, 0, 400, log=True)(10) == pytest.approx(200)
    assert Scale(0, 10, 0, 100).inside(12) == 100


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (-30, 65, [-20, 0, 20, 40, 60]),
        (0.1, 0.45, [0.1, 0.2, 0.3, 0.4]),  # 3 * 0.1 is 0.30000000000000004
        (0, 30000, [0, 5000, 10000, 15000, 20000, 25000, 30000]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    step = ticks[1] - ticks[0]
    found = Scale(low, high, 0, 1).ticks()
    assert found[:1] == ticks[:1] or found[0] % step == pytest.approx(0)
    assert all(low <= tick <= high for tick in found)
    assert 2 <= len(found) <= 7
    assert all(len(f"{tick:g}".strip("-").lstrip("0.").rstrip("0")) <= 2 for tick in found)


def test_logarithmic_ticks_are_round() -> None:
    assert Scale(1, 50, 0, 1, log=True).ticks() == [1, 2, 5, 10, 20, 50]
    assert Scale(0.01, 1e6, 0, 1, log=True).ticks()[:2] == [0.01, 1.0]
    assert len(Scale(1e-9, 1e9, 0, 1, log=True).ticks()) <= 7


def test_ends_are_round_and_hold_all_values() -> None:
    found = scale([12.3, 57.9, math.nan], 0, 1)
    assert (found.low, found.high) == (12, 58)  # steps of 2: at most 25 of them in 45.6
    assert scale([3.0], 0, 1, include=(0.0,)).low == 0
    assert scale([40.0, 130.0], 0, 1, limits=(0, 100)).high == 100
    assert scale([5.0, 5.0], 0, 1).low < 5 < scale([5.0, 5.0], 0, 1).high
    assert scale([], 0, 1) == Scale(0, 1, 0, 1)
    logarithmic = scale([3.0, 700.0, 0.0], 0, 1, log=True)
    assert (logarithmic.low, logarithmic.high) == (2, 1000)


def test_numbers_are_short() -> None:
    assert [plain(v) for v in (0.25, 30000, -0.0, -2.5)] == ["0.25", "30000", "0", "−2.5"]


def test_long_names_keep_both_ends() -> None:
    name = "fixmatch networks.auxiliary.width=0.25"
    short = fitted(name, text_width("x" * 20))
    assert len(short) == 20
    assert short.startswith("fixmatch")
    assert short.endswith("0.25")
    assert fitted("cmpl", 100) == "cmpl"


def test_a_legend_breaks_its_lines() -> None:
    parts, height = legend([f"method number {n}" for n in range(12)], WIDTH)
    rows = {part.split(' y="')[1].split('"')[0] for part in parts}
    assert len(rows) > 1
    assert height > len(rows) * 13


def test_long_names_are_broken_at_spaces() -> None:
    """A character is 13 * 0.63 wide: 20 of them fit into 165."""
    assert broken("cmpl", 165) == ["cmpl"]
    assert broken("cmpl auxiliary.width=1 weights=none", 165) == [
        "cmpl",
        "auxiliary.width=1",
        "weights=none",
    ]
    assert broken("cmpl weights=none auxiliary.backbone=timesformer_tiny", 165, most=2) == [
        "cmpl weights=none",
        "auxiliary.…rmer_tiny",
    ]
    assert broken("", 165) == [""]
