"""Which runs are compared with which, and what the numbers are."""

import io
import math
from typing import Any

import pandas as pd
import pytest
from helpers.records import compare, draws, labels, run, shown, titles

from ssl_video.benchmarks.tables.compare import comparison
from ssl_video.benchmarks.tables.exports import to_markdown
from ssl_video.benchmarks.tables.leaderboard import COLUMNS
from ssl_video.benchmarks.tables.table_content import lay_out
from ssl_video.errors import InputError


def test_scores_and_paired_gains() -> None:
    result = compare(*draws("cmpl", 0.5, 0.6, 0.7), *draws("supervised", 0.4, 0.55, 0.7))
    # Baseline first. Mean .6, s .1, half width 4.302653 * .1 / sqrt(3) = .248414.
    baseline, cmpl = result.rows
    assert (baseline.label, baseline.is_baseline, cmpl.label, cmpl.is_baseline) == (
        "supervised", True, "cmpl", False,
    )  # fmt: skip
    (cell,) = cmpl.cells
    assert cell is not None
    assert cell.score == pytest.approx((0.6, 0.248414, 3), abs=1e-6)
    assert cell.draws == 3
    # Differences .1, .05, 0: mean .05, s .05, half width .124207; two above, one equal.
    assert cell.gain is not None
    assert cell.gain.difference == pytest.approx((0.05, 0.124207, 3), abs=1e-6)
    assert cell.gain[1:4] == (2, 1, 0)
    # The only test of the table: t = .05 / (.05 / sqrt(3)) = sqrt(3), p = 1 - sqrt(3 / 5) = .225403.
    assert cell.corrected_p == cell.gain.p == pytest.approx(0.225403, abs=1e-6)
    assert not result.differs(cell.corrected_p)
    assert baseline.cells[0] is not None
    assert baseline.cells[0].gain is None


def test_only_runs_on_the_same_labels_and_seed_are_paired() -> None:
    result = compare(
        run("supervised", 0.1, 0, fingerprint="pa", draw=0),
        run("supervised", 0.2, 1, fingerprint="pa", draw=0),
        run("supervised", 0.9, 2, fingerprint="pb", draw=1),
        run("cmpl", 0.5, 0, fingerprint="pa", draw=0),  # has a partner: + .4
        run("cmpl", 0.5, 1, fingerprint="pb", draw=1),  # the same seed, but other labels
        run("cmpl", 0.5, 3, fingerprint="pb", draw=1),  # the same labels, but another seed
    )
    cell = result.rows[1].cells[0]
    assert cell is not None
    assert cell.gain is not None
    assert (cell.score.n, cell.draws, cell.gain.difference.n) == (3, 2, 1)
    assert cell.gain.difference.mean == pytest.approx(0.4)


def test_other_settings_are_not_paired() -> None:
    longer = draws("cmpl", 0.5, 0.6, steps=900, setting="s11111111", configuration="clong")
    result = compare(*draws("supervised", 0.4, 0.5), *draws("cmpl", 0.45, 0.5), *longer)
    assert labels(result) == ["supervised steps=300", "cmpl steps=300", "cmpl steps=900"]
    short, long = (row.cells[0] for row in result.rows[1:])
    assert short is not None
    assert short.gain is not None
    assert long is not None
    assert long.gain is None
    assert any(note.startswith("no gains for cmpl steps=900: no run of supervised") for note in result.notes)


def test_without_the_baseline_there_are_no_gains() -> None:
    result = compare(*draws("cmpl", 0.5, 0.6))
    assert result.rows[0].cells[0] is not None
    assert result.rows[0].cells[0].gain is None
    assert "gain" not in result.caption
    assert "no gains: no finished run of supervised is among these" in result.notes


