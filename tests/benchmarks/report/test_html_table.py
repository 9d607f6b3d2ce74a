"""Tables: the same rows in the page and in the data for scripts."""

from typing import Any

from helpers.report_pages import Document

from ssl_video.benchmarks.report import html_table
from ssl_video.benchmarks.report.html_table import MarkedText, TableColumn

COLUMNS = [TableColumn("method"), TableColumn("dataset", choice=True), TableColumn("top-1", "number")]


def rows_of(content: list[dict[str, Any]]) -> list[list[Any]]:
    """The rows that page.js makes of a table's data."""
    count = len(content[0].get("codes", content[0]["values"]))
    return [[c["values"][c["codes"][row] if "codes" in c else row] for c in content] for row in range(count)]


def test_scripts_see_every_row_and_readers_the_first() -> None:
    rows = [[f"m{n % 7}", f"d{n % 2}", f"{n}.5"] for n in range(450)]
    page = Document(html_table.sortable_table("t", "numbers", COLUMNS, rows))
    assert rows_of(page.scripts["t-data"]) == rows
    assert len(page.named("tr")) == 1 + html_table.PAGE
    assert "rows 1 to 200 of 450" in page.text
    # Few different texts are stored once.
    assert len(page.scripts["t-data"][0]["values"]) == 7
    assert "codes" not in page.scripts["t-data"][2]


def test_marks_come_along() -> None:
    page = Document(
        html_table.sortable_table("t", "numbers", COLUMNS, [["a", "d", MarkedText("1.0 (n=1)", "once")]])
    )
    assert page.named("td", "once")[0]["class"] == "number once"
    assert rows_of(page.scripts["t-data"]) == [["a", "d", ["1.0 (n=1)", "once"]]]


def test_what_is_the_same_for_all_takes_no_room_but_stays_in_the_data() -> None:
    page = Document(html_table.sortable_table("t", "numbers", COLUMNS, [["a", "d", "1"], ["b", "d", "2"]]))
    assert [c.get("hidden", False) for c in page.scripts["t-data"]] == [False, True, False]
    assert len(page.named("th")) == 2
    assert not page.named("select")
    page = Document(html_table.sortable_table("t", "numbers", COLUMNS, [["a", "d", "1"], ["b", "e", "2"]]))
    assert len(page.named("select")) == 1
    assert [text for text in page.text if text in ("all", "d", "e")] == ["all", "d", "e", "d", "e"]


def test_no_text_ends_the_element_that_holds_it() -> None:
    hostile = "</script><script>alert(1)</script><!--\u2028"
    page = Document(html_table.sortable_table("t", hostile, COLUMNS, [[hostile, hostile, hostile]] * 2))
    assert [name for name, _ in page.elements].count("script") == 1
    assert rows_of(page.scripts["t-data"]) == [[hostile] * 3] * 2
    assert hostile in page.text
