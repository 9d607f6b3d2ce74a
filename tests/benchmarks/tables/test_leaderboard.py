"""Result files in, one table out: what is kept, what is refused, and writers that meet."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ssl_video.benchmarks.tables import leaderboard
from ssl_video.errors import InputError
from ssl_video.spec import CELL, Spec, configuration

Write = Callable[..., Path]

# Hashes of digits alone, or like 1e5678901234, are the ones that a CSV would give back as numbers.
RECORD: dict[str, Any] = {
    "run": "cmpl-demo-per-class-4-seed0-1a2b3c4d",
    "algorithm": "cmpl",
    "options": {"weight": 1.0, "threshold": 0.8},
    "backbone": "primary=tiny3d auxiliary=tiny3d*0.25",
    "initialisation": "scratch",
    "dataset": "demo",
    "dataset_fingerprint": "d1e5678901234",
    "protocol": "per-class:4",
    "draw": 0,
    "seed": 0,
    "fingerprint": "p123456789012",
    "labeled_in_unlabeled": False,
    "setting": "s12345678",
    "configuration": "c1e567890",
    "labeled": 40,
    "unlabeled": 560,
    "test": 200,
    "classes": 10,
    "frames": 8,
    "stride": 2,
    "size": 32,
    "steps": 300,
    "predictor": "primary",
    "top1": 0.52,
    "top5": 1,
    "mean_class": 0.51,
    "predictors": {
        "primary": {"top1": 0.52, "top5": 1, "mean_class": 0.51},
        "auxiliary": {"top1": 0.4, "top5": 0.9, "mean_class": 0.4},
    },
    "seconds": 31.2,
    "clips_seen": 9600,
    "parameters": 123456,
    "parameters_trained": 130000,
    "gflops": 0.0239,
    "training_gflops": 707,
    "spec": {"algorithm": "cmpl", "steps": 300, "data": "demo", "seed": 0},
    "environment": {"torch": "2.15"},
    "finished": "2026-11-21T21:40:00Z",
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a run's result and returns its file; arguments replace keys of the record."""

    def add(**changes: Any) -> Path:
        record = RECORD | {"run": f"run{len(list(tmp_path.glob('runs/*')))}"} | changes
        file = tmp_path / "runs" / record["run"] / "result.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record), encoding="utf-8")
        return file

    return add


def test_read_gives_every_column_and_what_comparisons_need(tmp_path: Path, write: Write) -> None:
    write()
    frame, problems = leaderboard.read(tmp_path)
    assert not problems
    assert list(frame.columns) == [*leaderboard.COLUMNS, "predictors", "spec"]
    row = frame.iloc[0]
    for column in set(leaderboard.COLUMNS) - {"options", "run", "validation"}:
        assert row[column] == RECORD[column], column
    assert row["options"] == '{"threshold":0.8,"weight":1.0}'
    assert row["predictors"] == {"primary": 0.52, "auxiliary": 0.4}
    # Data and seed differ between runs of one configuration, so they say nothing of it.
    assert row["spec"] == {"algorithm": "cmpl", "steps": 300}


def test_validation_is_the_setting_and_not_the_accuracies(tmp_path: Path, write: Write) -> None:
    """A record has the accuracies on the validation clips under that name; tables want the setting."""
    write(run="a", spec=RECORD["spec"] | {"validation": 0.2}, validation={"primary": {"top1": 0.5}})
    write(run="b")  # a specification of before there was validation
    write(run="c", spec=RECORD["spec"] | {"validation": "some"})
    found = leaderboard.write(tmp_path)
    assert found.problems == ["runs/c/result.json is left out: validation is 'some', expected a number"]
    assert found.frame["validation"].tolist() == [0.2, 0.0]
    assert pd.read_csv(tmp_path / "leaderboard.csv")["validation"].tolist() == [0.2, 0.0]


@pytest.mark.filterwarnings("ignore:Pydantic serializer")
def test_the_cell_is_what_a_configuration_leaves_open() -> None:
    spec = Spec()
    free = {
        key
        for key in Spec.model_fields
        if configuration(Spec.model_construct(**{**dict(spec), key: "other"})) == configuration(spec)
    }
    assert free == set(CELL)


def test_rows_are_in_an_order_that_does_not_depend_on_folders(tmp_path: Path, write: Write) -> None:
    for run, seed, algorithm in [
        ("a", 1, "fixmatch"),
        ("b", 10, "cmpl"),
        ("c", 2, "cmpl"),
        ("d", 0, "fixmatch"),
    ]:
        write(run=run, seed=seed, algorithm=algorithm)
    # By algorithm, then by seed as a number: 2 before 10.
    assert leaderboard.read(tmp_path).frame["run"].tolist() == ["c", "b", "d", "a"]


