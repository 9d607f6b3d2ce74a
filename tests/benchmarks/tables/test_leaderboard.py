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
from helpers.records import record

from ssl_video.benchmarks.tables import leaderboard
from ssl_video.errors import InputError
from ssl_video.spec import CELL, Spec, configuration

Write = Callable[..., Path]

# Hashes of digits alone, or like 1e5678901234, are the ones that a CSV would give back as numbers.
RECORD: dict[str, Any] = record(
    run="cmpl-demo-per-class-4-seed0-1a2b3c4d",
    options={"weight": 1.0, "threshold": 0.8},
    backbone="primary=tiny3d auxiliary=tiny3d*0.25",
    dataset_fingerprint="d1e5678901234",
    fingerprint="p123456789012",
    setting="s12345678",
    configuration="c1e567890",
    predictor="primary",
    top1=0.52,
    top5=1,
    mean_class=0.51,
    predictors={
        "primary": {"top1": 0.52, "top5": 1, "mean_class": 0.51},
        "auxiliary": {"top1": 0.4, "top5": 0.9, "mean_class": 0.4},
    },
    seconds=31.2,
    training_gflops=707,
    spec={"algorithm": "cmpl", "steps": 300, "data": "demo", "seed": 0},
    device="NVIDIA H200",
    threads=4,
    processes=2,
    torch="2.15.0+cu130",
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a run's result and returns its file; arguments replace keys of the record."""

    def add(**changes: Any) -> Path:
        values = RECORD | {"run": f"run{len(list(tmp_path.glob('runs/*')))}"} | changes
        file = tmp_path / "runs" / values["run"] / "result.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")
        return file

    return add


def test_read_gives_every_column_and_what_comparisons_need(tmp_path: Path, write: Write) -> None:
    write()
    frame, problems, _ = leaderboard.read(tmp_path)
    assert not problems
    assert list(frame.columns) == [*leaderboard.COLUMNS, *leaderboard.FURTHER]
    row, known = frame.iloc[0], RECORD | RECORD["environment"]
    for column in set(leaderboard.COLUMNS) - {"options", "run"}:
        assert row[column] == known[column], column
    assert row["options"] == '{"threshold":0.8,"weight":1.0}'
    assert row["predictors"] == {"primary": 0.52, "auxiliary": 0.4}
    # Data and seed differ between runs of one configuration, so they say nothing of it.
    assert row["spec"] == {"algorithm": "cmpl", "steps": 300}


def test_validation_is_the_setting_and_not_the_accuracies(tmp_path: Path, write: Write) -> None:
    accuracies = {"primary": {"top1": 0.5, "top5": 1.0, "mean_class": 0.5}}
    write(run="a", validation=0.2, validation_accuracies=accuracies)
    write(run="b")
    write(run="c", validation="some")
    found = leaderboard.write(tmp_path)
    assert found.problems == [
        "runs/c/result.json is left out: validation: input should be a valid number, found 'some'"
    ]
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
    frame, problems, _ = leaderboard.read(tmp_path)
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
            "steps: input should be a valid integer, found None; "
            "seed: input should be a valid integer, found True",
        ),
        ({"top1": 52.0}, "top1: input should be less than or equal to 1, found 52.0"),
        ({"top1": float("nan")}, "top1: input should be less than or equal to 1, found nan"),
        ({"seconds": float("inf")}, "seconds: input should be a finite number, found inf"),
        (
            {"fingerprint": "123456789012"},
            "fingerprint: string should match pattern '^p', found '123456789012'",
        ),
        ({"predictors": {"primary": {}}}, "predictors.primary.top1 is missing"),
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
    frame, problems, _ = leaderboard.read(tmp_path)
    assert frame["run"].tolist() == ["good"]
    assert len(problems) == 1
    assert problems[0].startswith("runs/bad/result.json is left out: ")
    assert reason in problems[0]


