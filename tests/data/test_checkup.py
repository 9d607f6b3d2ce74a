"""The doctor names each damaged file of the caches, and changes nothing."""

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.damaged import FEW, damages
from hypothesis import given
from hypothesis import strategies as st

from ssl_video.data.checkup import check
from ssl_video.data.features.store import FeatureSet, Item
from ssl_video.data.frames.extent import Clock
from ssl_video.data.frames.store import FrameStore


@pytest.fixture
def cache(video_folder: Path, tmp_path: Path) -> Path:
    """Stored frames in both formats, times, facts of videos, and features."""
    paths = [str(video_folder / "bow" / f"{clip}.mkv") for clip in range(2)]
    for frame_format in ("raw", "jpeg"):
        store = FrameStore(paths, 16, folder=tmp_path / "frames", frame_format=frame_format, clock=Clock(5.0))
        assert store.fill([0, 1]) == {}
        store.read(0, np.array([0]))

    def compute(items: Sequence[Item]) -> Iterator[np.ndarray]:
        return (np.full(3, copy, np.float32) for _, copy in items)

    FeatureSet(tmp_path / "features", {"network": "tiny"}, (3,), 2**20).fill([("a", 0), ("b", 1)], compute)
    return tmp_path


def files(folder: Path) -> dict[Path, bytes | str]:
    """Return the content of all files, and the targets of links."""
    found = dict[Path, bytes | str]()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[path] = os.readlink(path)
        elif path.is_file():
            found[path] = path.read_bytes()
    return found


def put(path: Path, content: bytes | str) -> None:
    path.unlink(missing_ok=True)
    if isinstance(content, str):
        path.symlink_to(content)
    else:
        path.write_bytes(content)


def same_arrays(path: Path, content: bytes | str) -> bool:
    """Return whether an archive has the arrays that it had: dates and names in front of them are none."""
    if path.suffix != ".npz" or isinstance(content, str):
        return False
    with np.load(path) as found, np.load(io.BytesIO(content)) as expected:
        return found.files == expected.files and all(
            np.array_equal(found[name], expected[name]) for name in expected.files
        )


def test_each_damaged_file_is_named(cache: Path) -> None:
    whole = files(cache)
    # Locks and counts are no content.
    locks = "used", "packs", ".lock"
    checked = [path for path in whole if path.name not in locks and "runs" not in path.parts]
    places = [str(path.relative_to(cache)) for path in checked]
    for kind in ("frames/raw-16-", "frames/jpeg-16-", "frames/files/", "frames/times/", "features/"):
        assert any(place.startswith(kind) for place in places), kind
    number, found = check(cache)
    assert found == []
    assert number == sum(path.name != "about.json" and path.suffix != ".f16" for path in checked), checked

    @FEW
    @given(data=st.data())
    def look(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(checked))
        content = whole[path]
        if isinstance(content, str):
            changed = data.draw(damages(content.encode())).replace(b"\0", b"?")
            put(path, changed.decode(errors="replace") or "x")
        else:
            put(path, data.draw(damages(content)))
        before = files(cache)
        try:
            findings = check(cache)[1]
            assert files(cache) == before
            named = [finding.path for finding in findings]
            assert named == [path] or (named == [] and same_arrays(path, content))
        finally:
            put(path, content)

    look()


def test_what_is_under_way_or_older_is_no_damage(cache: Path) -> None:
    """Incomplete files of living and killed processes, and files without checksums, which are rebuilt."""
    clip = next(path for path in (cache / "frames").glob("raw-*/*/*") if path.is_file())
    old = clip.with_name(f".{clip.name}.1-2.part")
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    clip.write_bytes(b"sslclip1" + clip.read_bytes()[8:])
    assert check(cache)[1] == []
    assert old.exists(), "the doctor changes nothing"


def test_an_empty_cache(tmp_path: Path) -> None:
    assert check(tmp_path / "nowhere") == (0, [])
