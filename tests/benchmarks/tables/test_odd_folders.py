"""Run folders that cannot be read, or hold something odd, never stop a table of the others."""

import builtins
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from helpers.records import record, write_into

import ssl_video as sv
from ssl_video.benchmarks.tables import leaderboard
from ssl_video.cli import cli
from ssl_video.runs.identity import unfinished
from ssl_video.spec import build


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders called `locked` are those of another user, for whom root would not do."""

    def refusing(call: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(path: Any, *more: Any, **named: Any) -> Any:
            if isinstance(path, str | os.PathLike) and "/locked/" in os.fspath(path):
                raise PermissionError(13, "Permission denied", path)
            return call(path, *more, **named)

        return refuse

    for module, name in ((os, "stat"), (os, "open"), (io, "open"), (builtins, "open"), (os, "scandir")):
        monkeypatch.setattr(module, name, refusing(getattr(module, name)))


def good(results: Path) -> None:
    folder = results / "runs" / "good"
    write_into(folder)
    (folder / "spec.yaml").write_text(yaml.safe_dump({"algorithm": "supervised", "steps": 4}))


def text(content: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(content)


RECORD = record(run="odd")
ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (lambda file: file.mkdir(), "directory"),
    "a pipe": (lambda file: os.mkfifo(file), "a pipe or a device"),
    "a loop": (lambda file: file.symlink_to(file), "symbolic links"),
    "deep": (text("[" * 100_000), "nested more than 100 times"),
    "deep and whole": (text('{"options": ' * 500 + "1" + "}" * 500), "nested more than 100 times"),
    "huge": (text(json.dumps(RECORD | {"steps": 10**23})), "steps: a number of more than 18 digits"),
    "digits": (text('{"steps": ' + "9" * 5000 + "}"), "not valid JSON"),
    "bytes": (lambda file: file.write_bytes(b"\xff\xfe"), "not valid JSON"),
    "a device": (lambda file: file.symlink_to("/dev/zero"), "a pipe or a device"),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_results_are_named_and_left_out(tmp_path: Path, kind: str) -> None:
    good(tmp_path)
    make, reason = ODD[kind]
    (tmp_path / "runs" / "odd").mkdir()
    make(tmp_path / "runs" / "odd" / "result.json")
    found = leaderboard.write(tmp_path)
    assert found.frame["run"].tolist() == ["good"]
    (problem,) = found.problems
    assert problem.startswith("runs/odd/result.json is left out: ")
    assert reason in problem
    assert len(problem) < 300


@pytest.mark.usefixtures("locked")
def test_folders_of_others_are_named_and_left_out(tmp_path: Path) -> None:
    good(tmp_path)
    (tmp_path / "runs" / "locked").mkdir()
    (tmp_path / "runs" / "loop").symlink_to(tmp_path / "runs" / "loop")
    found = leaderboard.write(tmp_path)
    assert found.frame["run"].tolist() == ["good"]
    assert len(found.problems) == 2
    assert found.problems[0] == "runs/locked/result.json is left out: Permission denied"
    assert "symbolic links" in found.problems[1]
    shown = CliRunner().invoke(cli, ["watch", "--once", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert unfinished("x-1", build({}), tmp_path) == []


@pytest.mark.usefixtures("locked")
def test_watch_shows_the_others(tmp_path: Path) -> None:
    good(tmp_path)
    (tmp_path / "runs" / "locked").mkdir()
    os.mkfifo(tmp_path / "runs" / "good" / "metrics.jsonl")
    assert [run.folder.name for run in sv.watch(tmp_path)] == ["good", "locked"]
