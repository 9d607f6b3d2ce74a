"""A comparison in the terminal."""

import io

import pytest
from helpers.records import benchmark, compare, draws, run, shown
from rich.console import Console

from ssl_video.benchmarks.tables.table_content import lay_out
from ssl_video.benchmarks.tables.terminal import to_terminal


def test_the_terminal_table() -> None:
    # Supervised 4: s .03, half 4.302653 * .03 / sqrt(3) = .0745. FixMatch 4: mean .495, s .035, half .0869;
    # gains .04, .045, .05: s .005, half .0124. CMPL 4: gains .1, .095, .105, half .0124; its accuracies have
    # s .032787, half .081448. CMPL 10: gains -.12, -.08, -.13: mean -.11, s .02646, half .0657; s .03 itself.
    lines = shown(benchmark())
    assert set(lines.pop(2)) == {"─"}
    assert lines[:13] == [
        "demo",
        "method                 per-class:4         per-class:10",
        "supervised steps=300    45.0 ±  7.5         52.0 ± 5.0",
        "cmpl steps=300          55.0 ±  8.1         41.0 ± 7.5",
        "  gain                 +10.0 ±  1.2 (3/3)  -11.0 ± 6.6 (0/3)",
        "fixmatch steps=300      49.5 ±  8.7         58.0 (n=1)",
        "  gain                  +4.5 ±  1.2 (3/3)   +8.0 (n=1)",
        "fixmatch steps=900      55.0 ± 63.5 (n=2)      –",
        "pseudolabel steps=300   45.0 ±  7.5            –",
        "  gain                  +0.0 (0/3)",
        "",
        "top-1 % on the test clips, mean ± 95 % t-interval over n = 3 runs (seeds and",
        "label draws); gain = paired difference to supervised on the same labels and seed",
    ]


def test_colour_marks_gains_that_are_not_0() -> None:
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(to_terminal(lay_out(benchmark())))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    green, red = "\x1b[32m", "\x1b[31m"
    assert f"{green}+10.0 ±  1.2" in text
    assert f"{red}-11.0 ± 6.6" in text
    # Neither one run nor no difference at all is marked, and nothing is bold but the name of the data set.
    assert (text.count(green), text.count(red), text.count("\x1b[1m")) == (2, 1, 1)


def test_a_header_has_the_room_of_its_longest_line() -> None:
    result = compare(*(run("cmpl", 0.5, protocol="per-class:1000", fingerprint=f"p{i}" * 6) for i in (1, 2)))
    assert [line.split() for line in shown(result)[1:3]] == [
        ["per-class:1000", "per-class:1000"],
        ["method", "labels", "p1p1p1", "labels", "p2p2p2"],
    ]


def test_a_method_without_a_run_on_some_data_has_no_row_there() -> None:
    lines = shown(compare(run("cmpl", 0.5, dataset="a"), run("uda", 0.5, dataset="b")))
    assert [line.split() for line in lines[:10]] == [
        *(["a"], ["method", "per-class:4"], ["─" * len(lines[2])], ["cmpl", "50.0", "(n=1)"], []),
        *(["b"], ["method", "per-class:4"], ["─" * len(lines[2])], ["uda", "50.0", "(n=1)"], []),
    ]


def test_square_brackets_are_no_markup() -> None:
    lines = shown(compare(run("[red]a", 0.5, dataset="[bold]d", protocol="[i]p")))
    assert lines[0] == "[bold]d"
    assert lines[1].split() == ["method", "[i]p"]
    assert lines[3].split() == ["[red]a", "50.0", "(n=1)"]


def test_wide_comparisons_are_cut_between_columns() -> None:
    runs = [r for p in (1, 5, 10, 20, 50) for r in draws("supervised", 0.4, 0.5, protocol=f"per-class:{p}")]
    result = compare(*runs, *draws("supervised", 0.4, 0.5, dataset="ucf101"))
    for width in (40, 60, 80, 120):
        lines = shown(result, width)
        assert max(map(len, lines)) <= width
        assert sum(line.count("45.0 ± 63.5") for line in lines) == 6
    heads = [line.split() for line in shown(result, 60) if line.startswith("method")]
    assert heads == [
        ["method", "per-class:1", "per-class:5", "per-class:10"],
        ["method", "per-class:20", "per-class:50"],
        ["method", "per-class:4"],
    ]


def test_a_gain_that_only_stands_out_alone_is_not_in_colour() -> None:
    """cmpl's p is .0188 by itself, and .0188 * 3 = .056 among three tests.

    Gains .12, .08, .13: mean .11, s .02646, t = .11 / (.02646 / sqrt(3)) = 7.2, p = 1 - t / sqrt(2 + t^2).
    """
    runs = [*draws("supervised", 0.38, 0.44, 0.41), *draws("cmpl", 0.5, 0.52, 0.54)]
    others = [*draws("fixmatch", 0.4, 0.42, 0.43), *draws("pseudolabel", 0.37, 0.44, 0.42)]
    alone, among = compare(*runs), compare(*runs, *others)
    assert (alone.tests, among.tests) == (1, 3)
    for result, coloured in ((alone, True), (among, False)):
        cell = result.rows[1].cells[0]
        assert cell is not None
        assert cell.gain is not None
        assert cell.gain.p == pytest.approx(0.0188, abs=1e-4)
        assert result.differs(cell.corrected_p) == coloured
        console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system="standard")
        console.print(to_terminal(lay_out(result)))
        assert isinstance(console.file, io.StringIO)
        assert ("\x1b[32m" in console.file.getvalue()) == coloured
