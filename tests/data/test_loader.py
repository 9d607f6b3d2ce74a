"""Batches: the right frames of the right clips, the same ones however they are loaded."""

import multiprocessing
import signal
import subprocess
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ssl_video.contract import Batch, View
from ssl_video.data.frames.store import FrameStore, Statistics
from ssl_video.data.loader import _Pinnable, batches, to_device
from ssl_video.data.pool import Pool, evaluation_clips, requests
from ssl_video.data.views import augment
from ssl_video.data.views.augment import Transform
from ssl_video.data.views.sampling import ClipShape, Request
from ssl_video.errors import InputError

CPU = torch.device("cpu")
SLOW, FAST = ClipShape(4, 2), ClipShape(8, 1)  # spans of 7 and 8 frames
LABELS = np.repeat(np.arange(3), 6)  # of `video_folder`, whose row is class * 6 + clip
COUNTS = np.tile(np.arange(12, 18), 3)

Facts = Callable[[Tensor], tuple[list[int], int, int]]


def request(
    augmentation: str = "none", shape: ClipShape = SLOW, window: str = "shared", copy: int = 0
) -> Request:
    return Request(augmentation, copy, shape, window)


@pytest.fixture(scope="module")
def store(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    made = FrameStore(
        [str(path) for path in sorted(video_folder.glob("*/*.mkv"))],
        20,
        folder=tmp_path_factory.mktemp("frames"),
    )
    assert made.prepare(range(18)) == {}
    return made


class Noise(FrameStore):
    """Clips on which every transform leaves its mark: frames of noise, 15 of each clip."""

    def __init__(self) -> None:
        super().__init__(["noise"] * 18, 20)
        self.count = lambda row: 15  # type: ignore[assignment]
        self.rows: list[int] = []

    def read(self, row: int, indices: np.ndarray) -> np.ndarray:
        self.rows.append(int(row))
        return np.random.default_rng(row).integers(0, 256, (15, 20, 24, 3), np.uint8)[indices]


@pytest.fixture
def transforms(monkeypatch: pytest.MonkeyPatch) -> list[Transform]:
    """The transforms that have been applied, as it goes."""
    applied: list[Transform] = []
    plain = augment.apply

    def spy(clips: Sequence[np.ndarray], given: Sequence[Transform], size: int) -> Tensor:
        applied.extend(given)
        return plain(clips, given, size)

    monkeypatch.setattr(augment, "apply", spy)
    return applied


def described(transform: Transform) -> tuple[object, ...]:
    return transform.matrix.tobytes(), transform.colours, transform.box


def pool(
    frames: FrameStore,
    views: dict[str, Request],
    purpose: str = "labeled",
    rows: Sequence[int] = range(18),
    batch: int = 4,
    seed: int = 0,
) -> Pool:
    return Pool(purpose, np.array(rows), views, batch, 16, seed, frames)


def all_batches(
    frames: FrameStore, steps: range, workers: int = 0, unlabeled: bool = True, seed: int = 0
) -> list[Batch]:
    labeled = pool(frames, {"weak": request("weak")}, rows=[2, 7, 11, 16], batch=3, seed=seed)
    views = {
        "weak": request("weak"),
        "strong": request("strong"),
        "strong/fast": request("strong", FAST),
        "again": request("weak"),
        "warped": request("strong+timewarp"),
        "own": request("weak", window="own"),
    }
    others = pool(frames, views, "unlabeled", [n for n in range(18) if n not in (2, 7)], seed=seed)
    return list(batches(labeled, LABELS[labeled.rows], others if unlabeled else None, steps, CPU, workers))


def assert_same(ours: Sequence[Batch], others: Sequence[Batch]) -> None:
    assert len(ours) == len(others)
    for one, other in zip(ours, others, strict=True):
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.positions, other.positions)
        for mine, theirs in ((one.labeled, other.labeled), (one.unlabeled, other.unlabeled)):
            assert list(mine) == list(theirs)
            assert all(torch.equal(mine[name], theirs[name]) for name in mine)


# What a batch is a function of


def test_batches_do_not_depend_on_workers_or_on_where_a_run_resumes() -> None:
    straight = all_batches(Noise(), range(9))
    for workers in (1, 4):
        assert_same(all_batches(Noise(), range(9), workers=workers), straight)
    assert_same(all_batches(Noise(), range(4, 9)), straight[4:])
    assert_same(all_batches(Noise(), range(4, 9), workers=2), straight[4:])


