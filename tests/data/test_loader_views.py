"""Views hold the right frames of the right clips, transformed alike where they should be."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.batches import CPU, FAST, LABELS, SLOW, Facts, Noise, pool, request

from ssl_video.contract import View
from ssl_video.data.frames.store import FrameStore
from ssl_video.data.loader import batches
from ssl_video.data.pool import Pool, evaluation_clips, requests
from ssl_video.data.views import augment
from ssl_video.data.views.augment import Recipe, Transform, draw
from ssl_video.data.views.sampling import ClipShape
from ssl_video.spec import build

COUNTS = np.tile(np.arange(12, 18), 3)


def described(transform: Transform) -> tuple[object, ...]:
    return transform.matrix.tobytes(), transform.colours, transform.box


# Which frames of which clips


def test_labels_and_positions_belong_to_the_clips(store: FrameStore, clip_facts: Facts) -> None:
    rows = np.array([17, 3, 8, 0, 12])
    labeled = pool(store, {"a": request()}, rows=rows)
    unlabeled = pool(store, {"a": request()}, "unlabeled", rows[::-1].copy(), batch=6)
    for batch in batches(labeled, LABELS[rows], unlabeled, range(6), CPU):
        assert [clip_facts(view)[1] for view in batch.labeled["a"]] == batch.labels.tolist()
        found = [clip_facts(view)[1:] for view in batch.unlabeled["a"]]
        assert [label * 6 + clip for label, clip in found] == unlabeled.by_index[batch.indices].tolist()
        assert batch.labels.dtype == batch.indices.dtype == torch.long


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


# Test videos


def test_evaluation_windows_are_evenly_spaced(store: FrameStore, clip_facts: Facts) -> None:
    # 17 frames have 11 starts for a span of 7; three parts of 11 / 3: floor of 1.83, 5.5, 9.17.
    views = evaluation_clips(store, 11, SLOW, build({"test_clips": 3, "size": 16}))
    assert views.shape == (3, 3, 4, 16, 16)
    assert [clip_facts(view) for view in views] == [
        ([start, start + 2, start + 4, start + 6], 1, 5) for start in (1, 5, 9)
    ]
    # More windows than places: 12 frames, a span of 13 and one start.
    assert [
        clip_facts(view)[0]
        for view in evaluation_clips(store, 0, ClipShape(4, 4), build({"test_clips": 2, "size": 16}))
    ] == [[0, 4, 8, 0]] * 2


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

    views = evaluation_clips(Ramp(), 0, ClipShape(2, 3), build({"test_clips": 2, "test_crops": 3, "size": 8}))
    assert views.shape == (6, 3, 2, 8, 8)
    levels = ((views[:, 0] * 0.225 + 0.45) * 255).round()
    # Seven starts in two halves: floor of 1.75 and 5.25. The crop starts at 0, 6 and 12 of the longer side.
    for n, (start, left) in enumerate([(1, 0), (1, 6), (1, 12), (5, 0), (5, 6), (5, 12)]):
        for t in range(2):
            along = levels[n, t, :, 0] if tall else levels[n, t, 0]
            assert along.tolist() == [10 * (start + 3 * t) + 5 * (left + x) for x in range(8)]
    one = evaluation_clips(Ramp(), 0, ClipShape(2, 3), build({"test_clips": 2, "size": 8}))
    assert torch.equal(one, views[[1, 4]])


# Sampling and augmentation are settings


def test_segments_see_the_whole_video(store: FrameStore, clip_facts: Facts) -> None:
    """In training one random frame of each part, in a test the middle ones; views of a window agree."""
    spec = build({"sampling": "segments"})
    views = {"a": request(), "b": request("weak"), "own": request(window="own")}
    clips = Pool("unlabeled", np.arange(18), views, 4, 16, 0, store, settings=spec)
    seen = np.zeros(18, int)
    for step in range(40):
        for slot in range(4):
            count = COUNTS[clips.rows_of(step)[slot]]
            found = clips.frames(step, slot)
            assert found["a"].tolist() == found["b"].tolist()
            first = np.arange(4) * count / 4
            assert (np.floor(first) <= found["a"]).all()
            assert (found["a"] < first + count / 4).all()
            seen[found["a"]] += 1
        if not step:
            assert any(
                f["a"].tolist() != f["own"].tolist() for f in (clips.frames(0, slot) for slot in range(4))
            )
    assert (seen[:12] > 0).all(), "every frame is drawn"
    test = build({"sampling": "segments", "test_clips": 1, "size": 16})
    (view,) = evaluation_clips(store, 0, SLOW, test)  # 12 frames in 4 parts
    assert clip_facts(view)[0] == [1, 4, 7, 10]
    twice = evaluation_clips(store, 0, SLOW, test.model_copy(update={"test_clips": 2}))
    assert [clip_facts(view)[0] for view in twice] == [[0, 3, 6, 9], [2, 5, 8, 11]]


def test_augmentation_is_that_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = list[Recipe]()

    def note(recipe: Recipe, *others: Any) -> Transform:
        drawn.append(recipe)
        return draw(recipe, *others)

    monkeypatch.setattr(augment, "draw", note)
    given = {"flip": 0, "area": 0.25, "aspect": 2, "operations": 1, "strength": 0.5, "cutout": 0}
    spec = build({"augmentation": given})
    views = {"weak": request("weak"), "strong": request("strong")}
    clips = Pool("unlabeled", np.arange(18), views, 4, 16, 0, Noise(), settings=spec).clips(0)
    weak = Recipe(area=(0.25, 1), aspect=(0.5, 2), flip=0)
    assert set(drawn) == {weak, replace(weak, operations=1, strength=0.5)}
    default = Pool("unlabeled", np.arange(18), views, 4, 16, 0, Noise()).clips(0)
    assert not torch.equal(clips["weak"], default["weak"])
