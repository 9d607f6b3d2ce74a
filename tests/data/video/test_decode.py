"""Real files, well-formed and damaged: which frames come back, and why none do."""

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.paths import FIXTURES

from ssl_video.data.video.container import DecodeError
from ssl_video.data.video.decode import count, decode, read, scaled

GOOD = {"qmin": "1", "qmax": "2"}  # fine enough for frames' colours to be told apart

MakeVideo = Callable[..., Path]
Numbers = Callable[[np.ndarray], list[int]]


def reason(path: str | Path) -> str:
    with pytest.raises(DecodeError) as caught:
        decode(path)
    message = str(caught.value)
    # The name and the number belong to whoever shows the message.
    assert Path(path).name not in message
    assert "Errno" not in message
    assert not any(part.lstrip("-").isdigit() and len(part) > 4 for part in message.split())
    return message


# Well-formed files


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "options"),
    [
        ("a.mkv", "ffv1", "bgr0", {}),
        ("a.avi", "ffv1", "bgr0", {}),
        ("a.mp4", "libx264", "yuv420p", {"bf": "3"}),
        ("odd.mp4", "libx264", "yuv444p", {"bf": "2"}),
        ("a.avi", "mpeg4", "yuv420p", GOOD),
        ("odd.avi", "mpeg4", "yuv420p", GOOD),
        ("b-frames.avi", "mpeg4", "yuv420p", GOOD | {"bf": "2"}),
        ("a.avi", "mjpeg", "yuvj420p", GOOD),
        ("a.mpg", "mpeg2video", "yuv420p", GOOD | {"bf": "2"}),
        ("a.webm", "libvpx-vp9", "yuv420p", {"cpu-used": "8"}),
        ("a.mp4", "libx265", "yuv420p", {"x265-params": "log-level=none"}),
    ],
)
def test_all_frames_come_in_the_order_shown(
    tmp_path: Path,
    make_video: MakeVideo,
    frame_numbers: Numbers,
    name: str,
    codec: str,
    pixels: str,
    options: dict[str, str],
) -> None:
    if codec not in av.codec.codecs_available:
        pytest.skip(f"FFmpeg without {codec}")
    height, width = (37, 53) if name.startswith("odd") else (48, 64)
    try:
        path = make_video(tmp_path / name, 20, height, width, codec=codec, pixels=pixels, options=options)
    except av.FFmpegError as error:
        pytest.skip(f"{codec} does not encode: {error}")
    frames = decode(path)
    assert frames.shape == (20, height, width, 3)
    assert frames.dtype == np.uint8
    assert frame_numbers(frames) == list(range(20))


def test_channels_are_red_green_blue(tmp_path: Path, make_video: MakeVideo) -> None:
    # `colour` says 20 + 8 * 3, 40 + 60 * 2 and 30 + 30 * 1.
    path = make_video(tmp_path / "a.mkv", 4, label=2, clip=1)
    assert decode(path)[3, 5, 7].tolist() == [44, 160, 60]


def test_one_frame(tmp_path: Path, make_video: MakeVideo) -> None:
    assert decode(make_video(tmp_path / "a.mp4", 1, codec="libx264", pixels="yuv420p")).shape[0] == 1