def test_an_ambiguous_baseline_gives_no_gain_until_one_is_named() -> None:
    runs = [
        *draws("supervised", 0.4, 0.5, options='{"weight":1}', configuration="c1"),
        *draws("supervised", 0.2, 0.3, options='{"weight":2}', configuration="c2"),
        *draws("cmpl", 0.5, 0.6),
    ]
    result = compare(*runs)
    assert labels(result) == ["supervised weight=1", "supervised weight=2", "cmpl"]
    assert all(cell is not None and cell.gain is None for row in result.rows for cell in row.cells)
    assert any("supervised weight=1 (c1), supervised weight=2 (c2)" in note for note in result.notes)
    result = compare(*runs, baseline="c2")
    assert labels(result) == ["supervised weight=2", "cmpl", "supervised weight=1"]
    gains = [row.cells[0].gain for row in result.rows if row.cells[0] is not None]
    assert [gain and round(gain.difference.mean, 3) for gain in gains] == [None, 0.3, 0.2]
    assert "to supervised weight=2 on" in result.caption


def test_protocols_and_data_sets_have_their_own_columns_in_natural_order() -> None:
    result = compare(
        run("supervised", 0.5, protocol="per-class:10"),
        run("supervised", 0.5, protocol="per-class:4"),
        run("supervised", 0.5, dataset="ab"),
        run("cmpl", 0.5, protocol="per-class:10"),
    )
    assert titles(result) == ["ab per-class:4", "demo per-class:4", "demo per-class:10"]
    assert [[cell is not None for cell in row.cells] for row in result.rows] == [
        [True, True, True],
        [False, False, True],
    ]


def test_what_the_columns_of_one_protocol_differ_in_is_in_their_titles() -> None:
    result = compare(
        run("supervised", 0.5),
        run("supervised", 0.5, dataset_fingerprint="d0123456ffff"),
        run("supervised", 0.5, labeled_in_unlabeled=True, fingerprint="pc", unlabeled=600),
    )
    # d0123456789ab and d0123456ffff differ from the ninth letter on.
    assert titles(result) == [
        "demo per-class:4, data d01234567",
        "demo per-class:4, data d0123456f",
        "demo per-class:4, labeled in unlabeled, data d01234567",
    ]
    assert result.notes[0].endswith(
        ": 40 labeled, 560 unlabeled (labeled ones excluded), 200 test clips, 10 classes"
    )
    assert "600 unlabeled (labeled ones included)" in result.notes[2]


def test_runs_that_keep_clips_for_validation_have_a_column_of_their_own() -> None:
    """Without an overlap of draws, the labels alone would not tell."""
    kept = {"validation": 0.2, "labeled": 32}
    runs = [
        run("cmpl", 0.5, 0),
        run("cmpl", 0.6, 1),
        run("cmpl", 0.4, 2, **kept),
        run("cmpl", 0.2, 3, **kept),
    ]
    result = compare(*runs, run("cmpl", 0.1, 4, **kept | {"validation": 2.0}))
    assert titles(result) == [
        "demo per-class:4",
        "demo per-class:4, validation 0.2",
        "demo per-class:4, validation 2",
    ]
    assert [cell and round(cell.score.mean, 3) for cell in result.rows[0].cells] == [0.55, 0.3, 0.1]


def test_a_csv_of_before_validation_was_a_column_is_compared_with_a_new_one() -> None:
    new = pd.DataFrame(draws("cmpl", 0.5, 0.6))
    old = pd.DataFrame(draws("supervised", 0.4, 0.5)).drop(columns="validation")
    for frame in (old, pd.concat([old, new])):
        assert [column.title for column in comparison(frame).columns] == ["demo per-class:4"]


def test_other_labels_for_the_same_draw_split_the_column() -> None:
    runs = [*draws("supervised", 0.5, 0.6), *draws("cmpl", 0.5, 0.6)]
    assert titles(compare(*runs)) == ["demo per-class:4"]
    # Another 40 clips for draw 0: nothing says to which of the two draw 1 belongs, so each stands alone.
    result = compare(*runs, run("fixmatch", 0.7, 0, fingerprint="pfffffffffff"))
    assert titles(result) == [
        "demo per-class:4, labels p0per-",
        "demo per-class:4, labels p1per-",
        "demo per-class:4, labels pfffff",
    ]
    assert [cell is not None for cell in result.rows[2].cells] == [False, False, True]
    assert any(note.endswith("same draw are in separate columns") for note in result.notes)