def test_all_missing_keys_are_named_at_once(tmp_path: Path, write: Write) -> None:
    file = write(run="old")
    values = json.loads(file.read_text())
    del values["top5"], values["spec"]
    file.write_text(json.dumps(values))
    assert leaderboard.read(tmp_path).problems == [
        "runs/old/result.json is left out: top5 is missing; spec is missing"
    ]


def test_a_result_of_an_older_format_is_left_out_with_one_sentence(tmp_path: Path, write: Write) -> None:
    """It lacks many keys, and `validation` was something else; what counts is that it is older."""
    old = {key: RECORD[key] for key in ("algorithm", "top1", "spec")}
    write(run="new")
    for run in ("a", "b"):
        write(run=run).write_text(json.dumps(old | {"run": run, "validation": {"primary": {"top1": 0.5}}}))
    frame, problems, _ = leaderboard.write(tmp_path)
    assert frame["run"].tolist() == ["new"]
    assert problems == [
        "runs/a/result.json and runs/b/result.json are left out: its format is 1, this version of ssl-video "
        "reads format 2"
    ]


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


def make_unreadable(file: Path) -> None:
    """Turn a result into one of the older format, which this version does not read."""
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 1}))


@pytest.mark.parametrize("others", [[], ["another"]])
def test_a_published_table_is_not_replaced(tmp_path: Path, write: Write, others: list[str]) -> None:
    """None of its runs has a folder here, so that it could not be rebuilt."""
    for run in ("second", "third"):
        write(run=run)
    table = tmp_path / "leaderboard.csv"
    expected = leaderboard.write(tmp_path).frame[list(leaderboard.COLUMNS)]
    published = table.read_bytes()
    shutil.rmtree(tmp_path / "runs")
    for run in others:
        write(run=run)
    for refused in (leaderboard.write, leaderboard.check_replaceable):
        with pytest.raises(InputError, match=r"a table of 2 runs whose folders are not in .*runs, so it"):
            refused(tmp_path)
    assert table.read_bytes() == published
    pd.testing.assert_frame_equal(leaderboard.read(tmp_path).frame, expected, rtol=1e-12)


def test_a_table_of_results_of_an_older_format_is_read_and_kept(tmp_path: Path, write: Write) -> None:
    """The CSV is the only record that this version reads; new runs may still be added."""
    files = [write(run=run) for run in ("a", "b")]
    expected = leaderboard.write(tmp_path).frame[list(leaderboard.COLUMNS)]
    before = (tmp_path / "leaderboard.csv").read_bytes()
    for file in files:
        make_unreadable(file)
    frame, (problem,), _ = leaderboard.read(tmp_path)
    pd.testing.assert_frame_equal(frame, expected, rtol=1e-12)
    assert "runs/a/result.json and runs/b/result.json are left out: its format is 1" in problem
    write(run="new")
    assert leaderboard.write(tmp_path).frame["run"].tolist() == ["new"]
    assert (tmp_path / "leaderboard-1.csv").read_bytes() == before


def test_a_table_with_rows_that_cannot_be_rebuilt_is_kept(tmp_path: Path, write: Write) -> None:
    """Some of its runs are elsewhere, or were removed: nobody knows which."""
    for run in ("a", "b", "c"):
        write(run=run)
    leaderboard.write(tmp_path)
    table = tmp_path / "leaderboard.csv"
    before = table.read_bytes()
    shutil.rmtree(tmp_path / "runs" / "a")
    frame, (problem,), _ = leaderboard.read(tmp_path)
    assert frame["run"].tolist() == ["b", "c"]
    assert problem == (
        "leaderboard.csv lists 1 run without a result here ('a'); when it is written again, a copy is kept"
    )
    assert table.read_bytes() == before, "reading writes nothing"
    frame, (problem,), _ = leaderboard.write(tmp_path)
    assert frame["run"].tolist() == pd.read_csv(table)["run"].tolist() == ["b", "c"]
    assert problem.endswith("that table is kept as leaderboard-1.csv")
    assert (tmp_path / "leaderboard-1.csv").read_bytes() == before
    # Another time, and with a damaged result instead of none: the copy of before stays.
    make_unreadable(tmp_path / "runs" / "b" / "result.json")
    between = table.read_bytes()
    assert leaderboard.write(tmp_path).problems[1].endswith("kept as leaderboard-2.csv")
    assert (tmp_path / "leaderboard-1.csv").read_bytes() == before
    assert (tmp_path / "leaderboard-2.csv").read_bytes() == between
    # With every row rebuilt there is nothing to keep.
    assert len(leaderboard.write(tmp_path).problems) == 1
    assert not (tmp_path / "leaderboard-3.csv").exists()


