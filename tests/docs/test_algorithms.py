"""docs/algorithms: every method has its page, and what is generated of it is up to date."""

import re
from pathlib import Path

import pytest
from helpers.paths import ROOT

from ssl_video.pages import cost, page, write
from ssl_video.registry import algorithms

DOCS = ROOT / "docs"
RESULTS = DOCS.parent / "results"
NAMES = algorithms.builtin()
REFRESH = "run `make pages`"


def text_of(name: str) -> str:
    file = DOCS / "algorithms" / f"{name}.md"
    assert file.is_file(), f"{name} has no page: {REFRESH}, and fill in its places marked TODO"
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_up_to_date(name: str) -> None:
    text = text_of(name)
    assert page.refreshed(text, page.generated(name, RESULTS), name) == text, REFRESH


@pytest.mark.parametrize("name", NAMES)
def test_the_words_of_a_page(name: str) -> None:
    text = text_of(name)
    words, _, _ = text.partition(page.marker(name))
    assert "TODO" not in text
    assert words.startswith("# ")
    prose = re.sub(r"```.*?```", "", words, flags=re.DOTALL)
    assert len(prose.split()) > 50, "what the method does, in about five sentences"
    assert "Differences from the paper" not in words, (
        "differences stand in the method's file, from which they are taken"
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_of_a_page_names_every_view(name: str) -> None:
    (picture,) = re.findall(r"```mermaid\n(.*?)```", text_of(name), re.DOTALL)
    assert picture.startswith(("flowchart ", "graph "))
    assert "-->" in picture
    method = cost.small(name)
    absent = [
        view
        for view in (*method.labeled, *method.unlabeled)
        if not re.search(rf"(?<![\w/-]){re.escape(view)}(?![\w/-])", picture)
    ]
    assert not absent


def test_the_table_of_all_methods_is_up_to_date() -> None:
    text = (DOCS / "algorithms" / "README.md").read_text(encoding="utf-8")
    assert f"{page.marker('all')}\n\n{write.overview()}\n{page.END}" in text, REFRESH
    assert re.findall(r"\((\w+)\.md\)", text), "a table without rows"


def test_no_page_of_a_method_that_is_gone() -> None:
    assert {file.stem for file in (DOCS / "algorithms").glob("*.md")} - {"README"} <= set(NAMES)


@pytest.mark.parametrize("file", sorted(DOCS.rglob("*.md")), ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", file.read_text(encoding="utf-8"))
    inside = [link for link in links if not link.startswith(("http://", "https://"))]
    assert not [link for link in inside if not (file.parent / link).exists()]
