"""`--logger`: a tracker gets a run of each run, and its failure is reported where the command was typed."""

from pathlib import Path

import pytest
from helpers.command_line import TINY, call_here, results
from helpers.fake_trackers import BROKEN_FROM, NOTES, calls, write_packages


@pytest.fixture
def variables(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment in which fake packages are installed; processes of runs have this Python's path."""
    monkeypatch.syspath_prepend(write_packages(tmp_path / "packages"))
    return environment | {NOTES: str(tmp_path / "calls")}


def test_each_run_of_a_benchmark_is_one_of_the_tracker(
    variables: dict[str, str], dataset: Path, tmp_path: Path
) -> None:
    flags = ("--algo", "supervised", "--seeds", "2", "--protocol", "per-class:2", *TINY)
    done = call_here(variables, "bench", "--data", dataset, *flags, "--logger", "wandb", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    begun = {call["name"] for call in calls(tmp_path / "calls") if call["call"] == "begin"}
    assert begun == {file.parent.name for file in results(tmp_path)}
    assert len(begun) == 2


def test_a_file_names_the_trackers_and_a_failure_is_said_once(
    variables: dict[str, str], dataset: Path, tmp_path: Path
) -> None:
    (tmp_path / "run.yaml").write_text(f"data: {dataset}\nprotocol: per-class:2\nlogger: [wandb]\n")
    broken = variables | {BROKEN_FROM: "3"}
    done = call_here(broken, "train", "run.yaml", *TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    sentence = "W&B failed, and the run goes on without it: ConnectionError: the server is gone"
    assert done.stderr.count(sentence) == 1
    (record,) = results(tmp_path)
    assert sentence in (record.parent / "log.txt").read_text()
    assert "logger" not in (record.parent / "spec.yaml").read_text()


def test_an_unknown_tracker_in_a_file(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("logger: wandbb\n")
    done = call_here(environment, "train", "run.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "unknown logger 'wandbb'; did you mean wandb?" in done.stderr
