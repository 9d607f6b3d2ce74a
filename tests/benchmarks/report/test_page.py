"""The page: whole, safe, equal to the leaderboard; and the command that writes it."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from helpers.records import draws, run
from helpers.report_pages import Document, report_data, write

from ssl_video.benchmarks.report import page
from ssl_video.cli import options
from ssl_video.cli.report import command
from ssl_video.cli.train import command as train
from ssl_video.spec import Spec, build, plain

TEN = {"protocol": "per-class:10", "labeled": 100, "unlabeled": 500}
RUNS = [
    *draws("supervised", 0.40, 0.50), *draws("supervised", 0.5, 0.52, **TEN),
    *draws("cmpl", 0.54, 0.55), *draws("fixmatch", 0.58, **TEN),
]  # fmt: skip


def rows_of(content: list[dict[str, Any]]) -> list[dict[str, str]]:
    """A table's data as rows by the titles of columns, without marks."""
    count = len(content[0].get("codes", content[0]["values"]))
    rows = []
    for row in range(count):
        cells = {c["title"]: c["values"][c["codes"][row] if "codes" in c else row] for c in content}
        rows.append({title: cell[0] if isinstance(cell, list) else cell for title, cell in cells.items()})
    return rows


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tests read, and one record that is cut off."""
    folder = write(tmp_path_factory.mktemp("results"), *RUNS)
    (folder / "runs" / "broken").mkdir()
    (folder / "runs" / "broken" / "result.json").write_text("{")
    return folder


@pytest.fixture(scope="module")
def document(results: Path) -> Document:
    return Document(page.page(report_data(results)))


def test_the_page_is_whole_html(document: Document) -> None:
    assert len(set(document.ids)) == len(document.ids)
    links = {a["href"].removeprefix("#") for a in document.named("a")}
    assert links
    assert links <= set(document.ids)
    assert document.elements[0] == ("html", {"lang": "en"})
    # Nothing is fetched from anywhere.
    assert not document.named("link")
    assert all("src" not in attributes for _, attributes in document.elements)


def test_a_run_without_top5(tmp_path: Path) -> None:
    """That of five classes or fewer."""
    folder = write(tmp_path, *draws("supervised", 0.4, classes=3, top5=None))
    (row,) = rows_of(Document(page.page(report_data(folder))).scripts["runs-data"])
    assert (row["top-1 %"], row["top-5 %"]) == ("40.0", "–")


def test_its_data_are_the_leaderboards(results: Path, document: Document) -> None:
    rows = rows_of(document.scripts["leaderboard-data"])
    shown = {(row["method"], row["protocol"]): row for row in rows}
    # supervised: 0.40, 0.50; s = 0.0707, t(1) = 12.706, half width = 12.706 * 0.0707 / sqrt(2) = 0.6353
    assert shown["supervised", "per-class:4"]["top-1 %"] == "45.0 ± 63.5"
    # cmpl - supervised: 0.14 and 0.05; mean 0.095, s = 0.0636, half width = 12.706 * 0.045 = 0.5718
    assert shown["cmpl", "per-class:4"]["gain"] == "+9.5 ± 57.2"
    assert shown["cmpl", "per-class:4"]["wins/ties/losses"] == "2/0/0"
    # t = 0.095 / 0.045 = 2.111 with one degree of freedom: p = 1 - 2/pi * atan(2.111) = 0.28
    assert shown["cmpl", "per-class:4"]["p (Holm)"] == "0.28"
    assert shown["fixmatch", "per-class:10"]["top-1 %"] == "58.0 (n=1)"
    assert shown["fixmatch", "per-class:10"]["p (Holm)"] == "–"
    runs = rows_of(document.scripts["runs-data"])
    frame = report_data(results).frame
    assert [row["run"] for row in runs] == frame["run"].tolist()
    assert [float(row["top-1 %"]) for row in runs] == pytest.approx((100 * frame["top1"]).tolist(), abs=0.05)


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>\"'&"
    runs = [*draws("supervised", 0.4, 0.5, dataset=bad), *draws(bad, 0.4, 0.6, dataset=bad, protocol=bad)]
    runs = [facts | {"run": f"run{n}"} for n, facts in enumerate(runs)]
    document = Document(page.page(report_data(write(tmp_path, *runs))))
    scripts = [a for name, a in document.elements if name == "script" and a.get("type") != "application/json"]
    assert len(scripts) == 2
    assert rows_of(document.scripts["leaderboard-data"])[-1]["dataset"] == bad


def test_what_is_left_out_says_how_to_get_it(document: Document) -> None:
    text = " ".join(document.text)
    left_out = text[text.index("Parts left out") :]
    assert "learning curves: the runs have no metrics.jsonl" in left_out
    assert "leaderboard:" not in left_out


def test_blocks_make_the_same_runs_again(tmp_path: Path) -> None:
    """The file and the flags together are the specification, key by key."""
    specs = []
    for seed in (0, 1):
        spec = {
            "algorithm": "it's.py:mine", "options": {"weight": 0.5}, "networks": {"primary": {"width": 0.5}},
            "data": "my clips.csv", "protocol": "p x", "labeled_in_unlabeled": True, "draw": 3, "seed": seed,
            "unlabeled": ["/archive/my clips", "b.csv"],
        }  # fmt: skip
        # Older records name what was left open, too.
        specs.append(plain(build(spec)) | {"lists": None})
    runs = [run("mine", 0.5, seed, spec=spec) for seed, spec in enumerate(specs)]
    document = Document(page.page(report_data(write(tmp_path, *runs), "mine")))
    block = next(text for text in document.text if text.startswith("cat > "))
    settings = yaml.safe_load(block.split("<<'YAML'\n")[1].split("\nYAML\n")[0])
    (line,) = re.findall(r"^  ssl-video train (.*)$", block, re.MULTILINE)
    assert "for seed in 0 1; do" in block
    assert "--lists" not in line, "there are none"
    for seed, spec in enumerate(specs):
        context = train.make_context("train", shlex.split(line.replace("$seed", str(seed))))
        given = {
            key: value for key, value in options.given(context.params).items() if key in Spec.model_fields
        }
        assert plain(build(settings | given)) | {"lists": None} == spec


def test_settings_that_differ_are_told(tmp_path: Path) -> None:
    runs = [
        *draws("supervised", 0.4, 0.5),
        *draws("cmpl", 0.4, 0.5, steps=900, setting="s1", configuration="clong"),
    ]
    text = Document(page.page(report_data(write(tmp_path, *runs)))).text
    place = text.index(
        "These settings differ although they are not part of a method: take them into account in comparisons."
    )
    told = text[place : place + 20]
    assert told.index("steps") < told.index("300")
    assert "900" in told


def test_broken_records_are_named(document: Document) -> None:
    assert "runs/broken/result.json is left out: not valid JSON" in " ".join(document.text)


def test_published_numbers_stand_apart(tmp_path: Path) -> None:
    # VideoSSL's 10 % of UCF-101's first split: 953 of 9,537 clips.
    facts = {"dataset": "ucf101", "labeled": 953, "unlabeled": 8584, "test": 3783, "classes": 101}
    runs = write(tmp_path, *draws("supervised", 0.2, 0.3, **facts), *draws("cmpl", 0.3, 0.5, **facts))
    document = Document(page.page(report_data(runs)))
    assert document.named("div", "literature")
    assert any(text.split(" [")[0] == "TACL" for text in document.text)
    rows = rows_of(document.scripts["leaderboard-data"])
    assert {row["method"] for row in rows} == {"supervised", "cmpl"}
    # Five classes of it are another data set, of which nothing is published.
    few = write(tmp_path / "few", *draws("supervised", 0.2, 0.3, **facts | {"classes": 5}))
    document = Document(page.page(report_data(few)))
    assert not document.named("div", "literature")
    assert any(text.startswith("published numbers: ") for text in document.text)


def test_costs_have_the_time_that_runs_waited(document: Document) -> None:
    assert {row["waiting %"] for row in rows_of(document.scripts["costs-data"])} == {"12.5"}


def test_the_command_says_where_the_page_is(results: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["--results", str(results), "-o", str(tmp_path / "new" / "report")])
    assert not done.exception
    target = tmp_path / "new" / "report" / "index.html"
    assert done.stdout.splitlines()[-1].startswith(f"{target} (")
    assert Document(target.read_text(encoding="utf-8")).scripts
    # The same again, the results named as an argument; the page depends on the results alone.
    before = target.read_bytes()
    CliRunner().invoke(command, [str(results), "-o", str(target.parent)])
    assert target.read_bytes() == before


def test_some_algorithms_and_the_baseline(results: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [str(results), "-o", str(tmp_path), "--algo", "cmpl"])
    assert not done.exception
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert {row["algorithm"] for row in rows_of(Document(html).scripts["leaderboard-data"])} == {
        *("cmpl", "supervised"),
    }


def test_mistakes_are_told(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*arguments: object) -> str:
        return str(CliRunner().invoke(command, [str(a) for a in arguments]).exception)

    assert "there is no results folder" in told(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "there is no finished run in" in told(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    # Before the page is made, which takes minutes.
    monkeypatch.setattr(page, "page", lambda *_: pytest.fail("made a page that has no place"))
    assert "cannot write" in told(results, "-o", tmp_path / "file")


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    results = write(tmp_path / "r", *draws("supervised", 0.5, 0.6), *draws("cmpl", 0.6, 0.7))
    first, second = sorted((results / "runs").glob("cmpl-*"))
    (first / "predictions.npz").write_bytes(b"PK\x03\x04 cut off")
    (second / "pseudo-labels.npz").write_bytes(b"")
    done = CliRunner().invoke(command, [str(results), "-o", str(tmp_path / "page")])
    assert done.exit_code == 0, done.output
    html = (tmp_path / "page" / "index.html").read_text()
    for file in (f"{first.name}/predictions.npz", f"{second.name}/pseudo-labels.npz"):
        assert done.stderr.count(f"warning: runs/{file} cannot be read and is left out") == 1
        assert f"runs/{file} cannot be read and is left out" in html
    # What is not there at all is not damaged.
    assert done.stderr.count("warning") == 2
