"""Charts as SVG files: whole without the page, readable in print, in any name."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from ssl_video.figures import charts, heatmap, paper
from ssl_video.figures.charts import Estimate, Series
from ssl_video.figures.scatter import Point, scatter

SVG = "{http://www.w3.org/2000/svg}"
NAMES = [f"class {place} with a long name" for place in range(30)]
CHARTS = {
    "lines": charts.lines("t", [Series(f"m{n}", [0, 1], [n, 1], [0, 0], [1, 1]) for n in range(9)], "x", "y"),
    "intervals": charts.intervals(
        "t", [Estimate("a", 1, 2, accent=True), Estimate("b", -1)], "points", zero=True, accent="certain"
    ),
    "bars": charts.bars("t", [charts.Bar("a", 1), charts.Bar("b", -1)], "points"),
    "scatter": scatter(
        "t", [Point(f"p{n}", n % 3, n % 2, 1) for n in range(30)], "x", "y", levels={"base": 0.5}
    ),
    "heatmap": heatmap.heatmap(
        "t", np.array([[1, 0], [0.6, np.nan]]), ["a", "b"], ["c", "d"], "true", "said"
    ),
    "large heatmap": heatmap.heatmap("t", np.eye(30), NAMES, NAMES, "true", "said"),
}


def drawing(html: str) -> ET.Element:
    (chart,) = paper.found(html)
    return ET.fromstring(paper.stand_alone(chart).encode())


def points(root: ET.Element) -> tuple[float, float]:
    """Width in points, and points per unit."""
    width = float(root.get("width", "").removesuffix("pt"))
    return width, width / float(root.get("viewBox", "").split()[2])


@pytest.mark.parametrize("html", CHARTS.values(), ids=CHARTS)
def test_a_file_needs_no_page(html: str) -> None:
    root = drawing(html)
    assert root.tag == f"{SVG}svg"
    assert {element.tag for element in root.iter()} - {root.tag} <= {
        f"{SVG}{tag}" for tag in ("title", "desc", "rect", "line", "path", "circle", "text")
    }
    for element in root.iter():
        assert not {"class", "style", "role"} & set(element.attrib)
        assert not any("var(" in value for value in element.attrib.values())
        shape = element.tag.removeprefix(SVG)
        assert shape not in ("rect", "line", "path", "circle", "text") or {"fill", "stroke"} & set(
            element.attrib
        )
    # Texts are texts; those of tooltips are not among them.
    page = re.findall("<text[^>]*>([^<]*)</text>", html)
    assert [element.text for element in root.iter(f"{SVG}text")] == page
    assert "sans-serif" in root.get("font-family", "")


@pytest.mark.parametrize("html", CHARTS.values(), ids=CHARTS)
def test_it_can_be_read_in_a_column(html: str) -> None:
    root = drawing(html)
    width, unit = points(root)
    assert 252 < width < 519  # 89 mm to 183 mm
    sizes = [float(text.get("font-size", 13)) * unit for text in root.iter(f"{SVG}text")]
    assert min(sizes) >= 4.99


def test_a_chart_is_wider_only_for_small_names() -> None:
    usual, _ = points(drawing(CHARTS["lines"]))
    wide, _ = points(drawing(CHARTS["large heatmap"]))
    assert usual == pytest.approx(89 / 25.4 * 72, abs=0.01)
    assert wide > usual + 10


def test_curves_differ_without_colours() -> None:
    root = drawing(CHARTS["lines"])
    curves = [path for path in root.iter(f"{SVG}path") if path.get("fill") == "none"]
    looks = [path.get("stroke-dasharray") for path in curves]
    assert len(set(looks[:8])) == 8
    # The ninth has the first one's colour.
    assert curves[8].get("stroke") == curves[0].get("stroke")
    assert looks[8] != looks[0]


def test_shades_are_colours_by_hand() -> None:
    """#0b5fa5 at an opacity of 0.08 + 0.92 * 0.6 = 0.632 on white; 255 - 244 * 0.632 = 100.8."""
    boxes = [box.get("fill") for box in drawing(CHARTS["heatmap"]).iter(f"{SVG}rect")]
    assert boxes == ["#ffffff", "#0b5fa5", "#659ac6", "none"]


def test_charts_are_found_under_their_headings() -> None:
    html = (
        f"<h3>first &amp; one</h3><h4>method <span class='soft'>2 runs</span></h4>{CHARTS['bars']}"
        f"<details><summary><h3>second</h3></summary>{CHARTS['bars']}</details>"
    )
    assert [chart.headings for chart in paper.found(html)] == [("first & one", "method"), ("second",)]
    assert not list(paper.found("<p>no chart</p>"))


def test_odd_names_stay_texts() -> None:
    names = ["<script>", "a & b", "日本 − é", "bell\x07 half\ud800", "</svg>"]
    root = drawing(charts.intervals("t", [Estimate(name, 1, 1) for name in names], "x"))
    shown = [element.text for element in root.iter(f"{SVG}text")][: len(names)]
    assert shown == [*names[:3], "bell� half�", "</svg>"]


def test_joined_charts_stand_below_each_other() -> None:
    one = next(paper.found(CHARTS["heatmap"]))
    alone = ET.fromstring(paper.stand_alone(one).encode())
    both = ET.fromstring(paper.joined([one, one], "both", "", ["first", "second"]).encode())
    words = [text.text for text in both.iter(f"{SVG}text")]
    assert [words.index(name) for name in ("first", "second")] == [0, len(words) // 2]
    assert next(group.get("transform") for group in both.iter(f"{SVG}g")) == "translate(0 20.8)"
    high = [float(root.get("viewBox", "").split()[3]) for root in (alone, both)]
    # Two charts without their edges of 3, names of 1.6 lines, a line between; the edges of both.
    assert high[1] == pytest.approx(2 * (high[0] - 6) + 2 * 20.8 + 13 + 6, abs=0.05)
