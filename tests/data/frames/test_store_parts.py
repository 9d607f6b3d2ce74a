"""Long videos are read in blocks; clips may be parts of files, or folders of pictures."""

from pathlib import Path

import av
import numpy as np
import pytest
from helpers.frame_store import Spy, stored
from helpers.videos import KINDS, encode
from PIL import Image

from ssl_video.data.frames.formats import FORMATS
from ssl_video.data.frames.store import GIB, FrameStore
from ssl_video.data.frames.timeline import duration
from ssl_video.data.segments import Segment, file_of, parse
from ssl_video.data.video.container import DecodeError, stated_seconds
from ssl_video.data.video.decode import decode
from ssl_video.data.video.packets import scan

LONG = 1.0  # second
FRAMES = 200  # 8 seconds: blocks 0-63, 64-127, 128-191, 192-199


@pytest.fixture(params=["h264", "h264, open groups", "h264, uneven rate", "mpeg4", "h264, no time stamps"])
def video(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    kind = KINDS[request.param]
    if kind.codec not in av.codec.codecs_available:
        pytest.skip(f"FFmpeg without {kind.codec}")
    if kind.stamps:
        kind = kind._replace(stamps=np.cumsum(np.arange(FRAMES) % 7 + 1).tolist())
    return encode(tmp_path / kind.name, kind, FRAMES)


@pytest.mark.parametrize("limit", [0, GIB])
def test_frames_of_a_long_video_are_those_of_the_whole(video: Path, tmp_path: Path, limit: int) -> None:
    frame_format = "jpeg" if video.suffix == ".avi" else "raw"
    whole = FORMATS[frame_format].settle(decode(video, 40))
    store = FrameStore([str(video)], 40, limit, tmp_path / "cache", frame_format, LONG)
    assert store.prepare([0]) == {}
    assert store.count(0) == FRAMES
    for indices in ([0], [199, 0, 64, 63, 64], list(range(60, 140, 9)), [150]):
        for _ in range(2):
            assert np.array_equal(store.read(0, np.array(indices)), whole[indices])


def test_only_the_blocks_that_are_used_are_decoded_and_stored(tmp_path: Path, spy: Spy) -> None:
    video = encode(tmp_path / "a.mkv", KINDS["mjpeg"]._replace(name="a.mkv"), FRAMES)
    store = FrameStore([str(video)], 40, GIB, tmp_path / "cache", long=LONG)
    assert store.prepare([0]) == {}
    assert (spy.seen(), stored(store.folder)) == ({}, [])
    store.read(0, np.array([130, 3, 131]))
    assert spy.seen() == {"read": "aa"}
    assert [path.name.partition("-")[2] for path in stored(store.folder)] == ["0", "2"]
    store.read(0, np.array([190, 63]))
    assert (spy.seen(), store.statistics()[:2]) == ({}, (2, 2))
    assert store.stored(0), "it is not stored as a whole"


def test_a_long_video_that_cannot_be_decoded(tmp_path: Path) -> None:
    video = encode(tmp_path / "a.mp4", KINDS["h264"], FRAMES)
    content = bytearray(video.read_bytes())
    start = content.index(b"mdat") + 4
    content[start : start + 4000] = bytes(4000)
    video.write_bytes(content)
    assert FrameStore([str(video)], 40, 0, tmp_path, long=LONG).prepare([0]).keys() == {0}


def test_a_part_of_a_file(tmp_path: Path) -> None:
    """25 frames a second: second 2 to 4 is frame 50 to 99."""
    video = str(encode(tmp_path / "a.mp4", KINDS["h264"], FRAMES))
    whole = decode(video, 40)
    names = ["#t=2,4", "#t=6", "#t=,0.2", "#f=7,9", "#t=7.5,99", ""]
    wanted = [range(50, 100), range(150, 200), range(5), range(7, 9), range(188, 200), range(200)]
    for long in (60, LONG):
        store = FrameStore([video + name for name in names], 40, GIB, tmp_path / f"{long}", long=long)
        assert store.prepare(range(6)) == {}
        assert [store.count(row) for row in range(6)] == [len(rows) for rows in wanted]
        for row, frames in enumerate(wanted):
            assert np.array_equal(store.read(row, np.arange(len(frames))), whole[list(frames)])
    late = FrameStore([video, video + "#t=8.5,9", video + "#f=200"], 40, 0, tmp_path)
    assert {row: reason[:27] for row, reason in late.prepare(range(3)).items()} == {
        1: "the clip begins at 8.5 s an", 2: "the clip begins at frame 20",
    }  # fmt: skip
    gone = FrameStore([f"{tmp_path}/gone.mp4#t={n}" for n in range(3)], 40, 0, tmp_path)
    assert set(gone.prepare(range(3)).values()) == {"no such file or directory"}
    assert len(gone.prepare(range(3))) == 3


def test_the_notation_of_parts() -> None:
    assert parse("a/b.mp4") == ("a/b.mp4", None)
    assert parse("a#1.mp4#t=2,4.5") == ("a#1.mp4", Segment(2, 4.5, False))
    assert parse("b.mp4#f=,9") == ("b.mp4", Segment(0, 9, True))
    assert file_of("b.mp4#t=12") == "b.mp4"
    assert parse("b#t=x.mp4") == ("b#t=x.mp4", None)
    assert parse("b.mp4#f=7,9")[1] == Segment(7, 9, True)


def test_a_folder_of_pictures_is_a_clip(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (12, 24, 30, 3), np.uint8)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"img_{number}.png")  # 10 comes after 9
        Image.fromarray(image[..., 0]).save(folder / f"flow_x_{number}.png")
    for long in (60, 0.1):
        # At 25 pictures a second, 0.08 to 0.2 s are pictures 2 to 4.
        store = FrameStore([str(folder), f"{folder}#t=0.08,0.2"], 24, GIB, tmp_path / "cache", long=long)
        assert store.prepare(range(2)) == {}
        assert np.array_equal(store.read(0, np.arange(store.count(0))), images)
        assert np.array_equal(store.read(1, np.arange(store.count(1))), images[2:5])
    Image.fromarray(images[0]).save(folder / "other_1.png")
    Image.fromarray(images[0]).save(folder / "other_2.png")
    with pytest.raises(DecodeError, match=r"several sequences"):
        FrameStore([str(folder)], 24, 0, tmp_path).count(0)
    for path in folder.iterdir():
        path.unlink()
    Image.fromarray(images[0]).save(folder / "a1.jpg")
    Image.fromarray(images[0, :20]).save(folder / "a2.jpg")
    with pytest.raises(DecodeError, match=r"several sizes: 30 x 20, 30 x 24"):
        FrameStore([str(folder)], 64, GIB, tmp_path / "other").count(0)


