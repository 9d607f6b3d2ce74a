"""The script that measures leaderboards: its runs are ones that leaderboards take."""

from pathlib import Path

import pytest

from ssl_video.benchmarks.speed import leaderboard_scale
from ssl_video.benchmarks.tables import leaderboard, record_cache
from ssl_video.benchmarks.tables.compare import comparison
from ssl_video.engine.record import read_result


def test_made_up_runs_are_finished_ones(tmp_path: Path) -> None:
    folders = leaderboard_scale.write(tmp_path, 440)
    assert all(read_result(folder) for folder in folders)
    frame, problems = leaderboard.read(tmp_path)
    assert not problems
    assert len(frame) == 440
    result = comparison(frame)
    # 20 seeds of 10 protocols of two algorithms, and of two protocols of a third.
    assert [sum(cell is not None for cell in row.cells) for row in result.rows] == [10, 10, 2]
    assert result.usual_n == 20
    assert result.rows[1].cells[0] is not None
    assert result.rows[1].cells[0].gain is not None


def test_every_stage_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_cache, "WORTH", 10)
    stages = list(leaderboard_scale.measure(tmp_path, leaderboard_scale.write(tmp_path, 20)))
    titles = " ".join(stage.title for stage in stages)
    for word in ("finished", "again", "compare", "terminal", "latex", "command"):
        assert word in titles
    assert all(stage.passed > 0 for stage in stages)