def test_partitions_of_other_sizes_stay_together() -> None:
    runs = [*draws("supervised", 0.5, 0.6), *draws("cmpl", 0.5, 0.6)]
    others = [
        run("supervised", 0.7, seed, fingerprint=f"p{seed}ffffffffff", unlabeled=500, run=f"other{seed}")
        for seed in (0, 1)
    ]
    result = compare(*runs, *others)
    assert titles(result) == ["demo per-class:4, labels p0ffff", "demo per-class:4, labels p0per-"]
    assert [cell and cell.score.n for cell in result.rows[0].cells] == [2, 2]
    assert [cell and cell.score.n for cell in result.rows[1].cells] == [None, 2]


def test_repetitions_count_once_and_the_first_one_counts() -> None:
    result = compare(
        run("supervised", 0.9, run="later", finished="2026-11-22T00:00:00Z"),
        run("supervised", 0.5, run="sooner"),
        # Another number for the same draw of labels is no other draw.
        run(
            "supervised",
            0.8,
            run="renamed",
            finished="2026-11-23T00:00:00Z",
            draw=7,
            fingerprint="p0per-class:4",
        ),
    )
    (row,) = result.rows
    assert row.cells[0] is not None
    assert row.cells[0].score[::2] == (0.5, 1)
    assert "2 repetitions (same method, labels and seed) left out: the first counts" in result.notes


def test_methods_of_one_algorithm_are_named_by_the_fewest_keys() -> None:
    def variant(name: str, **spec: Any) -> dict[str, Any]:
        return run("cmpl", 0.5, configuration=name, spec={"algorithm": "cmpl", "width": 1.0} | spec)

    result = compare(
        variant("c1", steps=200, learning_rate=0.001, networks={"auxiliary": {"width": 0.25}}),
        variant("c2", steps=1000, learning_rate=0.001, networks={"auxiliary": {"width": 0.25}}),
        variant("c3", steps=200, learning_rate=0.01, networks={"auxiliary": {"width": 0.5}}),
        run("fixmatch", 0.5),
    )
    # Each of the three keys tells one method from the other two; the shortest pair is shown, where it is
    # not what most have.
    assert labels(result) == ["cmpl", "cmpl learning_rate=0.01", "cmpl steps=1000", "fixmatch"]
    assert "rows of cmpl also differ in auxiliary.width" in result.notes
    assert "rows of cmpl that name no other value: steps=200, learning_rate=0.001" in result.notes


def test_variants_on_two_backbones_say_theirs_and_what_most_do_not() -> None:
    """As a suite makes them: settings differ in backbone and steps, variants in the auxiliary."""
    runs = [
        run("cmpl", 0.5, setting=f"s{backbone}", configuration=f"c{backbone}{width}{threshold}", spec=spec)
        for backbone, steps in (("tiny3d", 9), ("slow_r50", 8))
        for width, threshold in ((0.25, 0.8), (0.5, 0.8), (0.25, 0.9))
        for spec in [
            {"backbone": backbone, "steps": steps, "options": {"threshold": threshold}}
            | {"networks": {"primary": {"backbone": backbone}, "auxiliary": {"width": width}}}
        ]
    ]
    assert labels(compare(*runs)) == [
        "cmpl backbone=slow_r50",
        "cmpl backbone=tiny3d",
        "cmpl threshold=0.9 backbone=slow_r50",
        "cmpl threshold=0.9 backbone=tiny3d",
        "cmpl width=0.5 backbone=slow_r50",
        "cmpl width=0.5 backbone=tiny3d",
    ]


def test_a_key_is_shortened_only_while_it_means_one_thing() -> None:
    first = {"width": 1.0, "networks": {"auxiliary": {"width": 0.25}}, "options": {"threshold": 0.8}}
    second = {"width": 1.0, "networks": {"auxiliary": {"width": 0.5}}, "options": {"threshold": 0.8}}
    third = {"width": 1.0, "networks": {"auxiliary": {"width": 0.5}}, "options": {}}
    result = compare(
        *(run("cmpl", 0.5, configuration=f"c{i}", spec=s) for i, s in enumerate((first, second)))
    )
    assert labels(result) == ["cmpl auxiliary.width=0.25", "cmpl auxiliary.width=0.5"]
    result = compare(
        *(run("cmpl", 0.5, configuration=f"c{i}", spec=s) for i, s in enumerate((second, third)))
    )
    assert labels(result) == ["cmpl threshold=0.8", "cmpl threshold=none"]


