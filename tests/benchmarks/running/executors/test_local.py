"""Runs in processes of this machine."""

import multiprocessing
import sysconfig
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


def test_a_crash_is_reported_with_its_place_in_the_users_code() -> None:
    library = sysconfig.get_path("purelib") + "/torch/nn/modules/module.py"
    log = f"""step 1
Traceback (most recent call last):
  File "/home/me/old.py", line 3, in loss
ValueError: an earlier one
step 2
Traceback (most recent call last):
  File "{multiprocessing.__file__}", line 314, in run
  File "/home/me/method.py", line 41, in loss
    return 1 % self.memory
  File "{library}", line 1773, in _call_impl
ZeroDivisionError: integer modulo by zero"""
    end = "ZeroDivisionError: integer modulo by zero"
    assert local._end_of(log.splitlines()) == f": {end} (/home/me/method.py, line 41)"
    assert local._end_of([*log.splitlines()[:1], end]) == f": {end}"
    assert local._end_of([]) == ""
