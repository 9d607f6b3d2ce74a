"""Charts: values at their pixels, gaps, marks, nothing on top of something else."""

import math
import re

import numpy as np
import pytest
from helpers.report_pages import Document

from ssl_video.figures import charts, heatmap
from ssl_video.figures.charts import Bar, Estimate, Series
from ssl_video.figures.drawing import WIDTH, text_width
from ssl_video.figures.scatter import Point, scatter


def numbers(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]


def test_a_curve_is_where_its_values_are() -> None:
    html = charts.lines("t", [Series("a", [0, 50, 100], [0, 1, 0.5])], "step", "loss", y_range=(0, 1))
    ((start, bottom), (middle, top), (end, half)) = numbers(Document(html).named("path", "curve")[0]["d"])
    # The plot is 200 high; its right end is 12 from the edge; x = 50 is in the middle.
    assert bottom - top == 200
    assert half == pytest.approx((bottom + top) / 2)
    assert end == WIDTH - 12
    assert middle == pytest.approx((start + end) / 2, abs=0.01)


def test_a_curve_has_gaps_where_it_has_no_values() -> None:
    series = Series("a", [0, 1, 2, 3, 4], [1, 2, math.nan, 5, math.nan])
    page = Document(charts.lines("t", [series], "x", "y"))
    assert len(page.named("path", "curve")) == 1
    assert len(page.named("circle")) == 1  # a stretch of one value


def test_a_band_goes_along_the_top_and_back_along_the_bottom() -> None:
    series = Series("a", [0, 1], [5, 5], [0, 2], [10, 8])
    html = charts.lines("t", [series], "x", "y", y_range=(0, 10))
    corners = numbers(Document(html).named("path", "band")[0]["d"])
    (x, high), (_, lower), (_, higher), (_, low) = corners
    assert [low - high, higher - high, lower - high] == pytest.approx([200, 160, 40])
    assert x == corners[-1][0]


def test_each_curve_has_a_name_and_a_look_of_its_own() -> None:
    series = [Series(f"method {n}", [0, 1], [n, n]) for n in range(11)]
    page = Document(charts.lines("t", series, "x", "y"))
    looks = {curve["class"] for curve in page.named("path", "curve")}
    assert len(looks) == 11
    assert looks == {mark["class"] for mark in page.named("line", "curve")}


def test_intervals_by_hand() -> None:
    rows = [Estimate("a", 50, 25), Estimate("b", 50, 75), Estimate("c", 20)]
    page = Document(charts.intervals("t", rows, "top-1 %", limits=(0, 100)))
    start, end = 13 * 0.63 + 12, WIDTH - 12  # the names are one letter wide
    middle = start + (end - start) / 2
    *dots, _ = [float(dot["cx"]) for dot in page.named("circle")]  # the last one is that of the key
    assert dots == pytest.approx([middle, middle, start + 0.2 * (end - start)], abs=0.01)
    whiskers = [(float(line["x1"]), float(line["x2"])) for line in page.named("line", "whisker")]
    quarter = (end - start) / 4
    assert whiskers[0] == pytest.approx((middle - quarter, middle + quarter), abs=0.01)
    assert whiskers[1] == pytest.approx((start, end), abs=0.01)  # cut at 0 and 100
    assert len(whiskers) == 2  # one run has no interval, and a hollow dot
    assert ["hollow" in dot["class"] for dot in page.named("circle")] == [False, False, True, True]


def test_marks_are_explained_where_they_are() -> None:
    certain, open_ = Estimate("a", 5, 1, accent=True), Estimate("b", 1, 3)
    page = Document(charts.intervals("t", [certain, open_], "points", accent="differs from 0"))
    # A diamond for the row and one for the key: 4 + 1.5 to each side.
    row, key = page.named("path", "accent")
    assert row["d"].endswith("l5.5 5.5l-5.5 5.5l-5.5 -5.5z")
    assert float(key["d"][1:].split()[0]) == 7
    assert "differs from 0" in page.text
    assert "one run" not in page.text
    plain = Document(charts.intervals("t", [open_], "points", accent="differs from 0"))
    assert "differs from 0" not in plain.text


def test_bars_go_both_ways_from_zero() -> None:
    page = Document(charts.bars("t", [Bar("up", 20), Bar("down", -10), Bar("none", math.nan)], "points"))
    up, down = page.named("rect")
    zero = float(page.named("line", "zero")[0]["x1"])
    assert (up["class"], down["class"]) == ("up", "down")
    assert float(up["x"]) == pytest.approx(zero)
    assert float(down["x"]) + float(down["width"]) == pytest.approx(zero, abs=0.02)
    assert float(up["width"]) == pytest.approx(2 * float(down["width"]), abs=0.02)
    assert {"+20.0", "−10.0"} <= set(page.text)


def test_a_matrix_is_as_dark_as_its_values() -> None:
    page = Document(
        heatmap.heatmap("t", np.array([[1, 0], [0.25, 0.75]]), ["a", "b"], ["c", "d"], "true", "said")
    )
    shades = [float(cell["style"].removeprefix("opacity:")) for cell in page.named("rect", "heat")]
    assert shades == pytest.approx([1, 0.31, 0.77])  # 0.08 + 0.92 * share; 0 is the ground
    first, quarter, _ = page.named("rect", "heat")
    assert float(quarter["y"]) > float(first["y"])
    assert {"100", "25", "75"} <= set(page.text)


