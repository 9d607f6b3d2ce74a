"""Tables and pages over odd run folders: these are named, and the rest is shown."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from helpers.command_line import Call, Done

# Those that the report and the comparison read; a damaged one of the others changes nothing there.
REPORT = {"result.json", "metrics.jsonl", "predictions.npz", "pseudo-labels.npz"}
COMPARE = {"result.json", "predictions.npz"}
DAMAGED = ("partition.txt", "final.safetensors", *sorted(REPORT | COMPARE))


@pytest.fixture
def results(bench: Path, tmp_path: Path) -> Path:
    """A results folder with two runs of each of two methods."""
    made = Path(shutil.copytree(bench / "ssl-video-results", tmp_path / "results"))
    for place in (made / "runs").iterdir():
        if not place.name.startswith(("fixmatch-", "supervised-")) or not (place / "result.json").exists():
            shutil.rmtree(place)  # of other tests
    assert len(list((made / "runs").iterdir())) == 4
    return made


def told(done: Done) -> str:
    return " ".join(done.stderr.split())


def shown(results: Path) -> int:
    return len(pd.read_csv(results / "leaderboard.csv"))


def test_folders_that_are_none_of_a_run_change_nothing(results: Path, call: Call, tmp_path: Path) -> None:
    before = call("leaderboard", results, "--format", "csv", cwd=tmp_path)
    runs = results / "runs"
    (runs / "empty").mkdir()
    (runs / "foreign").mkdir()
    (runs / "foreign" / "notes.txt").write_text("mine")
    (runs / "foreign" / "metrics.jsonl").write_text("mine")
    (runs / "file").write_text("mine")
    (runs / "begun").mkdir()
    (runs / "begun" / "spec.yaml").write_text("steps: [")
    (runs / "link").symlink_to(runs / "nowhere")
    after = call("leaderboard", results, "--format", "csv", cwd=tmp_path)
    assert (after.returncode, after.stdout, after.stderr) == (0, before.stdout, before.stderr)
    page = call("report", results, "--no-gallery", cwd=tmp_path)
    assert page.returncode == 0, page.stderr
    assert "runs: 4" in page.stdout
    assert "left out" not in told(page)
    for name in ("empty", "foreign", "begun"):
        done = call("analyze", "compare", runs / name, runs / name, cwd=tmp_path)
        assert done.returncode == 2
        assert f"runs/{name}" in told(done)


def test_results_that_are_no_files_are_left_out(results: Path, call: Call, tmp_path: Path) -> None:
    kinds = {"folder": os.mkdir, "pipe": os.mkfifo, "loop": lambda path: path.symlink_to(path)}
    for name, make in kinds.items():
        (results / "runs" / name).mkdir()
        make(results / "runs" / name / "result.json")
    shutil.copytree(next((results / "runs").glob("fixmatch-*")), results / "runs" / "copy")
    for command in (("leaderboard", results), ("report", results, "--no-gallery")):
        done = call(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        for name in ("folder", "pipe", "loop", "copy"):
            assert f"runs/{name}/result.json is left out: " in told(done), (command, name)
    assert shown(results) == 4


def test_a_finished_run_needs_no_specification(results: Path, call: Call, tmp_path: Path) -> None:
    """All that reads finished runs uses the copy in the result, which has a checksum."""
    bad, good = sorted((results / "runs").glob("fixmatch-*"))
    expected = call("analyze", "compare", bad, good, cwd=tmp_path).stdout
    assert "seed" in expected
    for content in ("steps: [", "", "stepz: 3\n"):
        (bad / "spec.yaml").write_text(content)
        for command in (("leaderboard", results), ("report", results, "--no-gallery")):
            done = call(*command, cwd=tmp_path)
            assert (done.returncode, shown(results)) == (0, 4), done.stderr
        pair = call("analyze", "compare", bad, good, cwd=tmp_path)
        assert pair.returncode == 0, pair.stderr
        assert pair.stdout == expected
    (bad / "spec.yaml").unlink()
    assert call("analyze", "compare", bad, good, cwd=tmp_path).stdout == expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cut", "flipped", "empty"])
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_where_it_is_read(
    name: str, kind: str, results: Path, call: Call, tmp_path: Path
) -> None:
    bad, good = sorted((results / "runs").glob("fixmatch-*"))
    whole = (bad / name).read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :]
    (bad / name).write_bytes({"cut": whole[:middle], "flipped": flipped, "empty": b""}[kind])
    place = f"{bad.name}/{name}"
    left_out = name == "result.json"

    table = call("leaderboard", results, cwd=tmp_path)
    assert table.returncode == 0, table.stderr
    assert (place in told(table)) == left_out
    assert shown(results) == 4 - left_out

    page = call("report", results, "--no-gallery", cwd=tmp_path)
    assert page.returncode == 0, page.stderr
    assert f"runs: {4 - left_out}" in page.stdout
    assert (place in told(page)) == (name in REPORT), page.stderr

    pair = call("analyze", "compare", bad, good, cwd=tmp_path)
    assert pair.returncode == (2 if name in COMPARE else 0), pair.stderr
    assert (bad.name in told(pair) and name in told(pair)) == (name in COMPARE), pair.stderr
