"""`ssl-video data cache` as a process: fills ahead, shows, and clears."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.command_line import TINY, Call
from helpers.videos import KINDS, encode

from ssl_video.cli import cli
from ssl_video.data.features.store import FeatureSet, survey


@pytest.fixture
def own(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for one test; `call` uses it."""
    monkeypatch.setitem(environment, "SSL_VIDEO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "frames"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Twelve clips, all different, of 12 frames of 20 x 24 pixels: two classes, train/ and test/."""
    folder = tmp_path_factory.mktemp("data")
    for label, name in enumerate(("dark", "light")):
        for clip in range(6):
            part = "train" if clip < 4 else "test"
            make_video(folder / part / name / f"{clip}.mkv", 12, 20, 24, label=2 * label, clip=clip)
    return folder


ABOUT = {
    **{"network": "timm/lite0", "features": "pooled", "size": 112},
    "view": {"augmentation": "weak", "frames": 4},
}


def clips(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*-*-*/*/*") if path.is_file()]


def test_fill_show_and_clear(data: Path, call: Call, own: Path, tmp_path: Path) -> None:
    done = call("data", "cache", data, "--size", 16, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # 12 clips of 12 frames of 18 x 22 pixels (16 * 8 / 7 = 18), with 56 + 12 * 4 bytes before: 12 * 14360.
    assert f"12 of 12 clips stored: 0.2 MiB, raw, short side 18, in {own}" in done.stdout
    assert "Runs with these flags use them: --size 16 --cache-gib 20 --frame-format raw" in done.stdout
    assert sum(path.stat().st_size for path in clips(own)) == 12 * 14360

    shown = call("data", "cache", "--status", cwd=tmp_path).stdout
    assert re.search(r"raw, 18, ffmpeg\d+ +12 +0\.2 MiB +20\d\d-", shown)
    assert call("data", "cache", data, "--status", cwd=tmp_path).stdout == shown

    features = FeatureSet(own.parent / "features", ABOUT, (1280,), 2**20)
    features.fill([("video", copy) for copy in range(8)], lambda some: (np.zeros(1280) for _ in some))
    del features
    shown = call("data", "cache", "--status", cwd=tmp_path).stdout
    assert re.search(r"timm/lite0 +pooled +weak, 4 x 112 +8 +0\.0 MiB +20\d\d-", shown)
    no = CliRunner().invoke(
        cli, ["data", "cache", "--clear"], input="n\n", env={"SSL_VIDEO_CACHE": str(own.parent)}
    )
    assert (no.exit_code, no.exception) == (0, None)
    assert len(clips(own)) == 12
    asked = call("data", "cache", "--clear", cwd=tmp_path)
    assert asked.returncode == 130
    assert f"remove 12 clips, 0.2 MiB, from {own}, and features of 8 clips, 0.0 MiB?" in asked.stdout
    assert len(clips(own)) == 12
    assert (
        f"removed 12 clips, 0.2 MiB, from {own}, and features of 8 clips, 0.0 MiB"
        in call("data", "cache", "--clear", "--yes", cwd=tmp_path).stdout
    )
    assert not clips(own)
    assert not survey(own.parent / "features")
    assert f"nothing is stored in {own}" in call("data", "cache", "--status", cwd=tmp_path).stdout


def test_long_videos_are_stored_as_they_are_used(data: Path, call: Call, own: Path, tmp_path: Path) -> None:
    """One frame a second: 70 frames are more than a minute, 50 are not."""
    folder = tmp_path / "long"
    shutil.copytree(data, folder)
    kind = KINDS["mjpeg"]._replace(name="a.mkv", stamps=range(0, 70 * 25, 25))
    encode(folder / "train" / "dark" / "long.mkv", kind, 70)
    encode(folder / "train" / "dark" / "short.mkv", kind, 50)
    done = call("data", "cache", folder, "--size", 16, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "13 of 14 clips stored" in done.stdout
    assert "Clips of long videos: 1; their frames are stored when first used." in done.stdout
    assert "no room" not in done.stdout
    assert len(clips(own)) == 13
    run = call("train", "--algo", "supervised", "--data", folder, "--protocol", "all", *TINY, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert [path for path in clips(own) if "-" in path.name], "blocks of the long one"
    assert len(list(own.glob("times/*/*.npz"))) == 1
    assert call("data", "cache", folder, "--clear", "--yes", cwd=tmp_path).returncode == 0
    assert not clips(own)
    call("data", "cache", "--clear", "--yes", cwd=tmp_path)
    call("data", "cache", data, "--size", 16, cwd=tmp_path)
    call("data", "cache", "--clear", "--yes", cwd=tmp_path)
    assert not list(own.glob("times/*/*.npz"))


def test_the_length_of_a_long_video_is_a_setting(data: Path, call: Call, own: Path, tmp_path: Path) -> None:
    done = call("data", "cache", data, "--size", 16, "--long-video", 0.01, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Clips of long videos: 12;" in done.stdout
    for seconds in (0.01, 60):
        call("data", "cache", "--clear", "--yes", cwd=tmp_path)
        run = call("train", "--data", data, "--protocol", "all", "--long-video", seconds, *TINY, cwd=tmp_path)
        assert run.returncode == 0, run.stderr
        shutil.rmtree(tmp_path / "ssl-video-results")
        names = [path.name for path in clips(own)]
        assert names
        assert all(("-" in name) == (seconds < 1) for name in names)


def test_runs_find_what_was_stored_for_them(data: Path, call: Call, own: Path, tmp_path: Path) -> None:
    assert call("data", "cache", data, "--size", 16, cwd=tmp_path).returncode == 0
    before = {path: path.stat().st_ino for path in clips(own)}
    done = call("train", "--data", data, "--protocol", "all", *TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_ino for path in clips(own)} == before
    assert "decoding" not in done.stderr


def test_clear_one_data_set(
    data: Path, call: Call, own: Path, tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    for name in ("dark", "light"):
        make_video(tmp_path / "other" / name / "0.mkv", 10, 18, 18, label=int(name == "light"))
        make_video(tmp_path / "other" / name / "1.mkv", 10, 18, 18, label=int(name == "light"), clip=1)
    for folder in (data, tmp_path / "other"):
        assert call("data", "cache", folder, "--size", 16, cwd=tmp_path).returncode == 0
    assert len(clips(own)) == 16
    assert (
        "removed 4 clips"
        in call("data", "cache", tmp_path / "other", "--clear", "--yes", cwd=tmp_path).stdout
    )
    assert len(clips(own)) == 12


def test_bound_that_is_too_small(data: Path, call: Call, own: Path, tmp_path: Path) -> None:
    # Room for 7 clips of 14360 bytes: 1e-4 GiB are 107374 bytes.
    done = call("data", "cache", data, "--size", 16, "--cache-gib", "0.0001", "--decoders", 1, cwd=tmp_path)
    assert done.returncode == 0
    assert "7 of 12 clips stored: 0.1 MiB" in done.stdout
    assert (
        "There is no room for the others; runs decode them as needed. All clips would take "
        "0.2 MiB." in done.stdout
    )


def test_jpeg_is_smaller(data: Path, call: Call, own: Path, tmp_path: Path) -> None:
    done = call("data", "cache", data, "--size", 16, "--frame-format", "jpeg", cwd=tmp_path)
    assert "12 of 12 clips stored" in done.stdout
    assert 0 < sum(path.stat().st_size for path in clips(own)) < 12 * 14360


def test_broken_videos_are_named(data: Path, call: Call, own: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    (tmp_path / "data" / "train" / "dark" / "0.mkv").write_text("no video")
    done = call("data", "cache", tmp_path / "data", "--size", 16, cwd=tmp_path)
    assert done.returncode == 1
    assert "cannot be decoded: train/dark/0.mkv: invalid data found" in done.stdout
    assert "11 of 12 clips stored" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give a data set (ssl-video data cache DATA), --status or --clear"),
        (["--status", "--clear"], "give either --status or --clear"),
        (["nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_done(call: Call, own: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    done = call("data", "cache", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert not own.exists()
