"""Runs that are all equal: no interval anywhere, and nothing breaks."""

import json
import re
from pathlib import Path

from helpers.records import compare, draws
from helpers.report_pages import Document, report_data, write

from ssl_video.benchmarks.report import page
from ssl_video.benchmarks.tables.exports import to_csv, to_json, to_latex, to_markdown
from ssl_video.benchmarks.tables.table_content import lay_out

TEN = {"protocol": "per-class:10", "labeled": 100, "unlabeled": 500}
RUNS = [
    *(*draws("supervised", 0.5, 0.5), *draws("cmpl", 0.6, 0.6)),
    *(*draws("supervised", 0.5, 0.5, **TEN), *draws("cmpl", 0.6, 0.6, **TEN)),
]
WIDTH_0 = re.compile(r"± *0\.0|pm 0|nan", re.IGNORECASE)


def test_no_table_claims_certainty() -> None:
    content = lay_out(compare(*RUNS))
    for form in (to_csv, to_json, to_latex, to_markdown):
        assert not WIDTH_0.search(form(content)), form
    cell = json.loads(to_json(content))["cells"][-1]
    assert (cell["mean"], cell["n"], cell["half_width"], cell["gain_half_width"], cell["corrected_p"]) == (
        *(0.6, 2, None, None, None),
    )


def test_no_page_and_no_figure_does(tmp_path: Path) -> None:
    report = report_data(write(tmp_path, *RUNS))
    document = Document(page.page(report))
    text = " ".join(document.text)
    assert not WIDTH_0.search(text)
    assert "4 of 4 means have no interval: a single run, or runs that are equal." in text
    assert "No gain over supervised can be tested" in text
    assert all("hollow" in dot["class"] for dot in document.named("circle"))
    assert "nan" not in "".join(map(str, document.elements)).lower()