def test_a_large_matrix_has_no_names_to_be_unreadable() -> None:
    names = [f"class {n}" for n in range(101)]
    page = Document(heatmap.heatmap("t", np.eye(101), names, names, "true", "said"))
    assert not page.named("text", "name")
    (shade,) = page.named("path", "heat")
    assert shade["d"].count("M") == 101


def boxes(html: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of the names of points, at the size of the charts' small print."""
    page = Document(html)
    found, texts = [], iter(re.findall(r"<text[^>]*>([^<]*)</text>", html))
    for attributes in page.named("text"):
        words = next(texts)
        if attributes.get("class") == "small":
            x, y = float(attributes["x"]), float(attributes["y"])
            found.append((x, y - 9, x + text_width(words, 12), y + 3))
    return found


def test_names_of_points_never_overlap() -> None:
    random = np.random.default_rng(0)
    points = [Point(f"method {n}", *random.normal(50, 5, 2).tolist()) for n in range(40)]
    points += [Point("twice", 50, 50), Point("twice", 50, 50)]
    found = boxes(scatter("t", points, "x", "y"))
    assert len(found) > 20
    for place, a in enumerate(found):
        assert a[0] >= 0
        assert a[2] <= WIDTH
        for b in found[place + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_a_point_by_hand() -> None:
    html = scatter("t", [Point("a", 1, 0), Point("b", 100, 100, 50), Point("c", 0, 5)], "x", "y", log_x=True)
    page = Document(html)
    low, high, _ = page.named("circle")  # the last is that of the key; 0 has no place on a logarithmic axis
    # The axis goes to round ends beyond 0.9 and 110: 0.5 and 200; log10(2) = 0.301 of its log10(400) = 2.602.
    width = (float(high["cx"]) - float(low["cx"])) / (2 / 2.60206)
    assert float(high["cx"]) == pytest.approx(WIDTH - 12 - 0.30103 / 2.60206 * width, abs=0.1)
    (whisker,) = page.named("line", "whisker")
    assert float(whisker["y1"]) < float(high["cy"]) < float(whisker["y2"])


def test_each_baseline_has_a_line_with_its_name() -> None:
    points = [Point("a", 1, 40), Point("b", 2, 50)]
    html = scatter("t", points, "x", "y", levels={"old recipe": 40, "new recipe": 50})
    low, high, _ = Document(html).named("line", "zero")
    heights = {float(circle["cy"]) for circle in Document(html).named("circle")[:2]}
    assert {float(line["y1"]) for line in (low, high)} == heights
    assert low["y1"] == low["y2"]
    assert re.findall(r"<title>(\w+ recipe: \d+)</title><line", html) == ["old recipe: 40", "new recipe: 50"]


def test_points_without_a_name_are_listed_from_left_to_right() -> None:
    points = [Point(f"p{place}", -place, 1, 1) for place in range(60)]
    html = scatter("t", [*points, *points], "x", "y")
    drawn = re.findall('class="small">p([0-9]+)<', html)
    listed = [int(name) for name in re.findall(r"\bp(\d+)[,<]", html.partition("left to right")[2])]
    assert drawn
    assert len(listed) > 20
    assert listed == sorted(listed, reverse=True)


def test_a_cell_without_a_value_has_a_stroke_and_no_shade() -> None:
    small = Document(heatmap.heatmap("t", np.array([[1, math.nan]]), ["a"], ["c", "d"], "true", "said"))
    assert len(small.named("path", "absent")) == 1
    assert len(small.named("rect", "heat")) == 1
    matrix = np.full((20, 20), math.nan)
    large = Document(heatmap.heatmap("t", matrix, ["a"] * 20, ["b"] * 20, "true", "said"))
    assert large.named("path", "absent")[0]["d"].count("M") == 400
    assert not large.named("path", "heat")
    assert len(large.named("rect", "heat")) == 10  # those of the scale
    assert {"0", "100 %"} <= set(large.text)


def test_names_of_classes_are_whole_where_there_is_room() -> None:
    names = ["triangle-horizontal", "disk"]
    page = Document(heatmap.heatmap("t", np.eye(2), names, names, "true", "said"))
    assert page.text.count("triangle-horizontal") == 2


@pytest.mark.parametrize(
    "html",
    [
        charts.lines("<b>", [Series("<i>", [], []), Series('"', [1], [math.nan])], "&", "<"),
        charts.intervals("<b>", [Estimate("<script>alert(1)</script>", math.nan)], "&"),
        charts.intervals("none", [], "x"),
        charts.bars("<b>", [Bar("</text>", 0)], "&"),
        heatmap.heatmap("<b>", np.zeros((1, 1)), ["<i>"], ["</title>"], "&", "&"),
        scatter("<b>", [Point("</title><b>", 1, 1)], "&", "<", log_x=True),
        scatter("none", [], "x", "y"),
    ],
    ids=["lines", "intervals", "no interval", "bars", "heatmap", "scatter", "no point"],
)
def test_odd_values_and_names_make_no_odd_page(html: str) -> None:
    page = Document(html)
    assert {name for name, _ in page.elements} <= {
        *("figure", "figcaption", "svg", "title", "desc", "g", "path", "line", "circle", "rect", "text"),
    }
    assert "nan" not in html
    assert "NaN" not in html
    assert page.named("svg")[0]["role"] == "img"
    assert [name for name, _ in page.elements[:5]] == ["figure", "figcaption", "svg", "title", "desc"]
