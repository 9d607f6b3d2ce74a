"""A damaged cache: frames are those of the video whatever it holds, and nothing outside of it is touched."""

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers.damaged import FEW, damages
from helpers.frame_store import EVERY, SIZE, Spy, stored
from hypothesis import given

from ssl_video.data.frames import video_facts
from ssl_video.data.frames.store import FrameStore
from ssl_video.data.frames.video_facts import VideoFacts
from ssl_video.data.video.container import DecodeError

CONTENT = "0123456789abcdef" * 2


def links(folder: Path) -> list[Path]:
    """The links of the cache, by the files that they are of."""
    return sorted((folder / "files").glob("*/*"))


@pytest.mark.parametrize("name", ["raw", "jpeg"])
def test_damaged_clips_are_never_read(name: str, videos: list[str], folder: Path) -> None:
    """Said once, removed, and stored again."""

    def store() -> FrameStore:
        return FrameStore(videos[:1], 16, folder=folder, frame_format=name)

    expected = store().read(0, EVERY)
    (path,) = stored(folder)
    whole = path.read_bytes()

    @FEW
    @given(content=damages(whole))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = store().read(0, EVERY)
        assert np.array_equal(found, expected)
        assert path.read_bytes() == whole
        assert len(said) == 1 or content[:8] == b"sslclip1"
        assert all("in the frame cache is damaged" in str(warning.message) for warning in said)

    check()


def test_a_flipped_pixel_is_noticed_in_the_frame_that_has_it(videos: list[str], folder: Path) -> None:
    expected = FrameStore(videos[:1], 16, folder=folder).read(0, EVERY)
    (path,) = stored(folder)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of the last frame
    path.write_bytes(content)
    store = FrameStore(videos[:1], 16, folder=folder)
    assert np.array_equal(store.read(0, np.arange(9)), expected[:9])
    with pytest.warns(RuntimeWarning, match="the checksum of a frame is wrong"):
        assert np.array_equal(store.read(0, EVERY), expected)


def test_a_block_of_a_long_video(videos: list[str], folder: Path) -> None:
    expected = FrameStore(videos[:1], 16, folder=folder, long=0.5).read(0, EVERY)
    (path,) = stored(folder)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.warns(RuntimeWarning, match="is damaged"):
        found = FrameStore(videos[:1], 16, folder=folder, long=0.5).read(0, EVERY)
    assert np.array_equal(found, expected)


def test_clips_that_are_swapped(videos: list[str], folder: Path) -> None:
    before = FrameStore(videos[:2], 16, folder=folder)
    expected = [before.read(row, EVERY) for row in range(2)]
    one, two = stored(folder)
    one.rename(folder / "x")
    two.rename(one)
    (folder / "x").rename(two)
    after = FrameStore(videos[:2], 16, folder=folder)
    with pytest.warns(RuntimeWarning, match="of another clip"):
        found = [after.read(row, EVERY) for row in range(2)]
    assert np.array_equal(found, expected)


def test_links_that_are_swapped(videos: list[str], folder: Path) -> None:
    before = FrameStore(videos[:2], 16, folder=folder)
    expected = [before.read(row, EVERY) for row in range(2)]
    one, two = links(folder)
    texts = os.readlink(one), os.readlink(two)
    for link, text in zip((two, one), texts, strict=True):
        link.unlink()
        link.symlink_to(text)
    assert video_facts.contents(folder, videos[:2]) == []
    after = FrameStore(videos[:2], 16, folder=folder)
    assert np.array_equal([after.read(row, EVERY) for row in range(2)], expected)
    assert len(video_facts.contents(folder, videos[:2])) == 2


@pytest.mark.parametrize(
    "video",
    [
        VideoFacts("../../victim", 10, 1.0),
        VideoFacts("/" + CONTENT[1:], 10, 1.0),
        VideoFacts(CONTENT.upper(), 10, 1.0),
        VideoFacts(CONTENT[1:], 10, 1.0),
        VideoFacts(CONTENT, 0, 1.0),
        VideoFacts(CONTENT, -5, 1.0),
        VideoFacts(CONTENT, 10, -1.0),
        VideoFacts(CONTENT, 10, float("nan")),
    ],
)
def test_facts_that_cannot_be(video: VideoFacts, videos: list[str], folder: Path) -> None:
    """Of somebody who knows how to write them, as in a cache that is shared."""
    victim = folder.parent / "victim"
    victim.write_text("mine")
    video_facts.note(folder, videos[0], video)
    assert video_facts.find(folder, videos[0]) is None
    FrameStore(videos[:1], 16, folder=folder).read(0, EVERY)
    assert victim.read_text() == "mine"


def test_a_wrong_number_of_frames(videos: list[str], folder: Path) -> None:
    """A sentence, not a frame of another place."""
    video_facts.note(folder, videos[0], VideoFacts(video_facts.digest(videos[0]), 10**6, 1.0))
    with pytest.raises(DecodeError, match=r"it has 10 frames, and the frame cache .* says 1000000"):
        FrameStore(videos[:1], 16, folder=folder).read(0, np.array([999_999]))


def test_clips_of_an_older_version_are_decoded_again(videos: list[str], folder: Path, spy: Spy) -> None:
    """They have no checksums; nothing is wrong with them, so nothing is said."""
    expected = FrameStore(videos[:1], 16, folder=folder).read(0, EVERY)
    (path,) = stored(folder)
    path.write_bytes(b"sslclip1" + path.read_bytes()[8:])
    spy.seen()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(FrameStore(videos[:1], 16, folder=folder).read(0, EVERY), expected)
    assert spy.seen() == {"decode": "0"}
    assert [each.stat().st_size for each in stored(folder)] == [SIZE]


def test_packets_of_another_file(videos: list[str], folder: Path) -> None:
    """Those of a long video, in the place of another's."""
    store = FrameStore(videos[:2], 16, folder=folder, long=0.5)
    expected = [store.read(row, EVERY) for row in range(2)]
    shutil.rmtree(folder / store.setting)
    one, two = sorted((folder / "times").glob("*/*.npz"))
    shutil.copy(one, two)
    after = FrameStore(videos[:2], 16, folder=folder, long=0.5)
    assert np.array_equal([after.read(row, EVERY) for row in range(2)], expected)
    assert one.read_bytes() != two.read_bytes()
