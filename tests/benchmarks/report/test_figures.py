"""The charts of a report as files: names, list, and what is absent."""

import csv
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from helpers.records import draws
from helpers.report_pages import report_data, write

import ssl_video as sv
from ssl_video.benchmarks.report import figures, page
from ssl_video.benchmarks.report.data import Section
from ssl_video.cli.report import command
from ssl_video.figures import charts, pdf
from ssl_video.figures.charts import Estimate


def section(anchor: str, *titles: str, heading: str = "") -> Section:
    drawn = [charts.intervals(title, [Estimate("a", 1, 1)], "x") for title in titles]
    return Section(anchor, anchor.title(), f"<h3>{heading}</h3>{''.join(drawn)}")


def test_names_say_what_they_are() -> None:
    made = figures.named([section("protocols", "Top-1", "Gain", heading="ucf101 per-class:4")])
    assert [one.file for one in made] == [
        "protocols-ucf101-per-class-4-top-1",
        "protocols-ucf101-per-class-4-gain",
    ]


def test_names_are_safe_and_unique() -> None:
    odd = [
        "../../etc/passwd",
        "a/b\\c:d*?",
        "CON",
        "日本",
        "ходьба",
        "café",
        "Cafe",
        "x " * 200,
        ".",
        "\x00\n",
    ]
    names = [one.file for one in figures.named([section("confusion", *odd)])]
    assert len({*names}) == len(odd)
    assert all(
        set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") and len(name) <= 103 for name in names
    )
    assert names[:4] == ["confusion-etc-passwd", "confusion-a-b-c-d", "confusion-con", "confusion"]
    assert names[4:7] == ["confusion-2", "confusion-cafe", "confusion-cafe-2"]


def test_a_report_without_charts_has_an_empty_list(tmp_path: Path) -> None:
    assert figures.write(tmp_path, [Section("a", "A", "<p>nothing</p>")]) in ([], [*_lacking(tmp_path)])
    assert (tmp_path / "index.csv").read_text() == "file,section,title,description\n"
    assert len(list(tmp_path.iterdir())) == 1


def _lacking(folder: Path) -> list[str]:
    return [f"{folder} has .svg files only: {why}"] if (why := pdf.missing()) else []


def test_without_the_library_there_are_drawings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (told,) = figures.write(tmp_path, [section("a", "one")])
    assert "has .svg files only: a .pdf needs fpdf2: pip install 'ssl-video[figures]'" in told
    assert {path.name for path in tmp_path.iterdir()} == {"a-one.svg", "index.csv"}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write(tmp_path / "results", *draws("supervised", 0.40, 0.50), *draws("cmpl", 0.54, 0.55))


def test_every_chart_of_the_page_is_a_file(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "figures"
    with_files = sv.write_report(results, tmp_path / "page", figures=folder, progress=False).read_text()
    assert with_files == page.page(report_data(results))  # the page is the same
    rows = list(csv.DictReader((folder / "index.csv").open(encoding="utf-8")))
    assert len(rows) == with_files.count('<figure class="chart">') == 2
    endings = {".svg"} if pdf.missing() else {".svg", ".pdf"}
    expected = {f"{row['file']}{ending}" for row in rows for ending in endings}
    assert {path.name for path in folder.iterdir()} == expected | {"index.csv"}
    first = rows[0]
    assert first["section"] == "Accuracies and gains by protocol"
    assert first["title"].endswith(": Top-1")
    assert "supervised: 45.0 ± 63.5" in first["description"]
    root = ET.parse(folder / f"{first['file']}.svg").getroot()
    assert "supervised" in {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}


def test_the_command(results: Path, tmp_path: Path) -> None:
    asked = [str(results), "-o", str(tmp_path / "page"), "--figures", str(tmp_path / "figures")]
    done = CliRunner().invoke(command, asked, catch_exceptions=False)
    assert done.exit_code == 0
    assert str(tmp_path / "figures" / "index.csv") in done.output
    assert (tmp_path / "page" / "index.html").exists()


def test_a_folder_that_cannot_be_made(results: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(sv.InputError, match="give another folder with --figures"):
        sv.write_report(results, tmp_path / "page", figures=tmp_path / "file", progress=False)
    assert not (tmp_path / "page" / "index.html").exists()
