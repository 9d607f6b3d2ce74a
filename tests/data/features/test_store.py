"""Files of features: packs, shared work, the limit, and removal."""

import fcntl
import multiprocessing
import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.damaged import FEW, damages
from hypothesis import given
from hypothesis import strategies as st

from ssl_video.data.features.store import FeatureSet, Item, clear, survey
from ssl_video.errors import InputError

ABOUT = {"network": "tiny", "view": {"frames": 2}}


def items(count: int, copies: int = 2) -> list[Item]:
    return [(f"video{number}", copy) for number in range(count) for copy in range(copies)]


def features(some: Sequence[Item]) -> Iterator[np.ndarray]:
    """Three numbers that name the item."""
    return (np.array([int(content[5:]), copy, 0.1], np.float32) for content, copy in some)


def opened(folder: Path, limit: int = 2**20, about: dict[str, object] = ABOUT) -> FeatureSet:
    return FeatureSet(folder, about, (3,), limit)


def assert_stored(made: FeatureSet, wanted: Sequence[Item]) -> None:
    found = made.read(made.places(wanted))
    assert found.dtype == np.float16
    assert np.array_equal(found, np.stack(list(features(wanted))).astype(np.float16))


def test_what_is_stored_is_not_computed_again(tmp_path: Path) -> None:
    asked = list[Item]()

    def compute(some: Sequence[Item]) -> Iterator[np.ndarray]:
        asked.extend(some)
        return features(some)

    made = opened(tmp_path)
    made.fill(items(40), compute)
    assert_stored(made, items(40)[::-1])
    assert sorted(asked) == sorted(items(40))
    asked.clear()
    again = opened(tmp_path)
    again.fill(items(50), compute)
    assert sorted(asked) == sorted(set(items(50)) - set(items(40)))
    assert_stored(again, items(50))
    (found,) = survey(tmp_path)
    assert (found.about, found.items, found.size) == (ABOUT | {"shape": [3]}, 100, 100 * 6)


def test_a_pack_of_another_process_with_videos_that_are_not_here(tmp_path: Path) -> None:
    """It announced its items and is dead, or busy elsewhere: one's own are computed, and its own are not."""
    announced = opened(tmp_path)
    announced._add(items(30))
    mine, asked = items(40)[20:], list[Item]()

    def compute(some: Sequence[Item]) -> Iterator[np.ndarray]:
        asked.extend(some)
        return features(some)

    steps = list[tuple[int, int]]()
    made = opened(tmp_path)
    made.fill(mine, compute, lambda *counts: steps.append(counts), lambda content: int(content[5:]) >= 10)
    assert_stored(made, mine)
    assert sorted(asked) == sorted(mine)
    assert steps[-1] == (len(mine), len(mine))
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    # It is alive after all, and finds what it needs.
    announced.fill(items(30), features)
    assert_stored(announced, items(30))
    third = opened(tmp_path)
    third.fill(items(40), lambda _: iter(()))
    assert_stored(third, items(40))


def test_processes_that_lack_the_same_videos_share_a_pack(tmp_path: Path) -> None:
    """The second asks while the first computes, in another order of the videos."""
    opened(tmp_path)._add(items(30))
    mine, asked, looked = items(30)[20:], list[Item](), threading.Event()

    def has(content: str) -> bool:
        return int(content[5:]) >= 10

    def compute(some: Sequence[Item]) -> Iterator[np.ndarray]:
        asked.extend(some)
        if not other.is_alive():
            other.start()
            looked.wait(30)
        return features(some)

    def look(*_: int) -> None:
        told.append(1)
        if len(told) == 2:  # after its first look
            looked.set()

    def second() -> None:
        theirs.fill(mine[::-1], compute, look, has)
        looked.set()

    told = list[int]()
    first, theirs, other = opened(tmp_path), opened(tmp_path), threading.Thread(target=second)
    first.fill(mine, compute, has=has)
    other.join()
    assert sorted(asked) == sorted(mine), "none was computed twice"
    for made in (first, theirs):
        assert_stored(made, mine)
    files = {path: path.stat() for path in first.folder.glob("*.items")}
    third = opened(tmp_path)
    third.fill(mine, lambda _: pytest.fail("computed again"), has=has)
    third._add(sorted(mine[:12]))
    assert_stored(third, mine)
    assert {path: path.stat().st_ino for path in third.folder.glob("*.items")} == {
        path: stat.st_ino for path, stat in files.items()
    }


def test_a_pack_that_a_dead_process_computed_is_not_made_anew(tmp_path: Path) -> None:
    """All of its videos are here, so it is computed as it is when the other process ends."""
    made = opened(tmp_path)
    made._add(items(3))
    lock = (made.folder / f"{made._packs[0]}.items").open("r+b")
    fcntl.flock(lock, fcntl.LOCK_EX)

    def has(_: str) -> bool:
        lock.close()
        return True

    made.fill(items(3), features, has=has)
    assert len(list(made.folder.glob("*.items"))) == 1
    assert_stored(made, items(3))


