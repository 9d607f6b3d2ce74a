"""The page in a browser: sorting, filtering, turning pages, dark, on a phone, on paper, without scripts.

Needs Playwright (the extra `browser`) and an installed Chromium.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.browser import WITHOUT, started
from helpers.browser import Tab as BrowserTab
from helpers.records import draws
from helpers.report_pages import report_data, write

from ssl_video.benchmarks.report import page

pytestmark = WITHOUT

TEN = {"protocol": "per-class:10", "labeled": 100, "unlabeled": 500}
LONG = {
    "configuration": "clong",
    "options": '{"a_rather_long_name_of_an_option_that_fills_a_line":0.123456789}',
}
RUNS = [
    *draws("supervised", 0.40, 0.50, 0.44), *draws("supervised", 0.5, 0.52, **TEN),
    *draws("cmpl", 0.54, 0.55, 0.61), *draws("cmpl", 0.64, **TEN), *draws("fixmatch", 0.07, 0.31),
    *draws("fixmatch", 0.1, 0.2, **LONG), *draws("uda", *(n / 300 for n in range(230))),
]  # fmt: skip


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    results = write(tmp_path_factory.mktemp("results"), *RUNS)
    folder = results / "report"
    page.make_folder(folder)
    return page.write(folder, page.page(report_data(results))).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as running:
        yield running


class Tab(BrowserTab):
    """The page of a report."""

    def column(self, sheet: str, place: int) -> list[str]:
        texts: list[str] = self.page.eval_on_selector_all(
            f"#{sheet} tbody tr td:nth-child({place})", "cells => cells.map(cell => cell.textContent)"
        )
        return texts

    def sort(self, sheet: str, place: int) -> str | None:
        """Presses a column's heading; how it says that it is sorted."""
        head = self.page.locator(f"#{sheet} th:nth-child({place})")
        head.locator("button").press("Enter")
        sorted_by: str | None = head.get_attribute("aria-sort")
        return sorted_by


@pytest.fixture
def tab(browser: Any, address: str) -> Iterator[Tab]:
    opened = Tab(browser, address)
    yield opened
    opened.context.close()
    # A page from disk that asks for nothing and complains of nothing.
    assert opened.asked == [address]
    assert opened.said == []


def test_tables_sort_by_value_from_the_keyboard(tab: Tab) -> None:
    assert tab.sort("leaderboard", 3) == "descending"
    shown = [float(text.split()[0]) for text in tab.column("leaderboard", 3)]
    assert shown == sorted(shown, reverse=True)
    assert tab.sort("leaderboard", 3) == "ascending"
    shown = [float(text.split()[0]) for text in tab.column("leaderboard", 3)]
    assert shown == sorted(shown)
    # Gains have signs, and what has none stays last.
    tab.sort("leaderboard", 6)
    *gains, _, none = tab.column("leaderboard", 6)
    shown = [float(text.split()[0].replace("−", "-")) for text in gains]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] > 0 > shown[-1]
    assert none == "–"
    assert tab.sort("leaderboard", 1) == "ascending"
    assert tab.page.locator("#leaderboard th:nth-child(3)").get_attribute("aria-sort") == "none"
    assert tab.column("leaderboard", 1)[0] == "cmpl"


def test_tables_are_searched_and_narrowed(tab: Tab) -> None:
    tab.page.fill("#leaderboard input", "CMPL per-class:10")
    assert tab.column("leaderboard", 1) == ["cmpl"]
    assert "1 of " in tab.page.inner_text("#leaderboard .range")
    tab.page.fill("#leaderboard input", "")
    tab.page.select_option("#leaderboard select >> nth=0", "fixmatch")
    assert len(tab.column("leaderboard", 1)) == 2
    tab.page.select_option("#leaderboard select >> nth=1", "per-class:10")
    assert tab.column("leaderboard", 1) == []
    assert "0 of " in tab.page.inner_text("#leaderboard .range")


def test_pages_are_turned(tab: Tab) -> None:
    first = tab.column("runs", 1)
    assert len(first) == 200
    tab.page.click("#runs .on")
    assert len(first) + len(tab.column("runs", 1)) == len(RUNS)
    assert tab.page.is_disabled("#runs .on")
    tab.page.click("#runs .back")
    # The same cells that the page came with.
    assert tab.column("runs", 1) == first


def test_what_is_shown_can_be_saved(tab: Tab) -> None:
    tab.page.select_option("#runs select >> nth=0", "cmpl")
    with tab.page.expect_download() as coming:
        tab.page.click("#runs .save")
    lines = Path(coming.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("method,algorithm,dataset,protocol")
    assert len(lines) == 1 + 4


def test_commands_are_copied(tab: Tab) -> None:
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.page.click("#commands summary >> nth=0")
    tab.page.click("#commands .copy >> nth=0")
    tab.page.wait_for_function("document.querySelector('#commands .copy').textContent === 'copied'")
    assert "ssl-video train" in tab.page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_tables_and_not_the_page(browser: Any, address: str, scheme: str) -> None:
    phone = {"width": 390, "height": 844}
    tab = Tab(browser, address, viewport=phone, is_mobile=True, color_scheme=scheme)
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
    tab.page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
    ground = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    tab.context.close()


def test_nothing_moves_once_it_is_shown(browser: Any, address: str) -> None:
    tab = Tab(browser, address)
    moved = tab.page.evaluate(
        """() => new Promise(done => {
            let sum = 0;
            new PerformanceObserver(list => list.getEntries().forEach(entry => { sum += entry.value; }))
                .observe({type: "layout-shift", buffered: true});
            setTimeout(() => done(sum), 300);
        })"""
    )
    assert moved == 0
    tab.context.close()


def test_texts_of_charts_do_not_overlap_nor_leave_them(browser: Any, address: str) -> None:
    """As the browser sets them, and not by the width that drawing.py guesses."""
    tab = Tab(browser, address)
    wrong = tab.page.evaluate(
        """() => [...document.querySelectorAll(".chart svg")].flatMap(chart => {
            const around = chart.getBoundingClientRect();
            const texts = [...chart.querySelectorAll("text")]
                .map(text => [text, text.getBoundingClientRect()]);
            const outside = texts.filter(([, x]) => x.left < around.left - 1 || x.right > around.right + 1);
            const covered = texts.filter(([, x], place) => texts.slice(place + 1)
                .some(([, y]) => x.left < y.right - 0.5 && y.left < x.right - 0.5
                    && x.top < y.bottom - 3 && y.top < x.bottom - 3));
            return [...outside, ...covered].map(([text]) => text.textContent);
        })"""
    )
    assert wrong == []
    tab.context.close()


def test_it_reads_without_scripts_and_prints(browser: Any, address: str, tmp_path: Path) -> None:
    tab = Tab(browser, address, java_script_enabled=False)
    assert tab.page.locator("#leaderboard tbody tr").count() == 7
    assert not tab.page.is_visible("#leaderboard input")
    printed = tab.page.pdf(path=str(tmp_path / "page.pdf"), format="A4")
    assert printed.count(b"/Type /Page\n") > 2
    tab.context.close()
