from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.records import run

from ssl_video.benchmarks.tables.leaderboard import COLUMNS
from ssl_video.errors import InputError
from ssl_video.pages import results

FACTS: dict[str, Any] = {
    "algorithm": "cmpl", "dataset": "ucf101", "protocol": "per-class:10", "backbone": "slow_r50",
    "frames": 8, "stride": 4, "size": 64, "steps": 400, "top1": 0.5,
}  # fmt: skip


def board(folder: Path, *rows: dict[str, Any], without: tuple[str, ...] = ()) -> None:
    """A leaderboard.csv; runs have seeds 0, 1, ... and a name of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = [FACTS | {"seed": seed, "run": f"{folder.name}{seed}"} | row for seed, row in enumerate(rows)]
    columns = [column for column in COLUMNS if column not in without]
    pd.DataFrame([run(**one) for one in facts])[columns].to_csv(folder / "leaderboard.csv", index=False)


def lines(folder: Path, algorithm: str = "cmpl") -> list[list[str]]:
    """The cells of each line of a table, and what stands beneath."""
    text = results.measured(algorithm, folder)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_means_of_several_leaderboards(tmp_path: Path) -> None:
    """One of them of before operations were counted, validation was a column and the machine was noted.

    Mean and t interval of 40, 50 and 60 with two degrees of freedom: 50 ± 4.303 * 10 / sqrt(3) = 24.8.
    """
    newer = ("gflops", "training_gflops", "validation", "device", "threads", "processes", "torch")
    board(tmp_path, {"top1": 0.4}, {"top1": 0.5}, {"algorithm": "fixmatch", "top1": 0.9}, without=newer)
    board(tmp_path / "second", {"top1": 0.6, "seed": 5}, {"protocol": "per-class:20", "top1": 0.75})
    assert results.measured("cmpl", tmp_path).splitlines()[2:] == [
        "| ucf101 | per-class:10 | slow_r50 | scratch | 8 × 4, 64 px | 400 | 50.0 ± 24.8 | 3 |",
        "| ucf101 | per-class:20 | slow_r50 | scratch | 8 × 4, 64 px | 400 | 75.0 | 1 |",
    ]


def test_runs_without_test_clips_are_counted_alone(tmp_path: Path) -> None:
    board(tmp_path, {"top1": 0.4}, {"top1": None, "test": 0})
    _, _, line, *_ = lines(tmp_path)
    assert line[-2:] == ["40.0", "1"]
    assert results.measured("cmpl", tmp_path).endswith("\n1 run has no test clips: left out.\n")
    board(tmp_path, {"top1": None, "test": 0})
    assert results.measured("cmpl", tmp_path) == ""


def test_a_table_that_is_no_leaderboard_is_told(tmp_path: Path) -> None:
    board(tmp_path, {"top1": 0.4}, without=("setting", "top5"))
    with pytest.raises(InputError, match=r"is not a leaderboard of ssl-video: it lacks top5, setting$"):
        results.measured("cmpl", tmp_path)


@pytest.mark.parametrize(
    "other",
    [
        {"dataset": "other"}, {"dataset_fingerprint": "dff"}, {"backbone": "other"},
        {"setting": "s1", "configuration": "c1"}, {"configuration": "c1"},
        {"labeled_in_unlabeled": True}, {"validation": 0.2},
        {"draw": 0, "fingerprint": "pff"},
    ],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_runs_that_differ_are_not_averaged_and_can_be_told_apart(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    board(tmp_path, {"top1": 0.4}, {"top1": 0.6} | other)
    _, _, one, two, *_ = lines(tmp_path)
    assert {one[-2], two[-2]} == {"40.0", "60.0"}
    assert one[:-2] != two[:-2]


def test_options_tell_rows_apart(tmp_path: Path) -> None:
    """What most have in common is told beneath; where options do not tell, the configuration does."""
    common = {"options": '{"threshold":0.8,"weight":1.0}', "configuration": "c1"}
    higher = {"options": '{"threshold":0.95,"weight":1.0}', "configuration": "c2"}
    heavier = {"options": '{"threshold":0.8,"weight":2.0}', "configuration": "c3"}
    same = common | {"configuration": "c4"}
    board(tmp_path, common, higher, heavier, same, higher | {"protocol": "per-class:20"})
    head, _, *rows, _, usual, _, told = lines(tmp_path)
    assert head[-3:] == ["variant", "top-1 %", "runs"]
    assert [(row[1], row[-3]) for row in rows] == [
        ("per-class:10", "`c1`"),
        ("per-class:10", "`c4`"),
        ("per-class:10", "`threshold=0.95`"),
        ("per-class:10", "`weight=2`"),
        ("per-class:20", "`threshold=0.95`"),
    ]
    assert usual == ["Rows of cmpl that name no other value: weight=1, threshold=0.8."]
    assert told[0].startswith("Where a variant is called c1 or the like, its options equal those of another")


def test_without_measurements_there_is_no_table(tmp_path: Path) -> None:
    assert results.measured("cmpl", tmp_path / "absent") == ""
    board(tmp_path, {})
    assert results.measured("fixmatch", tmp_path) == ""


def test_published_numbers_of_one_network_stand_in_one_row() -> None:
    text = results.reported("tcl")
    assert (
        "| mini-ssv2 | TSM-R50 | not stated | RGB | 7.54 ± 0.32 (1%), 27.22 ± 1.86 (5%), 40.7 ± 0.42 (10%) "
        "| TCL, poster (stated)" in text
    )
    assert "7.69 ± 0.21 (1%), 30.28 ± 0.13 (5%)" in text
    assert "- TCL, poster: [CVIR/TCL](https://github.com/CVIR/TCL), docs/resources" in text
    assert results.reported("nobody") == ""