def test_title_in_another_character_set(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.avi", 3, metadata={"title": "QQQQ"})
    path.write_bytes(path.read_bytes().replace(b"QQQQ", b"caf\xe9"))
    assert len(decode(path)) == 3


def test_relative_name_with_a_colon_is_a_file(
    tmp_path: Path, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video(tmp_path / "http:a.mkv", 3)
    monkeypatch.chdir(tmp_path)
    assert len(decode("http:a.mkv")) == 3


# Scaling


def test_shorter_side_is_scaled_down_only() -> None:
    assert scaled(240, 320, 120) == (120, 160)
    assert scaled(320, 240, 120) == (160, 120)
    # 100 * 32 / 75 = 42.67.
    assert scaled(75, 100, 32) == (32, 43)
    assert scaled(75, 100, 75) == scaled(75, 100, 200) == scaled(75, 100, None) == (75, 100)


@pytest.mark.parametrize(("height", "width"), [(48, 70), (70, 48), (48, 48)])
@pytest.mark.parametrize("short_side", [20, 48, 60, None])
def test_frames_have_the_scaled_size(
    tmp_path: Path,
    make_video: MakeVideo,
    frame_numbers: Numbers,
    height: int,
    width: int,
    short_side: int | None,
) -> None:
    frames = decode(make_video(tmp_path / "a.mkv", 5, height, width), short_side)
    assert frames.shape == (5, *scaled(height, width, short_side), 3)
    assert frame_numbers(frames) == list(range(5))


def test_scaling_down_averages_what_it_leaves_out(tmp_path: Path) -> None:
    # Columns black, white, black, white ...: one column in four would be all black.
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "bgr0"
        image = np.zeros((64, 64, 3), np.uint8)
        image[:, 1::2] = 255
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    inner = decode(tmp_path / "a.mkv", 16)[0, 2:-2, 2:-2].astype(float)
    assert np.abs(inner - 127.5).max() < 30


# Files that are none


def test_missing_file(tmp_path: Path) -> None:
    assert reason(tmp_path / "a.mp4") == "no such file or directory"


@pytest.mark.parametrize(
    "content", [b"", b"hello world\n" * 100, bytes(5000)], ids=["empty", "text", "zeros"]
)
@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.webm"])
def test_file_that_is_no_video(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert reason(tmp_path / name) == "invalid data found when processing input"


def test_sound_without_pictures(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert reason(tmp_path / "a.mp4") == "no video stream, only sound"


def test_codec_that_ffmpeg_does_not_know(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.avi", 3, codec="mpeg4", pixels="yuv420p")
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"ZZZZ"))
    assert "no decoder" in reason(path)


def test_header_without_frames(tmp_path: Path, make_video: MakeVideo) -> None:
    # An AVI file's frames follow the mark "movi".
    path = make_video(tmp_path / "a.avi", 20, codec="mpeg4", pixels="yuv420p")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"movi") + 4])
    assert reason(path) in ("no frame can be decoded", "invalid data found when processing input")


# Files whose frame size changes


