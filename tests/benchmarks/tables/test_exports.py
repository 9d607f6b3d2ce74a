"""A comparison as Markdown, LaTeX, CSV and JSON."""

import io
import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from helpers.records import benchmark, compare, run, shown

from ssl_video.benchmarks.tables.compare import comparison
from ssl_video.benchmarks.tables.exports import FIELDS, to_csv, to_json, to_latex, to_markdown
from ssl_video.benchmarks.tables.leaderboard import COLUMNS
from ssl_video.benchmarks.tables.table_content import lay_out


def test_markdown() -> None:
    lines = to_markdown(lay_out(benchmark())).splitlines()
    assert len({len(line) for line in lines[:7]}) == 1
    assert lines[0] == (
        "| method                |  demo per-class:4 |              gain "
        "| demo per-class:10 |              gain |"
    )
    assert [" ".join(line.split()) for line in (lines[2], lines[3], lines[5], lines[6])] == [
        "| supervised steps=300 | 45.0 ± 7.5 | | 52.0 ± 5.0 | |",
        "| cmpl steps=300 | 55.0 ± 8.1 | +10.0 ± 1.2 (3/3) | 41.0 ± 7.5 | -11.0 ± 6.6 (0/3) |",
        "| fixmatch steps=900 | 55.0 ± 63.5 (n=2) | | – | |",
        "| pseudolabel steps=300 | 45.0 ± 7.5 | +0.0 (0/3) | – | |",  # a gain of 0 is no win
    ]
    assert "**" not in "".join(lines)
    assert lines[7:11] == [
        "",
        benchmark().caption,
        "",
        "- demo per-class:4: 40 labeled, 560 unlabeled (labeled ones excluded), 200 test clips, 10 classes",
    ]


def test_markdown_escapes_what_would_end_a_cell() -> None:
    table = to_markdown(lay_out(compare(run("a|b", 0.5))))
    assert "| a\\|b " in table


def test_csv_has_a_line_for_each_cell() -> None:
    frame = pd.read_csv(io.StringIO(to_csv(lay_out(benchmark()))))
    assert len(frame) == 8
    cells = frame.set_index(["method", "protocol"])
    cell = cells.loc[("cmpl steps=300", "per-class:4")]
    assert cell[["mean", "half_width", "gain", "gain_half_width"]].tolist() == pytest.approx(
        [0.55, 0.081448, 0.1, 0.012421], abs=1e-6
    )
    assert cell[["n", "draws", "gain_n", "wins", "ties", "losses"]].tolist() == [3, 3, 3, 3, 0, 0]
    single = cells.loc[("fixmatch steps=300", "per-class:10")]
    assert single[["half_width", "gain_half_width"]].isna().all()
    assert cells.loc[("supervised steps=300", "per-class:4"), ["gain", "wins"]].isna().all()
    assert set(frame["confidence"]) == {0.95}


def test_small_losses_are_not_shown_as_minus_0() -> None:
    result = compare(run("supervised", 0.5), run("cmpl", 0.4998))
    assert "| +0.0 (n=1) |" in to_markdown(lay_out(result))


def test_latex() -> None:
    lines = to_latex(lay_out(benchmark())).splitlines()
    assert lines[:9] == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r" & \multicolumn{2}{c}{demo} \\",
        r"\cmidrule(lr){2-3}",
        r"method & per-class:4 & per-class:10 \\",
        r"\midrule",
        r"supervised steps=300 & $45.0 \pm 7.5$ & $52.0 \pm 5.0$ \\",
        r"cmpl steps=300 & $55.0 \pm 8.1$ & $41.0 \pm 7.5$ \\",
        r"\quad gain & $\mathbf{+10.0 \pm 1.2}$ (3/3) & $\mathbf{-11.0 \pm 6.6}$ (0/3) \\",
    ]
    assert r"fixmatch steps=900 & $55.0 \pm 63.5$ (n=2) & -- \\" in lines
    assert r"\quad gain & $+0.0$ (0/3) &  \\" in lines
    end = lines.index(r"\end{tabular}")
    assert lines[end + 1] == f"% {benchmark().caption}"
    assert lines[end + 2] == "% bold gains are not 0"
    assert all(line.startswith("% ") for line in lines[end + 1 :])
    # Every row has as many cells as there are columns.
    assert {line.count("&") for line in lines[6 : end - 1]} == {2}


def test_latex_escapes_what_it_would_read_as_commands() -> None:
    text = to_latex(lay_out(compare(run("my_method 50% & {more} \\x~^", 0.5, dataset="a_b", protocol="p#1"))))
    assert (
        r"my\_method 50\% \& \{more\} \textbackslash{}x\textasciitilde{}\textasciicircum{} & $50.0$" in text
    )
    assert r"\multicolumn{1}{c}{a\_b}" in text
    assert "\n{[}red] & $50.0$" in to_latex(lay_out(compare(run("[red]", 0.5))))
    assert r"method & p\#1" in text


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_latex_is_what_latex_reads(tmp_path: Path) -> None:
    head = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    (tmp_path / "t.tex").write_text(f"{head}\n{to_latex(lay_out(benchmark()))}\n\\end{{document}}\n")
    subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, check=True, capture_output=True)


def test_json_has_the_records_of_the_csv() -> None:
    content = json.loads(to_json(lay_out(benchmark())))
    frame = pd.read_csv(io.StringIO(to_csv(lay_out(benchmark()))))
    assert content["caption"] == benchmark().caption
    assert tuple(content["notes"]) == benchmark().notes
    assert list(frame) == list(FIELDS)
    assert [list(cell) for cell in content["cells"]] == [list(FIELDS)] * len(frame)
    read = pd.DataFrame(content["cells"])
    for field in ("mean", "half_width", "gain", "p", "corrected_p", "n"):
        assert read[field].astype(float).tolist() == pytest.approx(frame[field].tolist(), nan_ok=True)
    assert "NaN" not in to_json(lay_out(benchmark()))


def test_corrected_p_values_are_those_of_the_whole_table() -> None:
    """Three gains of three runs can be tested; FixMatch's t is .045 / (.005 / sqrt(3)) = 15.6: p .0041."""
    cells = pd.read_csv(io.StringIO(to_csv(lay_out(benchmark())))).set_index(["method", "protocol"])
    assert cells["p"].notna().sum() == 3
    fixmatch = cells.loc[("fixmatch steps=300", "per-class:4")]
    assert fixmatch["p"] == pytest.approx(0.0041, abs=1e-4)
    # The second smallest of three counts twice.
    assert fixmatch["corrected_p"] == pytest.approx(2 * fixmatch["p"])


def test_an_empty_leaderboard_says_what_to_do() -> None:
    empty = comparison(pd.DataFrame(columns=list(COLUMNS)))
    assert shown(empty) == ["No finished runs to show; `ssl-video bench` produces them."]
    assert to_markdown(lay_out(empty)) == "No finished runs to show; `ssl-video bench` produces them.\n"
    assert to_csv(lay_out(empty)).startswith("method,algorithm,")
    assert len(to_csv(lay_out(empty)).splitlines()) == 1
    assert to_latex(lay_out(empty)).startswith("% No finished runs to show")
    assert json.loads(to_json(lay_out(empty)))["cells"] == []
