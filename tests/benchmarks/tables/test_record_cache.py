"""Rows that are kept are those that reading every record would give."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.records import FACTS, run

from ssl_video.benchmarks.tables import leaderboard, record_cache, records


def write(results: Path, name: str, top1: float = 0.5) -> None:
    """A finished run."""
    record = FACTS | run("cmpl", top1, run=name)
    record |= {"options": {"threshold": 0.8}, "predictors": {"model": {"top1": top1}, "ema": {"top1": 0.25}}}
    folder = results / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(record))


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three finished runs, which are enough for a cache."""
    monkeypatch.setattr(record_cache, "WORTH", 0)
    for name in "abc":
        write(tmp_path, name)
    return tmp_path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of runs whose records were opened."""
    names = list[str]()
    original = records.row

    def noted(content: bytes, folder: str, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
        names.append(folder)
        return original(content, folder, known)

    monkeypatch.setattr(records, "row", noted)
    return names


def test_what_is_kept_is_not_opened_and_the_same(results: Path, opened: list[str]) -> None:
    first = leaderboard.read(results).frame
    assert opened == ["a", "b", "c"]
    second = leaderboard.read(results).frame
    assert opened == ["a", "b", "c"]
    pd.testing.assert_frame_equal(first, second)
    assert second["predictors"][0] == {"model": 0.5, "ema": 0.25}
    assert second["spec"][0] == {"algorithm": "cmpl", "steps": 300, "options": {}}


def test_what_has_changed_is_opened_and_what_is_gone_is_gone(results: Path, opened: list[str]) -> None:
    leaderboard.read(results)
    opened.clear()
    write(results, "b", top1=0.875)
    write(results, "d")
    (results / "runs" / "c" / "result.json").unlink()
    frame = leaderboard.read(results).frame.set_index("run")
    assert opened == ["b", "d"]
    assert frame["top1"].to_dict() == {"a": 0.5, "b": 0.875, "d": 0.5}


@pytest.mark.parametrize("damage", ["truncated", "other columns", "nonsense"])
def test_a_cache_that_cannot_be_used_is_not(results: Path, opened: list[str], damage: str) -> None:
    before = leaderboard.read(results).frame
    file = results / record_cache.FILE
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "nonsense":
        file.write_bytes(b"nonsense")
    else:
        pd.read_feather(file).drop(columns="top5").to_feather(file)
    opened.clear()
    pd.testing.assert_frame_equal(leaderboard.read(results).frame, before)
    assert opened == ["a", "b", "c"]


def test_a_result_that_cannot_be_used_is_told_every_time(results: Path) -> None:
    (results / "runs" / "b" / "result.json").write_text("{")
    problems = leaderboard.read(results).problems
    assert len(problems) == 1
    assert leaderboard.read(results).problems == problems


def test_few_runs_need_no_cache(tmp_path: Path) -> None:
    write(tmp_path, "a")
    leaderboard.read(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
