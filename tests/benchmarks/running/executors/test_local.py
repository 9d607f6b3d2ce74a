"""Runs in processes of this machine."""

import multiprocessing
import sys
import sysconfig
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ssl_video.benchmarks.running.executors import local
from ssl_video.errors import InputError
from ssl_video.training.execution import Execution


def test_the_server_starts_with_the_first_run_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It imports torch for seconds: a benchmark that is finished, or wrong, has no use for it."""
    started = list[list[str]]()
    monkeypatch.setattr(local, "_start_server", lambda libraries: started.append(libraries))
    executor = local.Local(Execution("cpu", results=tmp_path))
    assert executor.describe().startswith("1 at a time")
    assert started == []
    for _ in range(2):
        executor.submit([])
    assert started == [[]]


def test_the_server_loads_the_libraries_of_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process would import timm for most of a second, as long as a run on stored features takes."""
    started, begun = list[list[str]](), list[object]()
    monkeypatch.setattr(local, "_start_server", lambda libraries: started.append(libraries))
    monkeypatch.setattr(local, "_Worker", lambda plan, *_: begun.append(plan))

    def plan(*backbones: str) -> Any:
        networks = {str(n): SimpleNamespace(backbone=name) for n, name in enumerate(backbones)}
        return SimpleNamespace(spec=SimpleNamespace(networks=networks), name="a run")

    executor = local.Local(Execution("cpu", results=tmp_path, jobs=2))
    executor.submit([plan("slow_r50", "timm/resnet18+tsm"), plan("timm/resnet50")])
    assert started == [["timm"]]
    assert len(begun) == 2


def test_the_server_is_told_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    told, done = list[list[str]](), list[str]()
    context = SimpleNamespace(
        get_start_method=lambda: "forkserver",
        set_forkserver_preload=lambda names: (told.append(names), done.append("told")),
    )
    monkeypatch.setattr(local, "_CONTEXT", context)
    monkeypatch.setattr(local.forkserver, "ensure_running", lambda: done.append("started"))
    local._start_server(["timm"])
    assert done == ["told", "started"]
    assert told[0][-1] == "timm"
    assert "torch._dynamo" in told[0]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no server")
def test_a_folder_of_temporary_files_with_a_long_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It matters only while the folder of sockets is not made yet."""
    began = list[None]()
    monkeypatch.setattr(local.forkserver, "ensure_running", lambda: began.append(None))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 20)))
    config = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    monkeypatch.delitem(config, "tempdir", raising=False)
    with pytest.raises(InputError, match="longlong, has too long a name for the sockets"):
        local._start_server([])
    monkeypatch.setitem(config, "tempdir", "/tmp/pymp-short")
    local._start_server([])
    assert len(began) == 1


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