def test_a_key_that_a_network_repeats_is_named_once() -> None:
    def variant(backbone: str) -> dict[str, Any]:
        spec = {"backbone": backbone, "networks": {"model": {"backbone": backbone}}}
        return run("fixmatch", 0.5, configuration=f"c{backbone}", spec=spec)

    result = compare(variant("tiny3d"), variant("r3d_18"), run("supervised", 0.5))
    assert labels(result) == ["supervised", "fixmatch backbone=r3d_18", "fixmatch backbone=tiny3d"]
    assert not any("also differ" in note for note in result.notes)
    batches = [{"labeled_batch": size, "unlabeled_batch": size} for size in (8, 16)]
    result = compare(*(run("cmpl", 0.5, configuration=f"c{s['labeled_batch']}", spec=s) for s in batches))
    assert labels(result) == ["cmpl labeled_batch=8", "cmpl labeled_batch=16"]
    assert "rows of cmpl also differ in unlabeled_batch" in result.notes


def test_configurations_with_the_same_keys_show_their_hash() -> None:
    spec = {"algorithm": "plugin"}
    result = compare(*(run("plugin", 0.5, configuration=c, spec=spec) for c in ("caaaaaaaa", "cbbbbbbbb")))
    assert labels(result) == ["plugin caaaaaaaa", "plugin cbbbbbbbb"]


def test_the_csv_compares_like_the_records() -> None:
    frame = pd.DataFrame(
        [
            *draws("supervised", 0.4, 0.5),
            *draws("cmpl", 0.5, 0.7, options='{"threshold":0.8}'),
            *draws("cmpl", 0.5, 0.7, options='{"threshold":0.9}', steps=200, configuration="cother"),
        ]
    )
    result = comparison(pd.read_csv(io.StringIO(frame[list(COLUMNS)].to_csv(index=False))))
    assert labels(result) == ["supervised", "cmpl steps=200", "cmpl steps=300"]
    assert result.rows == comparison(frame).rows
    with pytest.raises(InputError, match="in the runs' records only"):
        comparison(frame[list(COLUMNS)], predictors=True)


def test_further_networks_follow_their_method_without_a_gain() -> None:
    both = {"predictor": "primary", "predictors": {"primary": 0.5, "auxiliary": 0.3}}
    runs = [run("cmpl", 0.5, **both), run("supervised", 0.4), run("aaa", 0.6)]
    assert labels(compare(*runs)) == ["supervised", "aaa", "cmpl"]
    result = compare(*runs, predictors=True)
    assert labels(result) == ["supervised", "aaa", "cmpl", "cmpl: auxiliary"]
    cell = result.rows[3].cells[0]
    assert cell is not None
    assert (cell.score.mean, cell.gain) == (0.3, None)
    assert labels(compare(*runs, baseline="cmpl", predictors=True)) == [
        "cmpl",
        "cmpl: auxiliary",
        "aaa",
        "supervised",
    ]
    assert "  cmpl: auxiliary   30.0 (n=1)" in shown(result)
    assert "| &emsp;cmpl: auxiliary |" in to_markdown(lay_out(result))


def test_what_intervals_leave_out_is_said() -> None:
    def notes(*runs: dict[str, Any]) -> str:
        return " ".join(compare(*runs).notes)

    own = draws("supervised", 0.4, 0.5, 0.6)
    assert "draw of labels" not in notes(*own)
    one = draws("supervised", 0.4, 0.5, 0.6, draw=0)
    assert "all columns: one draw of labels, so the intervals do not include" in notes(*one)
    some = [run("supervised", 0.4, 0), run("supervised", 0.5, 1, draw=0), run("supervised", 0.6, 2, draw=1)]
    other = draws("supervised", 0.4, 0.5, protocol="per-class:10")
    assert "demo per-class:4: some runs share a draw of labels" in notes(*some, *other)


