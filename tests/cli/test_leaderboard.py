"""`ssl-video leaderboard` in this process, on records that nobody trained."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from helpers.command_line import Call
from helpers.records import draws, write_result

from ssl_video.benchmarks.tables.leaderboard import COLUMNS
from ssl_video.cli.leaderboard import command
from ssl_video.errors import InputError


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three methods, two seeds, two protocols."""
    runs = [
        run
        for protocol in ("per-class:1", "per-class:5")
        for algorithm, top1 in (("supervised", 0.4), ("cmpl", 0.5), ("fixmatch", 0.45))
        for run in draws(algorithm, top1, top1 + 0.02, protocol=protocol)
    ]
    for number, run in enumerate(runs):
        write_result(tmp_path, **run | {"run": f"{run['algorithm']}{number}"})
    return tmp_path


def call(results: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, ["--results", str(results), *arguments])


def shown(results: Path, *arguments: str) -> list[str]:
    done = call(results, *arguments)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_the_screen(results: Path) -> None:
    lines = shown(results)
    assert lines[1].split() == ["method", "per-class:1", "per-class:5"]
    assert [line.split()[0] for line in lines[3:8]] == ["supervised", "cmpl", "gain", "fixmatch", "gain"]
    assert lines[-1].endswith("leaderboard.csv")
    header = (results / "leaderboard.csv").read_text().splitlines()[0]
    assert header.split(",") == list(COLUMNS)


def test_the_folder_as_an_argument(results: Path) -> None:
    done = CliRunner().invoke(command, [str(results)])
    assert done.exit_code == 0, done.output
    assert done.output == call(results).output


def test_filters(results: Path) -> None:
    lines = shown(results, "--where", "algorithm=c*", "--protocol", "per-class:1")
    assert lines[1].split() == ["method", "per-class:1"]
    assert [line.split()[0] for line in lines[3:6]] == ["supervised", "cmpl", "gain"]
    assert not any("fixmatch" in line for line in lines)
    with pytest.raises(InputError, match="unknown key of a run"):
        raise call(results, "--where", "algoritm=c").exception or AssertionError


@pytest.fixture
def published(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the table alone, as it is published."""
    folder = tmp_path_factory.mktemp("published")
    assert call(results).exit_code == 0
    shutil.copy(results / "leaderboard.csv", folder)
    return folder


def test_a_published_table_is_read_back(results: Path, published: Path) -> None:
    """And left as it is; what tables of its runs say is what it says."""
    table = published / "leaderboard.csv"
    before = table.read_bytes()
    for arguments in ([], ["--cost"], ["--mean-gain"], ["--algo", "cmpl"], ["--where", "draw=0"]):
        assert shown(published, *arguments)[:-1] == shown(results, *arguments)[:-1]
    for form in ("markdown", "latex", "csv"):
        done = call(published, "--format", form)
        assert (done.exit_code, done.stdout) == (0, call(results, "--format", form).stdout)
    assert table.read_bytes() == before
    assert [path.name for path in published.iterdir()] == ["leaderboard.csv"]


def test_published_numbers_alone_give_no_archive(results: Path, tmp_path: Path) -> None:
    """Without runs, or without those of a data set."""
    for place, more, said in (
        (tmp_path / "absent", (), "absent has no runs$"),
        (results, ("--dataset", "ucf101"), "has no runs on ucf101$"),
    ):
        done = call(place, "--published", "--archive", str(tmp_path / "runs.zip"), *more)
        with pytest.raises(InputError, match=f"--archive .*runs.zip has nothing to hold: .*{said}"):
            raise done.exception or AssertionError
        assert not (tmp_path / "runs.zip").exists()


def test_a_published_table_of_an_older_version_is_read_back(results: Path, published: Path) -> None:
    """Without the columns that tell the machine."""
    table = published / "leaderboard.csv"
    old = pd.read_csv(table).drop(columns=["device", "threads", "processes", "torch"])
    old.to_csv(table, index=False)
    before = table.read_bytes()
    assert shown(published)[:-1] == shown(results)[:-1]
    assert table.read_bytes() == before


def test_what_a_published_table_does_not_hold(published: Path) -> None:
    """Keys of the specification that are no columns, and the further networks."""
    with pytest.raises(InputError, match=r"unknown key of a run 'options\.threshold'"):
        raise call(published, "--where", "options.threshold=0.8").exception or AssertionError
    with pytest.raises(InputError, match="further networks are in the runs' records only"):
        raise call(published, "--predictors").exception or AssertionError
    (published / "leaderboard.csv").write_text("run,algorithm\na,fixmatch\n")
    with pytest.raises(InputError, match="is not a leaderboard of ssl-video: it lacks backbone"):
        raise call(published).exception or AssertionError


def test_costs(results: Path) -> None:
    lines = shown(results, "--cost")
    assert lines[1].split()[-3:] == ["GFLOPs", "training", "seconds"]
    assert lines[4].split()[-3:] == ["0.5", "1×", "30"]
    # All runs cost the same: a gain of 10 points for one multiple.
    assert lines[6].split() == ["gain/cost", "+10.0", "+10.0"]
    assert "gain/cost" not in "".join(shown(results))


def test_published_numbers_need_no_results(tmp_path: Path, results: Path) -> None:
    nowhere = tmp_path / "nowhere"
    lines = shown(nowhere, "--published", "--dataset", "ucf101", "--algo", "cmpl")
    assert lines[0].startswith("No finished runs to show")
    assert "published for ucf101, not measured here" in lines[2]
    assert not nowhere.exists()
    assert call(nowhere).exit_code == 1
    # Neither do they where no run is on that data set; otherwise a wrong name is told.
    assert "published for ucf101" in "".join(shown(results, "--published", "--dataset", "ucf101"))
    with pytest.raises(InputError, match="unknown dataset"):
        raise call(results, "--dataset", "ucf101").exception or AssertionError
    assert "nothing is published here" in " ".join(shown(results, "--published"))


def test_mean_gains(results: Path) -> None:
    """CMPL is 10 points above the baseline in both protocols, FixMatch 5; the CSV has no place for that."""
    lines = shown(results, "--mean-gain")
    assert lines[1].split()[-2:] == ["mean", "gain"]
    assert [line.split()[-2:] for line in lines if line.startswith("  gain")] == [
        ["+10.0", "(2/2)"],
        ["+5.0", "(2/2)"],
    ]
    assert "mean gain" not in "\n".join(shown(results))
    with pytest.raises(InputError, match="use --format json"):
        CliRunner().invoke(
            command, ["--results", str(results), "--mean-gain", "--format", "csv"], catch_exceptions=False
        )


def test_leaderboard_formats(bench: Path, call: Call) -> None:
    for form, word in (("terminal", "leaderboard:"), ("markdown", "|"), ("csv", "fixmatch")):
        done = call("leaderboard", "--format", form, cwd=bench)
        assert done.returncode == 0, done.stderr
        assert word in done.stdout
        assert "fixmatch" in done.stdout
    only = call("leaderboard", "--algo", "fixmatch", "--format", "csv", cwd=bench)
    assert "supervised" in only.stdout  # the baseline stays, or there would be no gain
