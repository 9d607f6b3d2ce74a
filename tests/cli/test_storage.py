"""`ssl-video doctor`."""

import shutil
from pathlib import Path

from helpers.command_line import Call


def test_the_doctor_names_damaged_files_of_runs_and_caches(bench: Path, call: Call, tmp_path: Path) -> None:
    results = Path(shutil.copytree(bench / "ssl-video-results", tmp_path / "results"))
    runs = len(list((results / "runs").iterdir()))
    fine = call("doctor", "results", "--cache", tmp_path, cwd=tmp_path)
    assert fine.stdout == f"run folders: {runs}, files of the caches: 0; all are whole\n"
    assert fine.returncode == 0
    first, second = sorted((results / "runs").iterdir())[:2]
    (first / "metrics.jsonl").unlink()
    (second / "result.json").write_text("{")
    clip = tmp_path / "frames" / "raw-16-ffmpeg62" / "ab" / ("ab" + "0" * 30)
    clip.parent.mkdir(parents=True)
    clip.write_bytes(b"damaged")
    found = call("doctor", "--results", "results", "--cache", tmp_path, cwd=tmp_path)
    assert found.returncode == 1
    removed, result, stored, last = found.stdout.splitlines()
    assert removed.startswith(f"results/runs/{first.name}/metrics.jsonl: ")
    assert "metrics.jsonl was removed: result.json lists it" in removed
    assert result.startswith(f"results/runs/{second.name}/result.json: not valid JSON")
    assert "its command trains it again" in result
    assert stored == f"{clip}: no header; it is removed and its video decoded again when it is next read"
    assert last == f"run folders: {runs}, files of the caches: 1; 3 damaged"


def test_what_is_no_results_folder(call: Call, tmp_path: Path) -> None:
    """As the folder of a data set, which another doctor looks at."""
    done = call("doctor", tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert "`ssl-video data doctor` checks the files of a data set" in " ".join(done.stderr.split())
