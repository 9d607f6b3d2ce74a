"""A pipe or a device in the place of a file of a cache is not waited for: it is told, or not used."""

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from ssl_video.data.checkup import check
from ssl_video.data.features import store as features
from ssl_video.data.features.store import FeatureSet, Item
from ssl_video.data.frames import cache as frames
from ssl_video.data.frames.extent import Clock
from ssl_video.data.frames.store import FrameStore
from ssl_video.errors import InputError

pytestmark = pytest.mark.timeout(300)
SOURCES = Path(features.__file__).parents[2]


def use(folder: Path, paths: list[str]) -> list[np.ndarray]:
    """Return frames and features, from a cache or computed."""

    def compute(items: Sequence[Item]) -> Iterator[np.ndarray]:
        return (np.full(3, copy, np.float32) for _, copy in items)

    store = FrameStore(paths, 16, folder=folder / "frames", clock=Clock(5.0))
    assert store.fill([0, 1]) == {}
    stored = FeatureSet(folder / "features", {"network": "tiny"}, (3,), 2**20)
    stored.fill([("a", 0), ("b", 1)], compute)
    frames.used(folder / "frames")
    features.survey(folder / "features")
    check(folder)
    return [*store.read(0, np.array([0])), np.asarray(stored.read(stored.places([("b", 1)])))]


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_no_file_of_a_cache_is_waited_for(kind: str, video_folder: Path, tmp_path: Path) -> None:
    paths = [str(video_folder / "bow" / f"{clip}.mkv") for clip in range(2)]
    expected = use(tmp_path, paths)
    names = [path for path in sorted(tmp_path.rglob("*")) if path.is_file() and "runs" not in path.parts]
    assert len(names) >= 10
    used = 0
    for path in names:
        content = path.read_bytes()
        path.unlink()
        os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = use(tmp_path, paths)
        except InputError as error:
            assert re.search(r"not a file|No such device", str(error)), (path, error)  # noqa: PT017
        else:
            used += 1
            assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True)), path
        finally:
            path.unlink(missing_ok=True)
            path.write_bytes(content)
    assert used >= 5


# Files of the user, of the system, and new ones.
OTHERS = {
    "data/frames/video_facts.py": 1,
    "data/frames/cache.py": 1,
    "runs/lock.py": 1,
    "runs/archive.py": 1,
    "training/machine.py": 1,
    "runs/jsonl.py": 1,
}


def test_files_of_runs_and_caches_are_opened_in_one_place() -> None:
    """By `ssl_video.files`, which refuses what is no regular file."""
    opening = re.compile(r"\.read_text\(|\.read_bytes\(|\.open\((?!content)|(?<![\w.])open\(|os\.open\(")
    found = dict[str, int]()
    for folder in ("runs", "training", "data/frames", "data/features"):
        for file in (SOURCES / folder).rglob("*.py"):
            text = re.sub(r"(?m)^ *def .*|archive\.open\(|Image\.open\(", "", file.read_text())
            if count := len(opening.findall(text)):
                found[file.relative_to(SOURCES).as_posix()] = count
    assert found == OTHERS
