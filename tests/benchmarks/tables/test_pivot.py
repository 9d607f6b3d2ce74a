"""Cells laid out by keys: none is lost, none is mixed, and what a layout hides is told."""

from typing import Any

import pytest
from helpers.records import compare, draws, run, shown_grid

from ssl_video.benchmarks.tables.cells import Cell, Comparison
from ssl_video.benchmarks.tables.exports import to_csv, to_latex, to_markdown
from ssl_video.benchmarks.tables.layout import Grid, Scores, plain
from ssl_video.benchmarks.tables.pivot import pivot
from ssl_video.errors import InputError

# Training costs of supervised are 700, twice that and three times that.
_COSTS = {"supervised": 700.0, "fixmatch": 1400.0, "cmpl": 2100.0}


def method(algorithm: str, backbone: str, labeled: int, top1: float, **options: Any) -> list[dict[str, Any]]:
    """Two runs; with each backbone comes a clip size, and with CMPL an auxiliary of the same backbone."""
    size = {"tiny3d": 32, "slow_r50": 224}[backbone]
    spec: dict[str, Any] = {"algorithm": algorithm, "backbone": backbone, "size": size, "options": options}
    if algorithm == "cmpl":
        spec["networks"] = {"auxiliary": {"backbone": backbone, "width": 0.25}}
    return draws(
        algorithm, top1, top1 + 0.02, spec=spec, backbone=backbone, setting=f"s{backbone}", size=size,
        configuration=f"c{algorithm}{backbone}{options}",
        protocol=f"per-class:{labeled}", labeled=10 * labeled,
        training_gflops=_COSTS[algorithm], gflops=0.5 if size == 32 else 40.0,
    )  # fmt: skip


def suite() -> Comparison:
    """Three algorithms, one of them with two thresholds, on two backbones and two protocols."""
    runs = [
        made
        for place, backbone in enumerate(("tiny3d", "slow_r50"))
        for labeled in (1, 5)
        for made in (
            *method("supervised", backbone, labeled, 0.3 + place / 10),
            *method("fixmatch", backbone, labeled, 0.4 + place / 10, threshold=0.8),
            *method("fixmatch", backbone, labeled, 0.5 + place / 10, threshold=0.9),
            *method("cmpl", backbone, labeled, 0.6 + place / 10, threshold=0.8),
        )
    ]
    return compare(*runs)


def cells(grid: Grid) -> list[Cell]:
    return [cell for column in grid.columns if isinstance(column, Scores) for cell in column.cells if cell]


def titles(grid: Grid) -> list[str]:
    return [column.title for column in grid.columns]


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ([], ["backbone"]),
        ([], ["algorithm"]),
        (["labeled"], []),
        (["backbone"], []),
        (["algorithm"], ["options.threshold"]),
        (["backbone", "protocol"], ["algorithm"]),
        (["size"], ["labeled", "algorithm"]),
        (["dataset"], ["protocol"]),
        (["protocol"], ["dataset"]),
        (["networks.auxiliary.backbone"], ["steps"]),
    ],
)
def test_every_cell_stands_somewhere_as_it_was(rows: list[str], columns: list[str]) -> None:
    comparison = suite()
    grid = pivot(comparison, rows, columns)
    before = [cell for row in comparison.rows for cell in row.cells if cell]
    assert len(before) == 16
    assert {id(cell) for cell in cells(grid)} == {id(cell) for cell in before}
    assert len(cells(grid)) == 16
    assert len(set(grid.labels)) == len(grid.labels)
    assert len(set(titles(grid))) == len(grid.columns)
    assert to_csv(grid) == to_csv(plain(comparison))  # long format: nothing to lay out


def test_backbones_beside_each_other() -> None:
    grid = pivot(suite(), ["algorithm"], ["backbone"])
    assert grid.corner == "algorithm"
    # Two thresholds would be in one cell, so their rows say so; the clip size follows from the backbone.
    assert grid.labels == ("supervised", "cmpl", "fixmatch threshold=0.8", "fixmatch threshold=0.9")
    assert titles(grid) == [
        "backbone slow_r50, per-class:1",
        "backbone slow_r50, per-class:5",
        "backbone tiny3d, per-class:1",
        "backbone tiny3d, per-class:5",
    ]
    assert "columns also differ in size" in grid.notes
    # Gains are those of each backbone's own baseline: .6 - .3 and .7 - .4.
    column = grid.columns[0]
    assert isinstance(column, Scores)
    assert [cell and round(cell.score.mean, 3) for cell in column.cells] == [0.41, 0.71, 0.51, 0.61]
    assert [cell and cell.gain and round(cell.gain.difference.mean, 3) for cell in column.cells] == [
        None, 0.3, 0.1, 0.2,
    ]  # fmt: skip