def test_runs_without_a_result_are_not_finished(tmp_path: Path, write: Write) -> None:
    write(run="finished")
    (tmp_path / "runs" / "running").mkdir()
    frame, problems = leaderboard.read(tmp_path)
    assert frame["run"].tolist() == ["finished"]
    assert not problems


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (json.dumps(RECORD)[:200], "not valid JSON, perhaps truncated"),
        ("", "not valid JSON, perhaps truncated"),
        (b"\xff\xfe", "not valid JSON"),
        ("[1]", "expected an object, found list"),
        (
            {"steps": None, "seed": True},
            "seed is True, expected a whole number; steps is None, expected a whole number",
        ),
        ({"top1": 52.0}, "top1 is 52.0, expected a share between 0 and 1"),
        ({"top1": float("nan")}, "top1 is nan, expected a share between 0 and 1"),
        ({"seconds": float("inf")}, "seconds is inf, expected a number"),
        (
            {"fingerprint": "123456789012"},
            "fingerprint is '123456789012', expected text that starts with 'p'",
        ),
        ({"predictors": {"primary": {}}}, "primary top1 is None"),
        ({"run": "another"}, "it is a copy of run another"),
    ],
)
def test_a_result_that_cannot_be_used_is_named(
    tmp_path: Path, write: Write, content: str | bytes | dict[str, Any], reason: str
) -> None:
    write(run="good")
    file = write(run="bad")
    if isinstance(content, dict):
        content = json.dumps(RECORD | {"run": "bad"} | content)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    frame, problems = leaderboard.read(tmp_path)
    assert frame["run"].tolist() == ["good"]
    assert len(problems) == 1
    assert problems[0].startswith("runs/bad/result.json is left out: ")
    assert reason in problems[0]


def test_all_missing_keys_are_named_at_once(tmp_path: Path, write: Write) -> None:
    file = write(run="old")
    record = json.loads(file.read_text())
    del record["top5"], record["spec"]
    file.write_text(json.dumps(record))
    assert leaderboard.read(tmp_path).problems == ["runs/old/result.json is left out: it lacks top5, spec"]


def test_no_results_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no results folder"):
        leaderboard.read(tmp_path / "nowhere")


def test_the_csv_survives_a_plain_read_csv(tmp_path: Path, write: Write) -> None:
    write(labeled_in_unlabeled=True)
    write(seed=1)
    frame = leaderboard.write(tmp_path).frame
    pd.testing.assert_frame_equal(frame, leaderboard.read(tmp_path).frame)
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "leaderboard.csv"), frame[list(leaderboard.COLUMNS)], rtol=1e-12
    )


def test_an_empty_leaderboard_has_its_columns(tmp_path: Path) -> None:
    leaderboard.write(tmp_path)
    assert list(pd.read_csv(tmp_path / "leaderboard.csv").columns) == list(leaderboard.COLUMNS)
    assert [path.name for path in tmp_path.iterdir()] == ["leaderboard.csv"]


def test_a_published_table_is_not_replaced(tmp_path: Path, write: Write) -> None:
    """Its runs are elsewhere, so that it could not be rebuilt. Of others, some runs may have been removed."""
    for run in ("first", "second", "third"):
        write(run=run)
    leaderboard.write(tmp_path)
    table = tmp_path / "leaderboard.csv"
    shutil.rmtree(tmp_path / "runs" / "first")
    assert list(leaderboard.write(tmp_path).frame["run"]) == ["second", "third"]
    published = table.read_bytes()
    shutil.rmtree(tmp_path / "runs")
    for present in ([], ["another"]):
        for run in present:
            write(run=run)
        with pytest.raises(InputError, match=r"a table of 2 runs whose folders are not in .*runs, so it"):
            leaderboard.write(tmp_path)
        assert table.read_bytes() == published


def test_a_run_that_finishes_during_the_writing_is_not_lost(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(run="first")
    original = leaderboard.replace_text

    def meanwhile(path: Path, text: str) -> None:
        if not (tmp_path / "runs" / "second").exists():
            write(run="second")
        original(path, text)

    monkeypatch.setattr(leaderboard, "replace_text", meanwhile)
    assert sorted(leaderboard.write(tmp_path).frame["run"]) == ["first", "second"]
    assert sorted(pd.read_csv(tmp_path / "leaderboard.csv")["run"]) == ["first", "second"]


def test_processes_may_write_at_once(tmp_path: Path, write: Write) -> None:
    for _ in range(40):
        write()
    leaderboard.write(tmp_path)
    size = (tmp_path / "leaderboard.csv").stat().st_size
    code = (
        "import sys; from pathlib import Path; from ssl_video.benchmarks.tables import leaderboard\n"
        "for _ in range(12): leaderboard.write(Path(sys.argv[1]))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    sizes = set()
    while any(writer.poll() is None for writer in writers):
        time.sleep(0.0005)
        sizes.add(len((tmp_path / "leaderboard.csv").read_bytes()))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert sizes == {size}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leaderboard.csv", "runs"]


def test_the_leaderboard_needs_no_torch() -> None:
    code = "import sys, ssl_video.benchmarks.tables.terminal, ssl_video.benchmarks.tables.leaderboard as _\n"
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_records_from_before_operations_were_counted(tmp_path: Path, write: Write) -> None:
    file = write()
    counted = ("gflops", "training_gflops")
    old = {key: value for key, value in json.loads(file.read_text()).items() if key not in counted}
    file.write_text(json.dumps(old))
    frame, problems = leaderboard.read(tmp_path)
    assert not problems
    assert frame[list(counted)].isna().all(axis=None)