def test_batches_depend_on_the_seed() -> None:
    ours, others = all_batches(Noise(), range(3)), all_batches(Noise(), range(3), seed=1)
    assert not all(torch.equal(a.positions, b.positions) for a, b in zip(ours, others, strict=True))


@pytest.mark.parametrize("window", ["shared", "own"])
def test_every_step_slot_and_purpose_has_a_window_of_its_own(
    store: FrameStore, clip_facts: Facts, window: str
) -> None:
    # One clip everywhere, with 11 places for a window: columns of 12 starts agree by chance in 11^-12.
    starts = [
        [[clip_facts(view)[0][0] for view in made] for made in steps]
        for steps in (
            [
                pool(store, {"a": request(window=window)}, purpose, [5], 3).clips(step)["a"]
                for step in range(12)
            ]
            for purpose in ("labeled", "unlabeled")
        )
    ]
    columns = np.concatenate(starts, axis=1).T  # (purposes * slots, steps)
    assert len({tuple(column) for column in columns}) == 6
    assert all(len(set(column)) > 1 for column in columns)


def test_every_step_slot_and_purpose_has_a_transform_of_its_own(transforms: list[Transform]) -> None:
    for purpose in ("labeled", "unlabeled"):
        for step in range(3):
            pool(Noise(), {"a": request("strong")}, purpose, [5], 4).clips(step)
    assert len({transform.matrix.tobytes() for transform in transforms}) == 2 * 3 * 4


def test_kinds_of_clips_come_in_orders_of_their_own() -> None:
    orders = [pool(Noise(), {}, purpose).positions(0).tolist() for purpose in ("labeled", "unlabeled")]
    assert orders[0] != orders[1]


def test_loading_leaves_torchs_generator_alone() -> None:
    before = torch.get_rng_state()
    for workers in (0, 2):
        all_batches(Noise(), range(2), workers)
    assert torch.equal(torch.get_rng_state(), before)


def test_positions_go_on_over_steps_and_passes() -> None:
    for batch in (1, 4, 7):
        some = pool(Noise(), {}, batch=batch)
        drawn = np.concatenate([some.positions(step) for step in range(36)])
        assert all(sorted(drawn[first : first + 18]) == list(range(18)) for first in (0, 18))
        assert drawn[:36].tolist() == [pool(Noise(), {}, batch=1).positions(n)[0] for n in range(36)]


# Which frames of which clips


def test_labels_and_positions_belong_to_the_clips(store: FrameStore, clip_facts: Facts) -> None:
    rows = np.array([17, 3, 8, 0, 12])
    labeled = pool(store, {"a": request()}, rows=rows)
    unlabeled = pool(store, {"a": request()}, "unlabeled", rows[::-1].copy(), batch=6)
    for batch in batches(labeled, LABELS[rows], unlabeled, range(6), CPU):
        assert [clip_facts(view)[1] for view in batch.labeled["a"]] == batch.labels.tolist()
        found = [clip_facts(view)[1:] for view in batch.unlabeled["a"]]
        assert [label * 6 + clip for label, clip in found] == rows[::-1][batch.positions].tolist()
        assert batch.labels.dtype == batch.positions.dtype == torch.long


def test_views_hold_the_frames_that_their_shapes_say(store: FrameStore, clip_facts: Facts) -> None:
    views = {"slow": request(), "long": request(shape=ClipShape(3, 4)), "fast": request(shape=FAST)}
    starts: dict[int, set[int]] = {}
    for step in range(60):
        made = pool(store, views).clips(step)
        for slow, long, fast in zip(*(made[name] for name in views), strict=True):
            frames, label, clip = clip_facts(slow)
            start, count = frames[0], COUNTS[label * 6 + clip]
            assert frames == [start, start + 2, start + 4, start + 6]
            # The same sample, and the same start.
            assert clip_facts(fast) == (list(range(start, start + 8)), label, clip)
            assert clip_facts(long) == ([start, start + 4, start + 8], label, clip)
            # The window is the longest view's, 9 frames, and lies inside the clip.
            assert start + 9 <= count
            starts.setdefault(int(count), set()).add(start)
    # A clip of 12 frames has 4 places for 9, one of 17 has 9.
    assert starts[12] == {0, 1, 2, 3}
    assert starts[17] == set(range(9))