def test_a_damaged_table_is_kept(tmp_path: Path, write: Write) -> None:
    write(run="a")
    leaderboard.write(tmp_path)
    table = tmp_path / "leaderboard.csv"
    damaged = table.read_bytes() + b"\xff\n"
    table.write_bytes(damaged)
    assert leaderboard.write(tmp_path).problems[0].endswith("kept as leaderboard-1.csv")
    assert (tmp_path / "leaderboard-1.csv").read_bytes() == damaged


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


def test_operations_that_were_not_counted_are_empty(tmp_path: Path, write: Write) -> None:
    counted = ["gflops", "training_gflops"]
    write(**dict.fromkeys(counted, float("nan")))
    frame, problems, _ = leaderboard.write(tmp_path)
    assert not problems
    assert frame[counted].isna().all(axis=None)
    assert pd.read_csv(tmp_path / "leaderboard.csv")[counted].isna().all(axis=None)


# -- published tables, whose runs are elsewhere


@pytest.fixture
def published(tmp_path: Path, write: Write) -> tuple[Path, pd.DataFrame]:
    """A folder with the table of three runs alone, and the table."""
    for seed, more in enumerate(({}, {"labeled_in_unlabeled": True}, {"gflops": float("nan")})):
        write(seed=seed, **more)
    frame = leaderboard.write(tmp_path).frame[list(leaderboard.COLUMNS)]
    shutil.rmtree(tmp_path / "runs")
    return tmp_path, frame


def test_a_published_table_is_read_back(published: tuple[Path, pd.DataFrame]) -> None:
    folder, expected = published
    frame, problems, _ = leaderboard.read(folder)
    assert problems == []
    pd.testing.assert_frame_equal(frame, expected, rtol=1e-12)
    pd.testing.assert_frame_equal(leaderboard.read_csv(folder / "leaderboard.csv"), expected, rtol=1e-12)
    assert [path.name for path in folder.iterdir()] == ["leaderboard.csv"]


def test_a_published_table_of_an_older_version_is_read_back(published: tuple[Path, pd.DataFrame]) -> None:
    """One without the columns of the machine and some others, which are empty then."""
    folder, expected = published
    newer = ["device", "threads", "processes", "torch", "gflops", "training_gflops", "validation"]
    expected.drop(columns=newer).to_csv(folder / "leaderboard.csv", index=False)
    frame, problems, _ = leaderboard.read(folder)
    assert problems == []
    assert list(frame.columns) == list(leaderboard.COLUMNS)
    assert frame[newer].isna().all(axis=None)
    pd.testing.assert_frame_equal(frame.drop(columns=newer), expected.drop(columns=newer), rtol=1e-12)


def test_what_is_no_table_of_runs(published: tuple[Path, pd.DataFrame]) -> None:
    folder, expected = published
    table = folder / "leaderboard.csv"
    expected.drop(columns=["top5", "spec"], errors="ignore").to_csv(table, index=False)
    with pytest.raises(
        InputError, match=r"leaderboard\.csv is not a leaderboard of ssl-video: it lacks top5$"
    ):
        leaderboard.read(folder)
    table.write_text("run,algorithm\na,b\nc,d,e,f\n")
    with pytest.raises(InputError, match=r"leaderboard\.csv cannot be read: "):
        leaderboard.read(folder)
    with pytest.raises(InputError, match=r"nowhere\.csv cannot be read: "):
        leaderboard.read_csv(folder / "nowhere.csv")
