"""What the doctor finds in files, what it keeps, and files that make a decoder crash or hang."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pytest
from helpers.command_line import wait_for
from helpers.partitions import make_index
from helpers.videos import KINDS, cut, encode, trim

from ssl_video.data.columns import Category, Strings
from ssl_video.data.frames import video_facts
from ssl_video.data.importers import read
from ssl_video.data.index import Index
from ssl_video.data.paths import cache_dir
from ssl_video.data.video import doctor
from ssl_video.data.video.decode import decode
from ssl_video.data.video.doctor import DoctorReport
from ssl_video.data.video.probe import Facts, probe
from ssl_video.errors import InputError

MakeVideo = Callable[..., Path]
X264 = {"codec": "libx264", "pixels": "yuv420p"}
MPEG4 = {"codec": "mpeg4", "pixels": "yuv420p"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_VIDEO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path, make_video: MakeVideo) -> Path:
    """Two classes of four clips of 12 frames."""
    for label, name in enumerate(("bow", "jump")):
        for clip in range(4):
            make_video(tmp_path / "data" / name / f"{clip}.mkv", label=label, clip=clip)
    return tmp_path / "data"


def reason(path: Path) -> str:
    found = probe(str(path))
    assert found.reason
    return found.reason


# What a file holds


def test_facts_of_a_whole_file(tmp_path: Path, make_video: MakeVideo) -> None:
    found = probe(str(make_video(tmp_path / "a.mp4", 20, 36, 52, fps=10, **X264, options={"bf": "2"})))
    assert found == Facts(
        content=video_facts.digest(str(tmp_path / "a.mp4")), container="mov,mp4,m4a,3gp,3g2,mj2",
        codec="h264", width=52, height=36, frames=20, rate=10.0, seconds=2.0,
    )  # fmt: skip


def test_variable_frame_rate(tmp_path: Path) -> None:
    # Steps of 40 and 80 ms in turn: 15 steps take 8 * 40 + 7 * 80 = 880 ms, 58.7 each.
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        for stamp in np.cumsum([0] + [1, 2] * 7 + [1]).tolist():
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), stamp, np.uint8), format="rgb24")
            frame.pts = stamp
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found = probe(str(tmp_path / "a.mkv"))
    assert (found.variable, found.frames) == (True, 16)
    assert found.rate == pytest.approx(1000 / 58.67, abs=0.01)
    assert found.seconds == pytest.approx(16 * 0.05867, abs=0.01)


def test_rates_that_time_stamps_cannot_hold_are_even(tmp_path: Path, make_video: MakeVideo) -> None:
    # Matroska counts milliseconds: frames at 30 a second stand 33 or 34 apart.
    found = probe(str(make_video(tmp_path / "a.mkv", 20, fps=30)))
    assert (found.variable, found.rate) == (False, 30.0)


def test_rotation_is_clockwise(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.mp4", 3, **X264)
    content = path.read_bytes()
    place = content.index(b"tkhd") + 44
    # (x, y) is shown at (-y, x): what a phone writes that is held upright.
    matrix = [0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30]
    path.write_bytes(content[:place] + np.array(matrix, ">i4").tobytes() + content[place + 36 :])
    assert probe(str(path)).rotation == 90


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty (0 bytes)"),
        (b"<!DOCTYPE HTML><p>404", "no video, but a web page: invalid data"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "no video, but a Git LFS pointer: invalid data"),
        (bytes(9000), "begins with 4096 zero bytes: invalid data"),
        (b"what is this" * 100, "invalid data found"),
    ],
)
def test_files_that_are_no_videos(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    assert reason(tmp_path / "a.mp4").startswith(expected)


def test_missing_file(tmp_path: Path) -> None:
    assert reason(tmp_path / "a.mp4") == "no such file or directory"


def test_a_picture_is_no_video(tmp_path: Path, make_video: MakeVideo) -> None:
    with av.open(str(make_video(tmp_path / "a.avi", 1, codec="mjpeg", pixels="yuvj420p"))) as container:
        picture = next(bytes(packet) for packet in container.demux(video=0))
    (tmp_path / "b.mp4").write_bytes(picture)
    assert reason(tmp_path / "b.mp4") == "no video, but a JPEG picture: only containers of videos are opened"


def test_another_format_than_the_name_says_can_be_used(tmp_path: Path, make_video: MakeVideo) -> None:
    shutil.copy(make_video(tmp_path / "a.avi", 12, **MPEG4), tmp_path / "b.mp4")
    assert not probe(str(tmp_path / "a.avi")).misnamed
    found = probe(str(tmp_path / "b.mp4"))
    assert (found.reason, found.misnamed, found.frames) == ("", True, 12)


@pytest.mark.parametrize("name", ["a.avi", "a.mkv"])
def test_cut_off_files(tmp_path: Path, make_video: MakeVideo, name: str) -> None:
    path = make_video(tmp_path / name, 28, 64, 64, codec="mjpeg", pixels="yuvj420p")
    assert probe(str(path)).reason == ""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    # A run would take the frames before the cut for the whole clip.
    left = len(decode(path))
    assert 5 < left < 24
    assert reason(path) == f"cut off or damaged: {left} of 28 frames can be decoded"


@pytest.mark.parametrize("kind", ["h264", "one group", "hevc, open groups"])
def test_files_that_were_cut_without_encoding_again_are_whole(tmp_path: Path, kind: str) -> None:
    """Their headers count frames that an edit list hides, before and after those that are shown."""
    whole = encode(tmp_path / "whole.mp4", KINDS[kind])
    key = 0 if kind == "one group" else 12
    for path, frames in (
        (cut(whole, tmp_path / "cut.mp4", key, 19), 31),
        (trim(whole, tmp_path / "end.mp4", 0, 15), 15),
        (trim(whole, tmp_path / "middle.mp4", 30, 10), 10),
    ):
        assert len(decode(path)) == frames
        found = probe(str(path))
        assert (found.reason, found.frames, found.rate) == ("", frames, 25.0)


def test_a_file_that_is_trimmed_and_cut_off(tmp_path: Path) -> None:
    """With its header in front, as files on the web: the edit list hides no damage of what is shown."""
    whole = encode(tmp_path / "whole.mp4", KINDS["one group"])
    front = tmp_path / "front.mp4"
    with av.open(str(whole)) as source, av.open(str(front), "w", options={"movflags": "faststart"}) as target:
        copied = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = copied
                target.mux(packet)
    trimmed = trim(front, tmp_path / "trimmed.mp4", 10, 40)
    assert probe(str(trimmed)).reason == ""
    content = trimmed.read_bytes()
    trimmed.write_bytes(content[: len(content) * 2 // 3])
    assert "frames" in reason(trimmed), "it names how many can be decoded"


# The look at a data set


def index_of(folder: Path) -> Index:
    return read(folder, faulty=True)


def test_everything_that_is_wrong_with_a_folder(folder: Path) -> None:
    (folder / "bow" / "empty.mkv").touch()
    (folder / "jump" / "gone.mkv").symlink_to(folder / "nowhere.mkv")
    (folder / "jump" / "noise.mkv").write_bytes(b"noise" * 1000)
    shutil.copy(folder / "bow" / "1.mkv", folder / "jump" / "copy.mkv")
    index = index_of(folder)
    report = doctor.look(folder, index, 2, 30)
    assert report.reasons(index) == {
        "bow/empty.mkv": "empty (0 bytes)",
        "jump/gone.mkv": "no such file or directory",
        "jump/noise.mkv": "invalid data found when processing input",
    }
    assert report.looked == len(index) == 12
    # ids are sorted: bow/0 bow/1 bow/2 bow/3 bow/empty jump/0 jump/1 jump/2 jump/3 jump/copy ...
    assert report.copies(index) == [[1, 9]]
    # The frame store need not count again.
    video = video_facts.find(cache_dir() / "frames", str(folder / "bow" / "1.mkv"))
    assert video == (video_facts.digest(str(folder / "bow" / "1.mkv")), 12, 1.2)


def spying(path: str) -> Facts:
    """A probe that leaves a trace, and fails where a file's name says so."""
    with open(os.environ["TRACE"], "a") as trace:
        trace.write(Path(path).name + "\n")
    if path.endswith("crash.mkv"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if path.endswith("hang.mkv"):
        time.sleep(600)
    if path.endswith("exit.mkv"):
        os._exit(7)
    return probe(path)


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Names of the files looked at since the last call, sorted."""
    path = tmp_path / "trace"
    monkeypatch.setenv("TRACE", str(path))

    def taken() -> list[str]:
        names = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return sorted(names)

    return taken


def test_crash_and_hang_are_reasons_and_the_others_go_on(
    folder: Path, trace: Callable[[], list[str]]
) -> None:
    for name in ("crash", "hang", "exit"):
        shutil.copy(folder / "bow" / "0.mkv", folder / "bow" / f"{name}.mkv")
    index = index_of(folder)
    report = doctor.look(folder, index, 2, 1.5, probe=spying)
    assert report.reasons(index) == {
        "bow/crash.mkv": "the decoder crashed (SIGSEGV)",
        "bow/exit.mkv": "the decoder crashed (exit status 7)",
        "bow/hang.mkv": "not decoded within 1.5 seconds",
    }
    assert sum(facts.frames == 12 for facts in report.facts) == 8
    assert len(trace()) == 11
    # The second look is none, but for what may have been the fault of the machine.
    again = doctor.look(folder, index, 2, 1.5, probe=spying)
    assert (again.facts, trace()) == (report.facts, ["hang.mkv"])


def test_segments_of_a_file_are_one_file(folder: Path) -> None:
    """It is decoded once, its findings hold for all of them, and they are no copies of each other."""
    shutil.copy(folder / "bow" / "1.mkv", folder / "jump" / "3.mkv")
    (folder / "jump" / "2.mkv").write_bytes(b"noise" * 1000)
    whole = index_of(folder)
    names = [f"{name}#t={start}" for name in whole.ids for start in (0, 0.2)]
    twice = {name: Category(np.repeat(getattr(whole, name).codes, 2), getattr(whole, name).names)
             for name in ("label", "splits")}  # fmt: skip
    index = replace(whole, ids=Strings(pa.array(names)), **twice)
    report = doctor.look(folder, index, 2, 30)
    assert report.looked == len(whole) == 8
    assert report.reasons(index).keys() == {"jump/2.mkv#t=0", "jump/2.mkv#t=0.2"}
    assert [[index.ids[row] for row in rows] for rows in report.copies(index)] == [
        ["bow/1.mkv#t=0", "jump/3.mkv#t=0"]
    ]
    assert doctor.look(folder, index, 2, 30).looked == 0


def test_only_what_changed_is_looked_at_again(folder: Path, trace: Callable[[], list[str]]) -> None:
    index = index_of(folder)
    doctor.look(folder, index, 1, 30, probe=spying)
    assert len(trace()) == 8
    (folder / "bow" / "2.mkv").write_bytes(b"noise" * 1000)
    report = doctor.look(folder, index, 1, 30, probe=spying)
    assert (trace(), report.looked) == (["2.mkv"], 1)
    assert list(report.reasons(index)) == ["bow/2.mkv"]
    assert doctor.look(folder, index, 1, 30, again=True, probe=spying).looked == 8
    assert len(trace()) == 8


def test_a_killed_look_goes_on_where_it_was(folder: Path, trace: Callable[[], list[str]]) -> None:
    index = index_of(folder)

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        doctor.look(folder, index, 1, 30, progress=stop, probe=spying)
    assert len(trace()) in (3, 4)  # one was under way
    # As if the line of the last one had been cut off.
    (kept,) = (cache_dir() / "doctor").iterdir()
    kept.write_bytes(kept.read_bytes()[:-20])
    assert doctor.look(folder, index, 1, 30, probe=spying).looked == 6
    assert doctor.look(folder, index, 1, 30, probe=spying).looked == 0


def test_no_process_is_left_when_the_doctor_is_killed(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "bow" / "0.mkv", folder / "bow" / "hang.mkv")
    code = (
        "from pathlib import Path\n"
        "import test_doctor\n"
        "if __name__ == '__main__':\n"
        f"    folder = Path({str(folder)!r})\n"
        "    test_doctor.doctor.look(folder, test_doctor.read(folder), 1, 2.0, probe=test_doctor.spying)\n"
    )
    (tmp_path / "main.py").write_text(code)
    tests = Path(__file__).parent
    environment = os.environ | {
        "TRACE": str(tmp_path / "trace"),
        "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parents[1])]),
    }
    running = subprocess.Popen([sys.executable, str(tmp_path / "main.py")], env=environment)
    wait_for(lambda: (tmp_path / "trace").exists() and "hang" in (tmp_path / "trace").read_text())
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.kill()
    running.wait()
    wait_for(lambda: not any(alive(int(child)) for child in children))


def alive(number: int) -> bool:
    """Whether a process runs; one that only waits to be asked for its status does not."""
    try:
        return ") Z" not in Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False


def test_report(tmp_path: Path) -> None:
    index = make_index(["bow/a.mkv", "bow/b.mkv"], ["train", "test"])
    report = DoctorReport([Facts(frames=3, rate=12.5), Facts("broken, alas")], 2)
    doctor.write_report(tmp_path / "a.csv", index, report)
    head, first, second = (tmp_path / "a.csv").read_text().splitlines()
    assert head.startswith("path,label,split,reason,content,container,codec,width,height,frames,rate,")
    assert first.startswith("bow/a.mkv,bow,train,,,,,0,0,3,12.5,")
    assert second.startswith('bow/b.mkv,bow,test,"broken, alas",')
    doctor.write_report(tmp_path / "a.json", index, report)
    assert [row["frames"] for row in json.loads((tmp_path / "a.json").read_text())] == [3, 0]
    with pytest.raises(InputError, match="cannot write the report"):
        doctor.write_report(tmp_path / "none" / "a.csv", index, report)