def test_packets_are_scanned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = str(encode(tmp_path / "a.mp4", KINDS["h264"], FRAMES))
    FrameStore([video], 40, GIB, tmp_path / "cache", long=LONG).prepare([0])
    expected = scan(video)

    def forbidden(path: str) -> None:
        raise AssertionError(path)

    monkeypatch.setattr("ssl_video.data.frames.timeline.scan", forbidden)
    again = FrameStore([video], 40, GIB, tmp_path / "cache", long=LONG)
    assert again.prepare([0]) == {}
    packets = again._timelines.packets(video, again._video(video))
    for name in ("stamps", "positions", "keys", "lead", "unit"):
        assert np.array_equal(getattr(packets, name), getattr(expected, name))


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.99])
def test_damaged_packets_are_scanned_again(tmp_path: Path, place: float) -> None:
    video = str(encode(tmp_path / "a.mp4", KINDS["h264"], FRAMES))
    FrameStore([video], 40, 0, tmp_path / "cache", long=LONG).prepare([0])
    (stored_packets,) = (tmp_path / "cache" / "times").rglob("*.npz")
    content = bytearray(stored_packets.read_bytes())
    first = int(place * len(content))
    content[first : first + 40] = b"damage!!" * 5
    stored_packets.write_bytes(content)
    store = FrameStore([video], 40, 0, tmp_path / "cache", long=LONG)
    assert np.array_equal(store.read(0, np.array([150])), decode(video, 40)[[150]])


@pytest.mark.parametrize("skip", [5, 12, 13, 14, 20])
@pytest.mark.parametrize("kind", ["h264, open groups", "mpeg4, B-frames"])
def test_a_long_video_whose_first_frames_cannot_be_decoded(tmp_path: Path, kind: str, skip: int) -> None:
    """Cut at a packet that is not a key frame: frames are counted as a full decode gives them."""
    whole = encode(tmp_path / KINDS[kind].name, KINDS[kind], FRAMES)
    path = tmp_path / f"cut{whole.suffix}"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(source.streams.video[0])):
            if packet.size and number >= skip:
                packet.stream = stream
                target.mux(packet)
    expected = decode(path, 40)
    store = FrameStore([str(path)], 40, 0, tmp_path / "cache", long=LONG)
    assert (store.prepare([0]), store.count(0)) == ({}, len(expected))
    some = np.array([0, 1, 9, 40, 100, len(expected) - 1])
    assert np.array_equal(store.read(0, some), expected[some])


class Pipe:
    """A file that cannot be sought, so that a writer cannot add the duration at the end."""

    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, more: bytes) -> int:
        self.content += more
        return len(more)


def test_a_video_without_a_stated_duration(tmp_path: Path) -> None:
    """As browsers record it: its length is that of its packets, and it is not decoded as a whole."""
    whole = encode(tmp_path / "a.mkv", KINDS["mjpeg"]._replace(name="a.mkv"), FRAMES)
    pipe = Pipe()
    with av.open(str(whole)) as source, av.open(pipe, "w", "matroska", options={"live": "1"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    path = tmp_path / "b.mkv"
    path.write_bytes(pipe.content)
    assert (stated_seconds(path), duration(str(path))) == (0, 7.96)
    store = FrameStore([str(path)], 40, GIB, tmp_path / "cache", long=LONG)
    assert (store.prepare([0]), store.count(0), stored(store.folder)) == ({}, FRAMES, [])