def test_algorithms_beside_each_other_start_with_the_baseline() -> None:
    runs = [
        made
        for labeled in (10, 5)
        for made in (*method("cmpl", "tiny3d", labeled, 0.6), *method("supervised", "tiny3d", labeled, 0.3))
    ]
    grid = pivot(compare(*runs), ["labeled"])
    assert grid.labels == ("50", "100")  # as numbers
    assert titles(grid) == ["algorithm supervised", "algorithm cmpl"]
    lines = shown_grid(grid)
    assert lines[1].split() == ["labeled", "supervised", "cmpl"]
    # n is 2, t(1, .975) = 12.706, s = .014142: half width .1271; the gains .3 and .3 do not scatter.
    assert lines[3].split() == ["50", "31.0", "±", "12.7", "61.0", "±", "12.7"]
    assert lines[4].split() == ["gain", "+30.0", "±", "0.0", "(2/2)"]


def test_a_group_of_columns_is_the_first_key() -> None:
    grid = pivot(suite(), [], ["backbone", "protocol"])
    assert [(column.group, *column.lines) for column in grid.columns if isinstance(column, Scores)] == [
        ("slow_r50", "per-class:1"),
        ("slow_r50", "per-class:5"),
        ("tiny3d", "per-class:1"),
        ("tiny3d", "per-class:5"),
    ]
    text = to_latex(grid)
    assert r"& \multicolumn{2}{c}{slow\_r50} & \multicolumn{2}{c}{tiny3d} \\" in text
    assert "algorithm & per-class:1 & per-class:5 & per-class:1" in text
    assert to_markdown(grid).startswith("| algorithm ")


def test_other_labels_of_a_protocol_stay_apart() -> None:
    runs = [
        *draws("supervised", 0.5, 0.6),
        *draws("cmpl", 0.5, 0.6),
        run("cmpl", 0.7, fingerprint="pffffffff"),
    ]
    grid = pivot(compare(*runs), [], ["algorithm"])
    assert grid.labels == (
        "demo per-class:4 labels p0per-", "demo per-class:4 labels p1per-", "demo per-class:4 labels pfffff",
    )  # fmt: skip
    assert len(cells(grid)) == 5
    grid = pivot(compare(*runs), ["algorithm"], ["labeled"])
    assert titles(grid) == [
        "labeled 40, labels p0per-",
        "labeled 40, labels p1per-",
        "labeled 40, labels pfffff",
    ]


def test_versions_of_a_plugin_are_told_by_their_hash() -> None:
    spec = {"algorithm": "plugin"}
    runs = [run("plugin", 0.5, configuration=c, spec=spec) for c in ("caaaaaaaa", "cbbbbbbbb")]
    assert pivot(compare(*runs), [], ["backbone"]).labels == ("plugin caaaaaaaa", "plugin cbbbbbbbb")


def test_further_networks_have_rows_of_their_own() -> None:
    both = {"predictor": "primary", "predictors": {"primary": 0.5, "auxiliary": 0.3}}
    grid = pivot(compare(run("cmpl", 0.5, **both), predictors=True), [], ["steps"])
    assert grid.labels == ("cmpl network=auxiliary", "cmpl network=headline")


def test_unknown_and_repeated_keys_are_named() -> None:
    with pytest.raises(InputError) as caught:
        pivot(suite(), ["algoritm", "size"], ["size"])
    assert caught.value.problems == (
        "unknown key of rows and columns 'algoritm'; did you mean algorithm?",
        "size is given twice for rows and columns",
    )


def test_costs_stand_at_the_end_of_their_group() -> None:
    grid = pivot(suite(), [], ["backbone", "protocol"], costs=True)
    assert [column.title for column in grid.columns if not isinstance(column, Scores)] == [
        "slow_r50 GFLOPs", "slow_r50 training", "slow_r50 seconds",
        "tiny3d GFLOPs", "tiny3d training", "tiny3d seconds",
    ]  # fmt: skip
    costs = {column.title: column.texts for column in grid.columns if not isinstance(column, Scores)}
    assert costs["slow_r50 GFLOPs"] == ("40",) * 4
    # supervised, cmpl, fixmatch twice: 700, 2100, 1400, 1400 over 700.
    assert costs["tiny3d training"] == ("1×", "3×", "2×", "2×")
    # Where cells of a group cost different things, from the least to the most.
    both = pivot(suite(), ["algorithm"], ["backbone"], costs=True)
    assert {column.title: column.texts for column in both.columns if not isinstance(column, Scores)}[
        "backbone GFLOPs"
    ] == ("0.5–40",) * 4
