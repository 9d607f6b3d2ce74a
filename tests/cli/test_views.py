"""`ssl-video data views` and `ssl-video analyze speed data`, mostly in this process."""

import json
from pathlib import Path

import pytest
from helpers.command_line import Call
from PIL import Image

from ssl_video.cli import cli
from ssl_video.errors import InputError


def run(*arguments: object) -> None:
    cli.main([str(argument) for argument in arguments], standalone_mode=False)


def test_views_writes_a_picture(dataset: Path, call: Call, tmp_path: Path) -> None:
    video = dataset / "train" / "light" / "0.mp4"
    small = ("--size", 16, "--frames", 4, "--stride", 2)
    flags = ("--algo", "cmpl", *small, "--variants", 2, "-o", "drawn.png")
    done = call("data", "views", video, *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    picture = Image.open(tmp_path / "drawn.png")
    picture.load()
    assert done.stdout == f"drawn.png: 6 x 2 clips, {picture.width} x {picture.height} pixels\n"


def test_views_takes_the_size_of_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ssl_video.data import demo

    monkeypatch.setattr(demo, "CLIPS", 4)
    monkeypatch.setattr(demo, "TRAIN_CLIPS", 2)
    monkeypatch.setenv("SSL_VIDEO_CACHE", str(tmp_path / "cache"))
    run("data", "views", "demo", "--variants", 1, "--output", tmp_path / "demo.png")
    assert "demo.png: 3 x 1 clips, " in capsys.readouterr().out
    # Frames of 32 pixels, shown at 4 times that, 8 of them; and the text.
    assert 8 * 132 < Image.open(tmp_path / "demo.png").width < 8 * 132 + 250


def test_views_says_what_is_wrong(dataset: Path, tmp_path: Path) -> None:
    video = dataset / "train" / "light" / "0.mp4"
    for arguments, message in (
        (("nothing.mp4",), "there is no file nothing.mp4: give a video file, or `demo`"),
        ((video, "--algo", "fixmach"), "unknown algorithm 'fixmach'; did you mean fixmatch"),
        ((video, "--output", tmp_path / "no" / "such.png"), "such.png: No such file"),
    ):
        with pytest.raises(InputError) as caught:
            run("data", "views", *arguments)
        assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_speed_data_prints_a_table_or_numbers(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ("--sample", 2, "--rounds", 2, "--frames", 4, "--stride", 1, "--size", 16)
    run("analyze", "speed", "data", dataset, *small)
    out = capsys.readouterr().out
    for word in ("raw cache", "jpeg cache", "decoding", "torchvision v2", "MiB per video", "2 videos of"):
        assert word in out
    run("analyze", "speed", "data", dataset, *small, "--json")
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["clip"] == {"frames": 4, "stride": 1, "size": 16}
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in numbers["seconds"].values())
    assert numbers["stored"].keys() < numbers["seconds"].keys()