def test_numbers_that_do_not_fit_are_not_stored(tmp_path: Path) -> None:
    for number in (1e5, np.inf, np.nan):
        with pytest.raises(InputError, match="not finite, or too large to be stored in 16 bits"):
            opened(tmp_path).fill(
                items(1), lambda some, n=number: (np.array([0, n, 0], np.float32) for _ in some)
            )
    assert survey(tmp_path)[0].items == 0
    opened(tmp_path).fill(items(1), lambda some: (np.array([0, 65504, -65504], np.float32) for _ in some))
    assert survey(tmp_path)[0].items == 2


def test_features_of_another_shape(tmp_path: Path) -> None:
    opened(tmp_path).fill(items(1), features)
    FeatureSet(tmp_path, ABOUT, (2,), 2**20).fill(items(1), lambda some: (np.zeros(2) for _ in some))
    assert len(survey(tmp_path)) == 2
    with pytest.raises(AssertionError, match="an item has other features"):
        opened(tmp_path).fill(items(2), lambda some: (np.zeros(2) for _ in some))


def test_what_others_are_about_to_compute_takes_room(tmp_path: Path) -> None:
    """20 items of 6 bytes are announced and not computed, and the limit is 150."""
    announced = opened(tmp_path, 150, {"network": "a"})
    with pytest.raises(KeyboardInterrupt):
        announced.fill(items(10), _interrupted)
    with pytest.raises(InputError, match="--feature-copies 0"):
        opened(tmp_path, 150, {"network": "b"}).fill(items(10), features)
    assert [found.size for found in survey(tmp_path)] == [0, 0]


def _interrupted(some: Sequence[Item]) -> Iterator[np.ndarray]:
    raise KeyboardInterrupt


def test_other_settings_are_another_set(tmp_path: Path) -> None:
    opened(tmp_path).fill(items(2), features)
    opened(tmp_path, about={**ABOUT, "view": {"frames": 3}}).fill(items(2), features)
    assert len(survey(tmp_path)) == 2


def test_an_error_leaves_the_finished_packs(tmp_path: Path) -> None:
    """64 items are two packs of 32; progress is told before each, and after the first it stops."""
    told = list[tuple[int, int]]()

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path).fill(items(32), features, stop)
    assert told == [(0, 64), (32, 64)]
    assert survey(tmp_path)[0].items == 32
    asked = list[Item]()

    def compute(some: Sequence[Item]) -> Iterator[np.ndarray]:
        asked.extend(some)
        return features(some)

    made = opened(tmp_path)
    made.fill(items(32), compute)
    assert len(asked) == 32
    assert_stored(made, items(32))
    opened(tmp_path).fill(items(32), features, lambda done, total: told.append((done, total)))
    # Stored packs are checked, which may take minutes.
    assert told[2:] == [(0, 64), (32, 64), (64, 64)]


def test_a_failed_computation_stores_nothing_of_its_pack(tmp_path: Path) -> None:
    def broken(some: Sequence[Item]) -> Iterator[np.ndarray]:
        yield next(features(some))
        raise InputError("broken")

    with pytest.raises(InputError, match="broken"):
        opened(tmp_path).fill(items(3), broken)
    assert survey(tmp_path)[0].items == 0
    assert not list(tmp_path.glob("*/.*.part"))


def test_unused_sets_make_room_and_used_ones_do_not(tmp_path: Path) -> None:
    """12 items take 72 bytes each set; 150 is room for two."""
    names = [{"network": name} for name in "abc"]
    for age, about in zip((20, 10), names, strict=False):
        made = opened(tmp_path, 150, about)
        made.fill(items(6), features)
        os.utime(made.folder / "about.json", (time.time() - age,) * 2)
        del made
    third = opened(tmp_path, 150, names[2])
    third.fill(items(6), features)
    assert sorted(found.about["network"] for found in survey(tmp_path)) == ["b", "c"]
    second = opened(tmp_path, 150, names[1])
    with pytest.raises(InputError, match=r"fewer --feature-copies, or --feature-copies 0"):
        opened(tmp_path, 150, names[0]).fill(items(6), features)
    assert_stored(third, items(6))
    del second
    (removed,) = (found for found in clear(tmp_path) if found.items)
    assert removed.about["network"] == "b", "the other one is in use"
    assert_stored(third, items(6))


def _fill(folder: Path, stuck: bool, made: list[str]) -> None:
    def compute(some: Sequence[Item]) -> Iterator[np.ndarray]:
        for item in some:
            while stuck and len(made) >= 3:
                time.sleep(0.1)
            made.append(f"{item[0]} {item[1]}")
            yield next(features([item]))

    opened(folder).fill(items(64), compute)