def test_clip_shorter_than_the_window_goes_on_from_its_start(store: FrameStore, clip_facts: Facts) -> None:
    for view in pool(store, {"a": request(shape=ClipShape(4, 5))}, rows=[0]).clips(0)["a"]:
        # 12 frames: 0, 5, 10, and 15 - 12.
        assert clip_facts(view) == ([0, 5, 10, 3], 0, 0)


def test_own_windows_start_on_their_own(store: FrameStore, clip_facts: Facts) -> None:
    views = {
        "shared": request(),
        "first": request(window="own"),
        "second": request(window="own"),
        "fast": request(shape=FAST, window="own"),
    }
    starts = []
    for step in range(40):
        made = pool(store, views, rows=[5]).clips(step)
        assert made["first"] is not made["second"]
        for sample in zip(*(made[name] for name in views), strict=True):
            first = [clip_facts(view)[0][0] for view in sample]
            assert clip_facts(sample[1])[0] == [first[1] + n for n in (0, 2, 4, 6)]
            starts.append(first)
    drawn = np.array(starts)
    # 17 frames have 11 places for 7 frames and 10 for 8; two independent starts agree in one of 11 samples:
    # 160 / 11 = 15, and six deviations are 22.
    assert drawn.max(0).tolist() == [10, 10, 10, 9]
    assert drawn.min() == 0
    for a, b in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]:
        assert (drawn[:, a] == drawn[:, b]).sum() < 37


def test_another_view_changes_nothing_for_those_beside_it() -> None:
    few = {"weak": request("weak"), "own": request("strong", window="own")}
    more = {"new": request("strong", window="own"), **few, "other": request("none", window="own")}
    ours, others = pool(Noise(), few).clips(3), pool(Noise(), more).clips(3)
    assert all(torch.equal(ours[name], others[name]) for name in few)


def test_equal_requests_are_one_tensor() -> None:
    views = {"a": request("weak"), "b": request("strong"), "c": request("weak"), "d": request("weak", FAST)}
    made = pool(Noise(), views).clips(0)
    assert list(made) == ["a", "b", "c", "d"]
    assert made["a"] is made["c"]
    assert len({id(view) for view in made.values()}) == 3
    assert [view.shape[2] for view in made.values()] == [4, 4, 4, 8]


def test_views_of_one_recipe_are_transformed_alike(transforms: list[Transform]) -> None:
    views = {
        "weak": request("weak"),
        "weak/fast": request("weak", FAST),
        "strong": request("strong"),
        "strong/own": request("strong", window="own"),
    }
    pool(Noise(), views, batch=16).clips(0)
    assert len(transforms) == 64
    for n in range(16):
        weak, weak_fast, strong, strong_own = transforms[n::16]
        assert described(weak) == described(weak_fast)
        assert described(strong) == described(strong_own)
        # Two recipes draw for themselves: a strong clip without a warp is not the weak clip's crop.
        assert not np.array_equal(weak.matrix, strong.matrix)


def test_copies_are_transformed_independently(store: FrameStore, transforms: list[Transform]) -> None:
    views = {
        "first": request("strong+timewarp", FAST),
        "second": request("strong+timewarp", FAST, copy=1),
        "third": request("strong+timewarp", FAST, copy=2),
    }
    both, alone = pool(store, views, batch=16), pool(store, {"first": views["first"]}, batch=16)
    both.clips(0)
    first, second, third = (transforms[16 * n : 16 * n + 16] for n in range(3))
    for n in range(16):
        assert len({described(t[n]) for t in (first, second, third)}) == 3
    places = [both.frames(0, slot) for slot in range(16)]
    assert any(list(shown["first"]) != list(shown["second"]) for shown in places)
    # The first copy's draws are those that it has alone.
    transforms.clear()
    alone.clips(0)
    assert [described(t) for t in transforms] == [described(t) for t in first]


