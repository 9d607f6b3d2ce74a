"""Runs in processes of this machine."""

from pathlib import Path

import pytest

from ssl_video.benchmarks.running.executors import local
from ssl_video.training.execution import Execution


def test_the_server_starts_with_the_first_run_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It imports torch for seconds: a benchmark that is finished, or wrong, has no use for it."""
    started = list[bool]()
    monkeypatch.setattr(local, "_start_server", lambda: started.append(True))
    executor = local.Local(Execution("cpu", results=tmp_path))
    assert executor.describe().startswith("1 at a time")
    assert started == []
    for _ in range(2):
        executor.submit([])
    assert started == [True]