@pytest.mark.slow
def test_processes_share_the_work_and_take_over_that_of_killed_ones(tmp_path: Path) -> None:
    with multiprocessing.Manager() as manager:
        made = manager.list()

        def start(stuck: bool) -> multiprocessing.Process:
            return multiprocessing.Process(target=_fill, args=(tmp_path, stuck, made))

        killed = start(True)
        killed.start()
        while len(made) < 3:
            time.sleep(0.01)
        assert killed.pid is not None
        os.kill(killed.pid, signal.SIGKILL)
        killed.join()
        lost = len(made)
        others = [start(False) for _ in range(3)]
        for process in others:
            process.start()
        for process in others:
            process.join()
            assert process.exitcode == 0
        assert len(made) - lost == 128, "none was computed twice"
    done = opened(tmp_path)
    done.fill(items(64), lambda some: pytest.fail("computed again"))
    assert_stored(done, items(64))


# What is not as it was written


def damage(path: Path) -> None:
    """Flip a bit of the first item."""
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def again(folder: Path, wanted: Sequence[Item]) -> tuple[list[Item], list[str]]:
    """Fill and check; return the items that were computed again, and the warnings."""
    asked = list[Item]()

    def compute(some: Sequence[Item]) -> Iterator[np.ndarray]:
        asked.extend(some)
        return features(some)

    made = opened(folder)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made.fill(wanted, compute)
    assert_stored(made, wanted)
    return sorted(asked), [str(warning.message) for warning in said]


def packs(folder: Path, ending: str) -> list[Path]:
    return sorted(folder.glob(f"*/*{ending}"))


def test_a_pack_that_is_damaged_is_computed_again(tmp_path: Path) -> None:
    """Of several, each; said once."""
    opened(tmp_path).fill(items(80), features)
    assert again(tmp_path, items(80)) == ([], [])
    paths = packs(tmp_path, ".f16")
    assert len(paths) == 5
    for path in paths[:2]:
        damage(path)
    asked, said = again(tmp_path, items(80))
    assert len(asked) == 64
    assert len(said) == 1
    assert "the checksum of an item is wrong" in said[0]
    assert again(tmp_path, items(80)) == ([], [])


def test_packs_that_are_swapped(tmp_path: Path) -> None:
    opened(tmp_path).fill(items(32), features)
    one, two = packs(tmp_path, ".f16")
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    asked, (said,) = again(tmp_path, items(32))
    assert asked == sorted(items(32))
    assert "or it is another pack" in said


def test_a_pack_of_another_set(tmp_path: Path) -> None:
    opened(tmp_path).fill(items(16), features)
    opened(tmp_path, about={"network": "other"}).fill(
        items(16), lambda some: (np.zeros(3, np.float32) for _ in some)
    )
    mine = opened(tmp_path).folder
    (there,) = (path for path in packs(tmp_path, ".f16") if path.parent != mine)
    (mine / there.name).write_bytes(there.read_bytes())
    asked, said = again(tmp_path, items(16))
    assert (len(asked), len(said)) == (32, 1)


def test_items_that_are_damaged(tmp_path: Path) -> None:
    """Their features may be of others, as nobody knows whose they are."""
    opened(tmp_path).fill(items(16), features)
    (path,) = packs(tmp_path, ".items")
    path.write_bytes(path.read_bytes().replace(b"video7", b"video8"))
    _, said = again(tmp_path, items(16))
    assert len(said) == 1
    assert "its items are not those that it is named by" in said[0]


def test_packs_of_an_older_version_are_computed_again(tmp_path: Path) -> None:
    """They have no checksums; nothing is wrong with them, so nothing is said."""
    opened(tmp_path).fill(items(16), features)
    (path,) = packs(tmp_path, ".f16")
    path.write_bytes(path.read_bytes()[: 32 * 6])
    assert again(tmp_path, items(16)) == (sorted(items(16)), [])


def test_features_that_are_damaged_while_they_are_used(tmp_path: Path) -> None:
    """Another process reads them, and finds it out when it reads the item first."""
    made = opened(tmp_path)
    made.fill(items(16), features)
    places, worker = made.places(items(16)), pickle.loads(pickle.dumps(made))
    (path,) = packs(tmp_path, ".f16")
    damage(path)
    assert np.array_equal(worker.read(places[1:]), made.read(places[1:]))
    with pytest.raises(InputError, match=r"were damaged or removed while they were used .*: run the command"):
        worker.read(places)


def test_whatever_is_damaged_the_features_are_right(tmp_path: Path) -> None:
    opened(tmp_path).fill(items(16), features)
    (folder,) = {path.parent for path in packs(tmp_path, ".f16")}
    whole = {path: path.read_bytes() for path in folder.iterdir() if path.name not in ("used", "packs")}

    @FEW
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(whole)))
        path.write_bytes(data.draw(damages(whole[path])))
        again(tmp_path, items(16))
        assert {path: path.read_bytes() for path in whole} == whole

    check()