def test_the_caption_says_what_is_shown() -> None:
    assert compare(*draws("cmpl", 0.5, 0.6), *draws("supervised", 0.5, 0.55), confidence=0.9).caption == (
        "top-1 % on the test clips, mean ± 90 % t-interval over n = 2 runs (seeds and label draws); "
        "gain = paired difference to supervised on the same labels and seed (in brackets: pairs with a gain "
        "above 0)"
    )
    equal = compare(*draws("cmpl", 0.5, 0.5), *draws("supervised", 0.4, 0.5))
    assert equal.caption.endswith("(in brackets: pairs with a gain above 0); several equal values have no ±")
    assert "| 50.0 (n=2) | +5.0 ± 63.5 (1/2) |" in " ".join(to_markdown(lay_out(equal)).split())
    assert "over n runs" in compare(run("cmpl", 0.5)).caption
    # Two cells of two runs against one of three: the two are not marked, the three are.
    three = compare(
        *draws("cmpl", 0.5, 0.6), *draws("fixmatch", 0.5, 0.6), *draws("supervised", 0.4, 0.5, 0.6)
    )
    assert "over n = 2 runs" in three.caption
    assert to_markdown(lay_out(three)).count("(n=2)") == 0
    assert to_markdown(lay_out(three)).count("(n=3)") == 1


def test_costs_are_means_and_multiples_of_the_baselines() -> None:
    def costs(*changes: dict[str, Any]) -> list[list[float]]:
        runs = [run("cmpl", 0.6, seed, **change) for seed, change in enumerate(changes)]
        result = compare(*draws("supervised", 0.5, 0.5, training_gflops=200.0), *runs)
        cells = [cell for row in result.rows for cell in row.cells if cell]
        return [
            [cell.cost.seconds, cell.cost.gflops, cell.cost.multiple, cell.gain_per_cost] for cell in cells
        ]

    supervised, cmpl = costs(
        {"seconds": 10.0, "training_gflops": 500.0}, {"seconds": 20.0, "training_gflops": 500.0}
    )
    assert supervised == pytest.approx([30.0, 0.5, 1.0, math.nan], nan_ok=True)
    # A gain of .1 for 2.5 times the operations.
    assert cmpl == pytest.approx([15.0, 0.5, 2.5, 0.04])
    # Not counted, or rounded to nothing.
    for unknown in (math.nan, 0.0):
        _, cmpl = costs({"training_gflops": unknown, "gflops": unknown})
        assert cmpl == pytest.approx([30.0, math.nan, math.nan, math.nan], nan_ok=True)


def test_a_csv_without_operations_is_compared() -> None:
    frame = pd.DataFrame(draws("cmpl", 0.5, 0.6)).drop(columns=["gflops", "training_gflops", "spec"])
    (row,) = comparison(frame).rows
    assert row.cells[0] is not None
    assert math.isnan(row.cells[0].cost.gflops)


def test_methods_that_used_few_pseudo_labels_are_named() -> None:
    result = compare(
        run("fixmatch", 0.4, 0, pseudo_labels_used={"model": 0.0}),
        run("fixmatch", 0.4, 1, pseudo_labels_used={"model": 0.1}),
        run("cmpl", 0.4, 0, pseudo_labels_used={"primary": 0.09, "auxiliary": 0.1}),
        run("supervised", 0.4, 0, pseudo_labels_used={}),
        run("uda", 0.4, 0, pseudo_labels_used={"model": 0.0}),
    )
    assert [note for note in result.notes if "pseudo-label" in note] == [
        "cmpl used 9.0% of the pseudo-labels of its network 'primary'",
        "fixmatch used 5.0% of the pseudo-labels of its network 'model'",
        "uda used none of the pseudo-labels of its network 'model': is its threshold too high?",
    ]


def test_runs_without_test_clips_are_in_no_mean() -> None:
    untested = [run("supervised", None, 7, test=0), run("cmpl", None, 0, test=0, protocol="all")]
    tested = [*draws("supervised", 0.4, 0.6), *draws("cmpl", 0.5, 0.7)]
    result = compare(*tested, *untested)
    assert titles(result) == ["demo per-class:4"]
    assert [row.cells[0].score.mean for row in result.rows if row.cells[0]] == pytest.approx([0.5, 0.6])
    assert result.notes == (*compare(*tested).notes, "2 runs have no test clips: left out")
    alone = compare(untested[0])
    assert (alone.rows, alone.notes) == ((), ("1 run has no test clips: left out",))
    lines = shown(alone)
    assert lines == [
        "No finished runs to show; `ssl-video bench` produces them.",
        "- 1 run has no test clips: left out",
    ]
