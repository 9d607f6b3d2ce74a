from pathlib import Path

import pandas as pd
import pytest

from ssl_video.pages import results

RUN = {
    **{"algorithm": "cmpl", "dataset": "ucf101", "protocol": "per-class:10", "backbone": "slow_r50"},
    **{"initialisation": "scratch", "setting": "s1", "configuration": "c1", "frames": 8, "stride": 4},
    **{"size": 64, "steps": 400, "top1": 0.5},
}


def board(folder: Path, *rows: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame([RUN | row for row in rows]).to_csv(folder / "leaderboard.csv", index=False)


def test_means_of_several_leaderboards(tmp_path: Path) -> None:
    # Mean and t interval of 40, 50 and 60 with two degrees of freedom: 50 ± 4.303 * 10 / sqrt(3) = 24.8.
    board(tmp_path, {"top1": 0.4}, {"top1": 0.5}, {"algorithm": "fixmatch", "top1": 0.9})
    board(tmp_path / "second", {"top1": 0.6}, {"protocol": "per-class:20", "top1": 0.75})
    lines = results.measured("cmpl", tmp_path).splitlines()
    assert lines[2:] == [
        "| ucf101 | per-class:10 | slow_r50 | scratch | 8 × 4, 64 px | 400 | 50.0 ± 24.8 | 3 |",
        "| ucf101 | per-class:20 | slow_r50 | scratch | 8 × 4, 64 px | 400 | 75.0 | 1 |",
    ]


@pytest.mark.parametrize("key", ["dataset", "backbone", "initialisation", "setting", "configuration"])
def test_runs_that_differ_are_not_averaged(tmp_path: Path, key: str) -> None:
    board(tmp_path, {}, {key: "other"})
    assert len(results.measured("cmpl", tmp_path).splitlines()) == 4


def test_without_measurements_there_is_no_table(tmp_path: Path) -> None:
    assert results.measured("cmpl", tmp_path / "absent") == ""
    board(tmp_path, {})
    assert results.measured("fixmatch", tmp_path) == ""


def test_published_numbers_of_one_network_stand_in_one_row() -> None:
    text = results.reported("tcl")
    assert (
        "| mini-ssv2 | TSM-R50 | not stated | RGB | 7.54 (1%), 27.22 (5%), 40.7 (10%) | TCL, poster (stated)"
        in text
    )
    assert "7.69 ± 0.21 (1%), 30.28 ± 0.13 (5%)" in text
    assert "- TCL, poster: [CVIR/TCL](https://github.com/CVIR/TCL), docs/resources" in text
    assert results.reported("nobody") == ""