def test_warped_view_is_transformed_like_the_view_beside_it(
    store: FrameStore, clip_facts: Facts, transforms: list[Transform]
) -> None:
    views = {
        "plain": request("weak", FAST),
        "warped": request("weak+timewarp", FAST),
        "own": request("weak+timewarp", FAST, "own"),
    }
    warped = 0
    for step in range(20):
        some = pool(store, views)
        made = some.clips(step)
        for slot in range(4):
            plain, bent, own = (clip_facts(made[name][slot])[0] for name in views)
            start = plain[0]
            assert plain == list(range(start, start + 8))
            places = [number - start for number in bent]
            assert set(places) <= set(range(8))
            assert places == sorted(places)
            # Another window, warped alike.
            assert len({a - b for a, b in zip(bent, own, strict=True)}) == 1
            warped += places != list(range(8))
            # The same pixels wherever the same frame stands.
            for place, number in enumerate(places):
                assert torch.equal(made["warped"][slot, :, place], made["plain"][slot, :, number])
            assert {name: list(shown) for name, shown in some.frames(step, slot).items()} == {
                "plain": plain,
                "warped": bent,
                "own": own,
            }
    # Two of three clips are warped: 53 of 80, deviation 4.2, six of it 25.
    assert abs(warped - 53) < 26
    drawn = [described(transform) for transform in transforms]
    assert len(drawn) == 20 * 12
    for step in range(20):
        first, second, third = (drawn[start : start + 4] for start in range(12 * step, 12 * step + 12, 4))
        assert first == second == third


def test_requests_take_the_shapes_of_their_networks() -> None:
    shapes = {"primary": SLOW, "auxiliary": FAST}
    views = {"a": View("weak"), "b": View("strong", network="auxiliary", window="own")}
    assert requests(views, shapes) == {"a": request("weak"), "b": request("strong", FAST, "own")}


# What is not read


def test_algorithm_without_unlabeled_views_reads_no_unlabeled_clip() -> None:
    frames = Noise()
    for batch in all_batches(frames, range(5), unlabeled=False):
        assert batch.unlabeled == {}
        assert batch.positions.shape == (0,)
        assert batch.positions.dtype == torch.long
    assert set(frames.rows) == {2, 7, 11, 16}
    # Fifteen clips, each read once, although the window is cut into views.
    assert len(frames.rows) == 15


def test_views_of_a_sample_are_read_together() -> None:
    frames = Noise()
    views = {name: request(name, window=window) for name, window in [("weak", "shared"), ("strong", "own")]}
    pool(frames, views).clips(0)
    assert len(frames.rows) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_reads_are_counted_whoever_does_them(video_folder: Path, tmp_path: Path, workers: int) -> None:
    """Three steps of two labeled and four unlabeled clips; both kinds have two views, read in one go."""
    frames = FrameStore([str(path) for path in sorted(video_folder.glob("*/*.mkv"))], 20, folder=tmp_path)
    assert frames.prepare(range(18)) == {}
    views = {"a": request(), "b": request("weak")}
    labeled, others = pool(frames, views, batch=2), pool(frames, views, "unlabeled")
    list(batches(labeled, LABELS, others, range(3), CPU, workers))
    assert frames.statistics()[:2] == (3 * (2 + 4), 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_clip_that_has_become_unreadable(
    tmp_path: Path, make_video: Callable[..., Path], workers: int
) -> None:
    path = make_video(tmp_path / "moved.mkv")
    FrameStore([str(path)], 20, folder=tmp_path / "cache").prepare([0])
    path.unlink()
    frames = FrameStore([str(path)], 20, folder=tmp_path / "cache")
    labeled = pool(frames, {"a": request()}, rows=[0])
    with pytest.raises(InputError) as caught:
        list(batches(labeled, LABELS[:1], None, range(3), CPU, workers))
    # One line that names the file, whichever process found it.
    assert str(caught.value).startswith(f"{path}: no such file or directory; it could be decoded")
    assert "\n" not in str(caught.value)


# On the way to the device


@pytest.mark.parametrize("workers", [0, 2])
def test_shared_tensors_stay_shared(workers: int) -> None:
    (batch,) = all_batches(Noise(), range(1), workers)
    assert batch.unlabeled["weak"] is batch.unlabeled["again"]
    assert batch.unlabeled["weak"] is not batch.unlabeled["own"]
    # Another device makes other tensors; "meta" is one that every machine has.
    moved = to_device(batch, torch.device("meta"))
    assert moved.unlabeled["weak"] is moved.unlabeled["again"]
    assert len({id(view) for view in moved.unlabeled.values()}) == 5
    for tensor in (*moved.labeled.values(), moved.labels, *moved.unlabeled.values(), moved.positions):
        assert tensor.device.type == "meta"
    assert [view.shape for view in moved.unlabeled.values()] == [
        view.shape for view in batch.unlabeled.values()
    ]


def test_pinning_keeps_tensors_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    (batch,) = all_batches(Noise(), range(1))
    # Only machines with a GPU can pin; a copy does what pinning does to sharing.
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor.clone())
    pinned = torch.utils.data._utils.pin_memory.pin_memory(_Pinnable(batch, Statistics())).batch
    assert pinned.unlabeled["weak"] is pinned.unlabeled["again"]
    assert pinned.unlabeled["weak"] is not batch.unlabeled["weak"]
    assert_same([pinned], [batch])


