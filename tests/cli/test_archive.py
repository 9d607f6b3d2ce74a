"""Tables, pages and comparisons of an archive, as those of the folder that it was made from."""

import re
import zipfile
from pathlib import Path

import pytest
from helpers.command_line import Call


@pytest.fixture(scope="module")
def made(bench: Path, call: Call) -> Path:
    """An archive of trained runs, made by the command."""
    done = call("leaderboard", "ssl-video-results", "--archive", "runs.zip", cwd=bench)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^archive: runs.zip \(\d\.\d\d MB, runs: 4\)$", done.stdout, re.MULTILINE)
    return bench / "runs.zip"


@pytest.mark.parametrize(
    "flags", [(), ("--cost", "--predictors"), ("--mean-gain",), ("--where", "options.threshold=0.95")]
)
@pytest.mark.parametrize("form", ["markdown", "latex", "csv", "json"])
def test_tables(flags: tuple[str, ...], form: str, made: Path, call: Call, bench: Path) -> None:
    if (flags, form) == (("--mean-gain",), "csv"):
        return
    folder, archive = (
        call("leaderboard", place, "--format", form, *flags, cwd=bench)
        for place in ("ssl-video-results", made)
    )
    assert folder.returncode == 0, folder.stderr
    assert archive == folder


def test_a_comparison_by_clip(made: Path, call: Call, bench: Path) -> None:
    names = sorted(place.name for place in (bench / "ssl-video-results" / "runs").glob("fixmatch-*"))
    folder, archive = (
        call("analyze", "compare", *(place / name for name in names), cwd=bench)
        for place in (bench / "ssl-video-results" / "runs", made)
    )
    assert folder.returncode == 0, folder.stderr
    assert archive == folder
    wrong = call("analyze", "compare", made / names[0], made / "fixmatch", cwd=bench)
    assert (wrong.returncode, "unknown run of" in wrong.stderr) == (2, True)


def test_the_report(made: Path, call: Call, bench: Path) -> None:
    """It has the parts that need predictions, and names those that are left out."""
    done = call("report", made, "-o", "archived", "--no-gallery", cwd=bench)
    assert done.returncode == 0, done.stderr
    page = (bench / "archived" / "index.html").read_text()
    assert "<h2>Confusions" in page or 'id="confusions"' in page
    assert "as those of an archive" in page
    assert not re.search(r"ssl-video-\w+/runs\.zip", page)  # the temporary folder


def test_the_problems_of_an_archive_are_warnings(made: Path, call: Call, bench: Path) -> None:
    bad = bench / "bad.zip"
    bad.write_bytes(made.read_bytes())
    with zipfile.ZipFile(bad, "a") as file:
        file.writestr("../evil", "mine")
    for command in (("leaderboard", bad), ("report", bad, "--no-gallery", "-o", "archived")):
        done = call(*command, cwd=bench)
        assert done.returncode == 0
        assert "bad.zip: ../evil is left out" in " ".join(done.stderr.split())
    assert not (bench.parent / "evil").exists()
