"""`ssl-video data doctor` as a user calls it, and what runs do with its list."""

import csv
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command_line import TINY, Call, call_here, start, wait_for

from ssl_video.data.video import quarantine


@pytest.fixture
def videos(dataset: Path, tmp_path: Path) -> Path:
    """The data set with a clip that is none, one that is empty, and one that is in both parts."""
    folder = tmp_path / "videos"
    shutil.copytree(dataset, folder)
    for name in [f"{label}/{clip}.mp4" for label in ("dark", "light") for clip in range(4)]:
        # The same bytes, not only the same pixels: an encoder with threads need not repeat itself.
        shutil.copy(folder / "train" / name, folder / "test" / name)
    (folder / "train" / "dark" / "noise.mp4").write_bytes(b"this is no video" * 100)
    (folder / "test" / "light" / "empty.mp4").touch()
    shutil.copy(folder / "train" / "dark" / "0.mp4", folder / "test" / "dark" / "again.mp4")
    return folder


def test_what_the_doctor_says(videos: Path, call: Call, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    done = call("data", "doctor", videos, "--decoders", "2", "--report", report, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    # 2 classes of 8 + 4 clips, and three more.
    assert lines[0].startswith("videos: 27 of 27 files decoded in ")
    assert "h264 in mov (25)" in done.stdout
    # Clips 0 to 3 are the same in train and in test, and so is the copy.
    assert "in train and in test, which makes test results too good: 8 (test/dark/0.mp4 = " in done.stdout, (
        done.stdout
    )
    # Of 13 clips of light and 14 of dark, one each: light has lost more.
    (place,) = [number for number, line in enumerate(lines) if line.startswith("class")]
    assert [line.split() for line in lines[place + 1 : place + 3]] == [
        ["light", "13", "1", "7.7"],
        ["dark", "14", "1", "7.1"],
    ]
    listed = {
        "test/light/empty.mp4": "empty (0 bytes)",
        "train/dark/noise.mp4": "invalid data found when processing input",
    }
    assert quarantine.read(videos) == listed
    told = "quarantined: 2 of 27 clips, which all runs leave out; the list: "
    assert lines[-1] == f"{told}{videos}.quarantine.csv"
    with report.open() as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert len(rows) == 27
    assert (rows["train/dark/0.mp4"]["frames"], rows["train/dark/0.mp4"]["reason"]) == ("12", "")
    again = call("data", "doctor", videos, cwd=tmp_path)
    assert (again.returncode, again.stdout.splitlines()[-1]) == (1, lines[-1])
    assert "0 of 27 files decoded in " in again.stdout
    # Mended, the list goes.
    (videos / "train" / "dark" / "noise.mp4").unlink()
    shutil.copy(videos / "train" / "light" / "0.mp4", videos / "test" / "light" / "empty.mp4")
    mended = call("data", "doctor", videos, cwd=tmp_path)
    assert (mended.returncode, mended.stdout.splitlines()[-1]) == (0, "all files are usable")
    assert "1 of 26 files decoded in " in mended.stdout
    assert quarantine.read(videos) == {}


def test_a_manifest_whose_files_are_missing(videos: Path, call: Call, tmp_path: Path) -> None:
    manifest = tmp_path / "list.csv"
    ids = sorted(str(path.relative_to(tmp_path)) for path in videos.rglob("[0-9].mp4"))
    rows = [
        f"{name},{name.split('/')[2]},{name.split('/')[1]}" for name in [*ids, "videos/train/dark/gone.mp4"]
    ]
    manifest.write_text("\n".join(["path,label,split", *rows]))
    done = call("data", "doctor", manifest, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert quarantine.read(manifest) == {"videos/train/dark/gone.mp4": "no such file or directory"}
    assert quarantine.place(manifest) == tmp_path / "list.csv.quarantine.csv"


@pytest.mark.parametrize("arguments", [["nowhere"], ["."], [".", "--decoders", "0"], [".", "--timeout", "x"]])
def test_mistakes(arguments: list[str], call: Call, tmp_path: Path) -> None:
    done = call("data", "doctor", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_stopped_by_the_user(
    tmp_path: Path, environment: dict[str, str], make_video: Callable[..., Path]
) -> None:
    for name in ("dark", "light"):
        first = make_video(tmp_path / "many" / name / "0.mkv", 28, 200, 200)
        for clip in range(1, 60):
            shutil.copy(first, first.with_name(f"{clip}.mkv"))
    command = ("data", "doctor", tmp_path / "many", "--decoders", 1)
    own = environment | {"SSL_VIDEO_CACHE": str(tmp_path / "cache")}
    running = start(own, *command, cwd=tmp_path)
    kept = tmp_path / "cache" / "doctor"
    wait_for(lambda: any(path.stat().st_size for path in kept.glob("*.jsonl")), running)
    # Ctrl-C reaches every process of the terminal.
    os.killpg(running.pid, signal.SIGINT)
    stdout, stderr = running.communicate()
    assert (running.returncode, stdout) == (130, "")
    assert "the same command resumes" in stderr
    assert "Traceback" not in stderr
    again = call_here(own, *command, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    first, *_ = again.stdout.splitlines()
    assert re.match(r"many: \d+ of 120 files decoded in ", first)
    assert not first.startswith("many: 120 ")


def test_frame_rates_that_differ(make_video: Callable[..., Path], call: Call, tmp_path: Path) -> None:
    """The doctor names the clips, and a run counts them before it begins."""
    for name in ("bow", "wave"):
        for clip in range(4):
            rate = 60 if (name, clip) == ("wave", 3) else 15
            make_video(tmp_path / "gym" / name / f"{clip}.mkv", 12, 20, 24, fps=rate, clip=clip)
    done = call("data", "doctor", "gym", cwd=tmp_path)
    assert "differs by half or more from the usual 15 per second" in done.stdout
    assert "--fps samples by time: 1 (wave/3.mkv)" in " ".join(done.stdout.split())
    for more, expected in (((), True), (("--sampling", "segments"), False), (("--fps", 5), False)):
        done = call("train", "--data", "gym", "--protocol", "per-class:1", *more, *TINY, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        warned = "warning: gym: the frame rate of 1 video of 8 differs" in done.stderr
        assert warned == expected, done.stderr
