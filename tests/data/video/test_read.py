"""Frames asked for by index are those that a full decode gives, in every kind of file; and turned upright."""

import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.paths import FIXTURES
from helpers.videos import KINDS, LENGTH, cut, encode

from ssl_video.data.video import decode as module
from ssl_video.data.video.container import DecodeError
from ssl_video.data.video.decode import count, decode, read


def remuxed(whole: Path, suffix: str, skip: int) -> Path:
    """A video's packets in another file, without the first ones."""
    path = whole.with_name(f"remuxed.{suffix}")
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(source.streams.video[0])):
            if packet.size and number >= skip:
                packet.stream = stream
                target.mux(packet)
    return path


@pytest.fixture
def from_the_start(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were decoded from their beginning, as it goes."""
    names: list[str] = []
    passed = module._passed

    def spy(path: str | Path, *rest: object) -> dict[int, np.ndarray]:
        names.append(Path(path).name)
        return passed(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_passed", spy)
    return names


def requests(frames: int) -> list[list[int]]:
    """Single frames at the ends and in the middle, windows that wrap around, and unordered repetitions."""
    generator = np.random.default_rng(1)
    windows = [
        [(start + 4 * k) % frames for k in range(8)] for start in generator.integers(0, frames, 6).tolist()
    ]
    single = [[n] for n in (0, 1, frames // 2, frames - 1)]
    return [*windows, *single, *generator.integers(0, frames, (4, 5)).tolist(), [5, 5, 2, frames - 1, 2]]


@pytest.mark.parametrize("kind", KINDS)
def test_frames_by_index_are_those_of_a_full_decode(
    kind: str, tmp_path: Path, from_the_start: list[str]
) -> None:
    if KINDS[kind].codec not in av.codec.codecs_available:
        pytest.skip(f"FFmpeg without {KINDS[kind].codec}")
    path = encode(tmp_path / KINDS[kind].name, KINDS[kind])
    whole = decode(path)
    # No two frames are alike, or a wrong frame would go unnoticed.
    assert len(np.unique(whole.reshape(len(whole), -1), axis=0)) == len(whole) == count(path) == LENGTH
    for indices in requests(LENGTH):
        assert np.array_equal(read(path, indices), whole[indices]), indices
    from_the_start.clear()
    for indices in requests(LENGTH):
        assert np.array_equal(read(path, indices, frames=LENGTH), whole[indices]), indices
    # Frames near the beginning are never sought.
    early = sum(max(indices) <= 8 for indices in requests(LENGTH))
    assert early < len(requests(LENGTH))
    assert (len(from_the_start) == early) == KINDS[kind].sought


@pytest.mark.skipif(not FIXTURES.exists(), reason="no fixture videos here")
@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.[am][vp][i4]")), ids=lambda path: path.name[:20])
def test_frames_of_real_clips_by_index(path: Path, from_the_start: list[str]) -> None:
    whole = decode(path, 48)
    for indices in requests(len(whole)):
        assert np.array_equal(read(path, indices, 48, frames=len(whole)), whole[indices]), indices
    # DivX packs two frames into one packet, and its time stamps say so.
    assert (len(from_the_start) > 4) == (path.suffix == ".avi" and "Soccer" not in path.name)


@pytest.mark.parametrize("kind", ["h264", "h264, open groups", "mpeg4", "mpeg2", "vp9"])
def test_file_that_starts_inside_a_group(tmp_path: Path, kind: str) -> None:
    path = remuxed(encode(tmp_path / KINDS[kind].name, KINDS[kind]), KINDS[kind].name[2:], skip=5)
    try:
        shown = decode(path)
    except DecodeError:
        return
    assert len(shown) <= LENGTH - 5
    for indices in requests(len(shown)):
        assert np.array_equal(read(path, indices, frames=len(shown)), shown[indices]), indices


def test_a_frame_that_is_not_shown_does_not_shift_those_behind(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.avi", KINDS["mpeg4"])
    content = bytearray(path.read_bytes())
    place = -1
    for _ in range(21):
        place = content.index(b"\0\0\1\xb6", place + 1)
    # A frame's header: 2 bits of type, 01 for P; 0; 1; 5 bits of time at 25 frames a second; 1; whether there
    # are pixels to show.
    assert content[place + 4] >> 4 == 0b0101
    content[place + 5] &= ~0b00100000
    path.write_bytes(content)
    whole = decode(path)
    assert len(whole) == LENGTH - 1
    for indices in requests(len(whole)):
        assert np.array_equal(read(path, indices, frames=len(whole)), whole[indices]), indices


def test_frames_that_are_gone_shift_those_behind(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.avi", KINDS["mpeg4"])
    content = path.read_bytes()
    starts = [n for n in range(content.rindex(b"idx1")) if content[n : n + 4] == b"00dc"]
    # Read from the beginning, the frames that follow get the time stamps of the missing ones; found by the
    # index at the end of the file, they get their own.
    first, last = starts[12], starts[24]
    path.write_bytes(content[:first] + bytes(last - first) + content[last:])
    whole = decode(path)
    assert len(whole) == LENGTH - 12
    for indices in requests(len(whole)):
        assert np.array_equal(read(path, indices, frames=len(whole)), whole[indices]), indices


@pytest.mark.parametrize("known", [0, LENGTH])
def test_frame_behind_the_end(tmp_path: Path, known: int) -> None:
    path = encode(tmp_path / "a.mp4", KINDS["h264"])
    with pytest.raises(DecodeError, match="frame 60 was asked for, but it has 50 frames"):
        read(path, [3, 60], frames=known)


def test_a_wrong_number_of_frames_does_no_harm(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", KINDS["h264"])
    assert np.array_equal(read(path, [40, 30], frames=LENGTH + 1), decode(path)[[40, 30]])


# Upright


def test_rotation_and_mirrors_are_honoured(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    path = encode(tmp_path / "a.mp4", KINDS["h264"], 3)
    stored = decode(path)
    content = path.read_bytes()
    # The matrix a b u, c d v, x y w stands 40 bytes behind the end of the name "tkhd"; 1 is 0x10000 there.
    place = content.index(b"tkhd") + 4 + 40
    turns: dict[tuple[int, int, int, int], np.ndarray] = {
        # What a phone writes when it is held upright: a quarter turn clockwise.
        (0, 1, -1, 0): np.rot90(stored, -1, (1, 2)),
        (0, -1, 1, 0): np.rot90(stored, 1, (1, 2)),
        (-1, 0, 0, -1): np.rot90(stored, 2, (1, 2)),
        (-1, 0, 0, 1): stored[:, :, ::-1],
        (1, 0, 0, -1): stored[:, ::-1],
    }
    for (a, b, c, d), expected in turns.items():
        matrix = struct.pack(
            ">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 64 << 16 if a < 0 else 0, 0, 1 << 30
        )
        path.write_bytes(content[:place] + matrix + content[place + 36 :])
        assert np.array_equal(decode(path), expected), (a, b, c, d)
        assert np.array_equal(read(path, [2, 0]), expected[[2, 0]])
        assert decode(path, 24).shape == (3, *((32, 24) if b else (24, 32)), 3)


def test_pixels_that_are_not_square_are_left_as_stored(tmp_path: Path) -> None:
    kind = KINDS["h264"]._replace(options={"x264-params": "sar=2/1"})
    assert decode(encode(tmp_path / "a.mp4", kind, 3)).shape == (3, 48, 64, 3)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert float(container.streams.video[0].sample_aspect_ratio) == 2


def test_music_with_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        sound, cover = container.add_stream("aac", rate=8000), container.add_stream("mjpeg", rate=1)
        cover.disposition = av.stream.Disposition.attached_pic
        cover.height = cover.width = 32
        cover.pix_fmt = "yuvj420p"
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        tone.rate = 8000
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        for stream, frame in ((sound, tone), (cover, picture)):
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    with pytest.raises(DecodeError, match="no video stream, only sound"):
        decode(path)


def test_frames_of_a_file_cut_without_encoding_again(tmp_path: Path, from_the_start: list[str]) -> None:
    """Cut at frame 30 of key frames 24 and 36: an edit list hides frames 24 to 29, which others depend on."""
    whole = encode(tmp_path / "whole.mp4", KINDS["h264"], 100)
    path = cut(whole, tmp_path / "cut.mp4", 24, 30)
    expected = decode(whole)[30:]
    assert np.array_equal(decode(path), expected)
    for indices in ([9, 3], [5, 6, 7, 40], [69, 12], [10]):
        assert np.array_equal(read(path, indices, frames=70), expected[indices])
    assert not from_the_start