def joined(path: Path, sizes: list[tuple[int, int]], frames: int = 15) -> Path:
    """Join recordings of several sizes (H, W): the frames of each become brighter."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = sizes[0]
        encoders = [av.CodecContext.create("libx264", "w") for _ in sizes]
        for part, (encoder, (height, width)) in enumerate(zip(encoders, sizes, strict=True)):
            encoder.height, encoder.width, encoder.pix_fmt = height, width, "yuv420p"
            encoder.time_base = Fraction(1, 25)
            encoder.options = {"bf": "0", "g": "5"}
            images = [np.full((height, width, 3), 30 + 10 * number, np.uint8) for number in range(frames)]
            made = [av.VideoFrame.from_ndarray(image, format="rgb24") for image in images]
            for number, frame in enumerate(made):
                frame.pts, frame.time_base = part * frames + number, Fraction(1, 25)
            for packet in [packet for frame in (*made, None) for packet in encoder.encode(frame)]:
                packet.stream, packet.time_base = stream, Fraction(1, 25)
                container.mux(packet)
    return path


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
@pytest.mark.parametrize("short_side", [None, 24])
def test_frames_of_one_size(tmp_path: Path, suffix: str, short_side: int | None) -> None:
    path = joined(tmp_path / f"a.{suffix}", [(48, 64), (32, 96), (64, 48)])
    expected = decode(path, short_side)
    assert expected.shape == ((45, 48, 64, 3) if short_side is None else (45, 24, 32, 3))
    # Whole frames, not parts of them.
    assert np.abs(expected - expected[:, :1, :1].astype(int)).max() <= 4
    assert np.abs(expected[15:30, 0, 0].astype(int) - expected[:15, 0, 0]).max() <= 4
    assert count(path) == 45
    for indices in ([40, 12], [20, 21, 22], [44], [31, 2]):
        assert np.array_equal(read(path, indices, short_side, frames=45), expected[indices])


# Files that are damaged


def test_mp4_without_its_index(tmp_path: Path, make_video: MakeVideo) -> None:
    # The index ("moov") stands at the end, so a download that broke off lacks it.
    path = make_video(tmp_path / "a.mp4", 20, codec="libx264", pixels="yuv420p")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov")])
    assert reason(path) == "invalid data found when processing input"


def test_damage_between_frames(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.mp4", 20, codec="libx264", pixels="yuv420p", options={"bf": "0"})
    content = path.read_bytes()
    # Just before the index stand the last frames.
    end = content.index(b"moov") - 8
    path.write_bytes(content[: end - 100] + bytes(100) + content[end:])
    assert re.fullmatch(r"invalid data found when processing input, after 1\d frames", reason(path))


def test_file_that_ends_early_has_the_frames_before(
    tmp_path: Path, make_video: MakeVideo, frame_numbers: Numbers
) -> None:
    path = make_video(tmp_path / "a.mkv", 20)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    found = frame_numbers(decode(path))
    assert 5 < len(found) < 20
    assert found == list(range(len(found)))


# Clips of the data sets that the project is for


# Frames as the containers count them; Xvid and DivX files may hold one frame that shows nothing.
@pytest.mark.skipif(not FIXTURES.exists(), reason="no fixture videos here")
@pytest.mark.parametrize(
    ("name", "frames", "size"),
    [
        ("R6llTwEh07w.mp4", 303, (256, 340)),
        ("SOX5yA1l24A.mp4", 332, (256, 340)),
        ("WUzgd7C1pWA.mp4", 327, (256, 340)),
        ("RATRACE_wave_f_nm_np1_fr_goo_37.avi", 72, (240, 560)),
        ("SchoolRulesHowTheyHelpUs_wave_f_nm_np1_ba_med_0.avi", 74, (240, 320)),
        ("TrumanShow_wave_f_nm_np1_fr_med_26.avi", 48, (240, 432)),
        ("hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi", 83, (240, 320)),
        ("v_SoccerJuggling_g23_c01.avi", 240, (240, 320)),
        ("v_SoccerJuggling_g24_c01.avi", 251, (240, 320)),
    ],
)
def test_clips_of_real_data_sets(name: str, frames: int, size: tuple[int, int]) -> None:
    decoded = decode(FIXTURES / name, 64)
    assert decoded.shape == (frames, *scaled(*size, 64), 3)
    # Frames are like their neighbours, far more than like frames in another order.
    steps = np.abs(np.diff(decoded.astype(np.int16), axis=0)).mean((1, 2, 3))
    shuffled = decoded[np.random.default_rng(0).permutation(frames)].astype(np.int16)
    assert np.median(steps) < 0.7 * np.median(np.abs(np.diff(shuffled, axis=0)).mean((1, 2, 3)))


@pytest.mark.skipif(not FIXTURES.exists(), reason="no fixture videos here")
def test_damage_inside_a_real_clip_is_found(tmp_path: Path) -> None:
    content = bytearray((FIXTURES / "R6llTwEh07w.mp4").read_bytes())
    half = len(content) // 2
    content[half : half + 3000] = bytes(3000)
    (tmp_path / "a.mp4").write_bytes(content)
    assert reason(tmp_path / "a.mp4").startswith("invalid data found when processing input, after ")


@pytest.mark.skipif(not FIXTURES.exists(), reason="no fixture videos here")
def test_first_half_of_a_real_clip_is_a_shorter_clip(tmp_path: Path) -> None:
    whole = FIXTURES / "v_SoccerJuggling_g23_c01.avi"
    content = whole.read_bytes()
    (tmp_path / "a.avi").write_bytes(content[: len(content) // 2])
    half = decode(tmp_path / "a.avi", 64)
    assert 100 < len(half) < 140
    # The last frame may be torn; FFmpeg conceals that.
    assert np.array_equal(half[:-1], decode(whole, 64)[: len(half) - 1])
