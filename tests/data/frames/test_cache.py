"""The cache's folder: its bound, what goes when it is full, and several processes in it."""

import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from ssl_video.data.frames import cache as module
from ssl_video.data.frames.cache import FrameCache, clear, entries, survey, used
from ssl_video.errors import InputError

CLIP = np.zeros((10, 16, 16, 3), np.uint8)
SIZE = CLIP.nbytes + 56 + 4 * len(CLIP)  # with header and checksums


def names(folder: Path) -> set[str]:
    return {entry.path.name for entry in entries(folder)}


def stored(folder: Path) -> int:
    return sum(entry.size for entry in entries(folder))


def fill(cache: FrameCache, *contents: str) -> list[bool]:
    return [cache.put(content, CLIP) for content in contents]


def age(folder: Path, **hours: float) -> None:
    """Give files a time of last use, in hours before now."""
    for entry in entries(folder):
        if entry.path.name in hours:
            then = entry.used - 3600 * hours[entry.path.name]
            os.utime(entry.path, (then, then))


@pytest.fixture
def opened(tmp_path: Path) -> FrameCache:
    """A cache with room for three clips and a half."""
    return FrameCache(tmp_path, "raw", "16-x", SIZE * 7 // 2)


def other(cache: FrameCache) -> FrameCache:
    """The same cache, as a run with another setting sees it."""
    return FrameCache(cache.folder, "raw", "8-x", cache.limit)


def test_clip_is_stored_and_found(opened: FrameCache) -> None:
    assert fill(opened, "aa1") == [True]
    clip = opened.open("aa1")
    assert clip is not None
    with clip:
        assert len(clip) == 10
    assert opened.open("aa2") is None
    assert other(opened).open("aa1") is None
    assert used(opened.folder) == SIZE


def test_clip_that_is_there_is_not_written_again(opened: FrameCache) -> None:
    assert fill(opened, "aa1", "aa1") == [True, True]
    assert used(opened.folder) == SIZE


def test_damaged_clip_is_removed_and_written_again(opened: FrameCache) -> None:
    fill(opened, "aa1")
    (entry,) = entries(opened.folder)
    entry.path.write_bytes(b"torn")
    assert opened.open("aa1") is None
    assert not names(opened.folder)
    assert fill(opened, "aa1") == [True]
    assert stored(opened.folder) == SIZE


# The bound


def test_least_recently_used_clips_go_first(opened: FrameCache) -> None:
    fill(other(opened), "a", "b", "c")
    age(opened.folder, a=1, b=3, c=2)
    assert fill(opened, "d") == [True]
    assert names(opened.folder) == {"a", "c", "d"}
    assert used(opened.folder) == stored(opened.folder) == 3 * SIZE


def test_what_is_touched_stays(opened: FrameCache) -> None:
    fill(other(opened), "a", "b", "c")
    age(opened.folder, a=3, b=2, c=1)
    assert other(opened).touch("a")
    fill(opened, "d")
    assert names(opened.folder) == {"a", "c", "d"}


def test_nothing_that_a_living_run_uses_goes(opened: FrameCache) -> None:
    old, run = other(opened), opened
    fill(old, "a")
    age(opened.folder, a=1)
    run.claim()
    assert fill(run, "b", "c", "d") == [True, True, True]  # "a" went
    assert names(opened.folder) == {"b", "c", "d"}
    # Its own clips must not push each other out, nor may another run.
    assert fill(run, "e") == [False]
    newcomer = other(opened)
    newcomer.claim()
    assert fill(newcomer, "f") == [False]
    assert (run.full, newcomer.full) == (True, True)
    assert names(opened.folder) == {"b", "c", "d"}
    assert used(opened.folder) == 3 * SIZE


def test_what_a_run_used_may_go_once_it_has_ended(opened: FrameCache) -> None:
    program = (
        "import sys\nimport numpy as np\nfrom pathlib import Path\n"
        "from ssl_video.data.frames.cache import FrameCache\n"
        "cache = FrameCache(Path(sys.argv[1]), 'raw', '8-x', int(sys.argv[2]))\n"
        "cache.claim()\n"
        "[cache.put(name, np.zeros((10, 16, 16, 3), np.uint8)) for name in 'abc']\n"
        "print('ready', flush=True)\nsys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(opened.folder), str(opened.limit)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        opened.claim()
        assert fill(opened, "d") == [False]
        run.kill()
    late = FrameCache(opened.folder, "raw", "16-x", opened.limit)
    assert fill(late, "d") == [True]
    assert "d" in names(opened.folder)
    # What the killed run left is gone, too.
    assert len(list((opened.folder / "runs").iterdir())) == 1


def test_claim_of_a_store_that_is_gone_protects_nothing(opened: FrameCache) -> None:
    run = other(opened)
    run.claim()
    fill(run, "a", "b", "c")
    del run
    assert fill(opened, "d") == [True]


def test_no_search_while_there_was_no_room(opened: FrameCache, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.claim()
    fill(opened, "a", "b", "c", "d")
    monkeypatch.setattr(module, "entries", lambda _: pytest.fail("looked again"))
    assert fill(opened, "e", "f") == [False, False]


def test_room_is_made_for_more_than_one(tmp_path: Path) -> None:
    # 5 % of 100 clips are five: one for the clip that comes, and four to spare.
    small = FrameCache(tmp_path, "raw", "16-x", 100 * SIZE)
    fill(small, *(f"{n:03d}" for n in range(100)))
    age(tmp_path, **{f"{n:03d}": 200.0 - n for n in range(100)})
    assert fill(small, "new") == [True]
    assert names(tmp_path) == {f"{n:03d}" for n in range(5, 100)} | {"new"}


def test_clip_larger_than_the_bound_costs_nobody_his(tmp_path: Path) -> None:
    fill(FrameCache(tmp_path, "raw", "8-x", 9 * SIZE), "a", "b")
    assert fill(FrameCache(tmp_path, "raw", "16-x", SIZE - 1), "c") == [False]
    assert names(tmp_path) == {"a", "b"}


def test_nothing_is_written_with_a_bound_of_zero(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path / "none", "raw", "16-x", 0)
    cache.claim()
    assert fill(cache, "a") == [False]
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("text", ["", "12x", "99999999999999999999"])
def test_wrong_count_is_mended(opened: FrameCache, text: str) -> None:
    # A killed process has reserved what it never wrote; a power cut has torn the number.
    fill(opened, "a", "b")
    (opened.folder / "used").write_text(text)
    assert fill(opened, "c") == [True]
    assert used(opened.folder) == 3 * SIZE


def test_reserved_room_is_given_back(opened: FrameCache, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(opened, "a")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "replacing", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fill(opened, "b")
    assert used(opened.folder) == SIZE


def test_four_processes_keep_the_bound(tmp_path: Path) -> None:
    program = (
        "import sys\nimport numpy as np\nfrom pathlib import Path\n"
        "from ssl_video.data.frames.cache import FrameCache\n"
        "folder, limit, first = sys.argv[1:]\n"
        "cache = FrameCache(Path(folder), 'raw', '16-x', int(limit))\n"
        "for n in range(40):\n"
        "    cache.put(f'{int(first) + n:04d}', np.zeros((10, 16, 16, 3), np.uint8))\n"
    )
    limit = 60 * SIZE
    command = [sys.executable, "-c", program, str(tmp_path), str(limit)]
    # Each writes 40 clips, of which 20 are also written by the next one: 100 different ones.
    processes = [subprocess.Popen([*command, str(20 * n)]) for n in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    # What the other three were writing while one counted may come on top.
    assert stored(tmp_path) <= limit + 3 * SIZE
    assert used(tmp_path) <= limit
    assert not list(tmp_path.rglob("*.part"))
    cache = FrameCache(tmp_path, "raw", "16-x", limit)
    assert all(cache.open(name) for name in names(tmp_path))


def test_room_is_reserved_by_one_at_a_time(opened: FrameCache) -> None:
    fill(opened, "a")
    with module._locked(opened.folder):
        other_thread = threading.Thread(target=fill, args=(opened, "b"))
        other_thread.start()
        other_thread.join(0.2)
        assert names(opened.folder) == {"a"}
    other_thread.join()
    assert names(opened.folder) == {"a", "b"}


# Trouble


@pytest.mark.parametrize(("code", "words"), [(28, "no space left"), (5, "Input/output error")])
def test_disk_that_fails_is_told_once(
    opened: FrameCache, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def failing(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module, "replacing", failing)
    with pytest.warns(RuntimeWarning, match=words) as caught:
        assert fill(opened, "a", "b") == [False, False]
    assert len(caught) == 1
    assert "decoded as needed" in str(caught[0].message)
    assert opened.full


def test_cache_that_may_only_be_read(opened: FrameCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    fill(opened, "a")
    reader = FrameCache(opened.folder, "raw", "16-x", 0)
    monkeypatch.setattr(os, "utime", refused)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reader.open("a")
        assert reader.touch("a")
        assert not reader.touch("b")


def test_a_cache_that_can_only_be_read_is_used(opened: FrameCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of another user, who does not share the right to write."""
    fill(opened, "a")
    original = os.open

    def refuse(path: object, flags: int, *more: object, **named: object) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(13, "Permission denied", path)
        return original(path, flags, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)
    before = names(opened.folder)
    reader = FrameCache(opened.folder, "raw", "16-x", SIZE)
    with pytest.warns(
        RuntimeWarning, match=r"cannot be written \(Permission denied\): stored clips are read"
    ):
        reader.claim()
    assert reader.full
    assert reader.read("a", np.array([0])) is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not reader.put("b", np.zeros((2, 4, 4, 3), np.uint8))
    assert names(opened.folder) == before


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write the frame cache .*SSL_VIDEO_CACHE.*--cache-gib 0"):
        FrameCache(tmp_path / "file" / "cache", "raw", "16-x", SIZE).claim()


def test_half_written_files_are_removed_after_a_day(opened: FrameCache) -> None:
    fill(opened, "a")
    folder = next(iter(entries(opened.folder))).path.parent
    fresh, stale = folder / ".b.1-1.part", folder / ".c.2-1.part"
    for part in (fresh, stale):
        part.write_bytes(b"half")
    then = stale.stat().st_mtime - 25 * 3600
    os.utime(stale, (then, then))
    assert names(opened.folder) == {"a"}
    assert (fresh.exists(), stale.exists()) == (True, False)


# What people see of it


def test_survey_by_setting(opened: FrameCache) -> None:
    fill(opened, "a", "b")
    fill(other(opened), "c")
    age(opened.folder, a=5)
    found = {entry.path.name: entry for entry in entries(opened.folder)}
    assert survey(found.values()) == {
        "raw-16-x": (2, 2 * SIZE, found["b"].used),
        "raw-8-x": (1, SIZE, found["c"].used),
    }


def test_clear_some_and_all(opened: FrameCache) -> None:
    fill(opened, "a", "b")
    fill(other(opened), "b")
    clear(opened.folder, {"b"})
    assert names(opened.folder) == {"a"}
    assert used(opened.folder) == SIZE
    reading = opened.open("a")
    clear(opened.folder)
    assert not names(opened.folder)
    assert used(opened.folder) == 0
    # Who reads a clip goes on reading it.
    assert reading is not None
    assert np.array_equal(reading.read(np.array([9])), CLIP[9:])


def test_nothing_to_clear(tmp_path: Path) -> None:
    clear(tmp_path / "none")
    assert not (tmp_path / "none").exists()