def test_warnings_are_left_to_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    # The loader's advice on workers is silenced, and nothing else.
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    labeled = pool(Noise(), {"weak": request("weak")})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in batches(labeled, LABELS, None, range(2), CPU, workers=2):
            warnings.warn("This DataLoader will create trouble", stacklevel=1)
    assert [str(w.message) for w in caught if "DataLoader" in str(w.message)] == [
        "This DataLoader will create trouble"
    ] * 2


def test_workers_end_when_training_stops_early() -> None:
    def children() -> set[object]:
        return {*multiprocessing.active_children()} - before

    before: set[object] = {*multiprocessing.active_children()}
    loading = batches(pool(Noise(), {"weak": request("weak")}), LABELS, None, range(50), CPU, workers=2)
    next(iter(loading))
    assert len(children()) == 2
    loading.close()  # type: ignore[attr-defined]
    ended = time.monotonic() + 20
    while children() and time.monotonic() < ended:
        time.sleep(0.01)
    assert not children()


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="this system does not say who sent a signal")
def test_workers_outlive_the_signals_of_a_scheduler() -> None:
    """Otherwise torch ends the run with an error as soon as one of them is gone."""
    before = {*multiprocessing.active_children()}
    loading = batches(pool(Noise(), {"weak": request("weak")}), LABELS, None, range(20), CPU, workers=2)
    next(iter(loading))
    # Sent by another process than the one that made them.
    workers = [str(child.pid) for child in {*multiprocessing.active_children()} - before]
    for name in ("TERM", "INT", "USR1", "USR2"):
        subprocess.run(["kill", f"-{name}", *workers], check=True)
    assert len(list(loading)) == 19


# Test videos


def test_evaluation_windows_are_evenly_spaced(store: FrameStore, clip_facts: Facts) -> None:
    # 17 frames have 11 starts for a span of 7; three parts of 11 / 3: floor of 1.83, 5.5, 9.17.
    views = evaluation_clips(store, 11, SLOW, 3, 1, 16)
    assert views.shape == (3, 3, 4, 16, 16)
    assert [clip_facts(view) for view in views] == [
        ([start, start + 2, start + 4, start + 6], 1, 5) for start in (1, 5, 9)
    ]
    # More windows than places: 12 frames, a span of 13 and one start.
    assert [clip_facts(view)[0] for view in evaluation_clips(store, 0, ClipShape(4, 4), 2, 1, 16)] == [
        [0, 4, 8, 0]
    ] * 2


@pytest.mark.parametrize("tall", [False, True])
def test_evaluation_crops_are_both_ends_and_the_centre(tall: bool) -> None:
    class Ramp(FrameStore):
        """10 frames of 8 x 20 pixels (or 20 x 8); frame t has 10 t + 5 x at x along the longer side."""

        def __init__(self) -> None:
            super().__init__(["ramp"], 8)
            self.count = lambda row: 10  # type: ignore[assignment]

        def read(self, row: int, indices: np.ndarray) -> np.ndarray:
            ramp = 10 * indices[:, None, None, None] + 5 * np.arange(20)[None, None, :, None]
            frames = np.broadcast_to(ramp, (len(indices), 8, 20, 3)).astype(np.uint8)
            return frames.swapaxes(1, 2) if tall else frames

    views = evaluation_clips(Ramp(), 0, ClipShape(2, 3), 2, 3, 8)
    assert views.shape == (6, 3, 2, 8, 8)
    levels = ((views[:, 0] * 0.225 + 0.45) * 255).round()
    # Seven starts in two halves: floor of 1.75 and 5.25. The crop starts at 0, 6 and 12 of the longer side.
    for n, (start, left) in enumerate([(1, 0), (1, 6), (1, 12), (5, 0), (5, 6), (5, 12)]):
        for t in range(2):
            along = levels[n, t, :, 0] if tall else levels[n, t, 0]
            assert along.tolist() == [10 * (start + 3 * t) + 5 * (left + x) for x in range(8)]
    one = evaluation_clips(Ramp(), 0, ClipShape(2, 3), 2, 1, 8)
    assert torch.equal(one, views[[1, 4]])
