"""Batches are a function of seed, purpose, step and slot, however they are loaded."""

import numpy as np
import pytest
import torch
from helpers.batches import LABELS, Facts, Noise, all_batches, assert_same, pool, request

from ssl_video.data.frames.store import FrameStore
from ssl_video.data.views.augment import Transform


def test_batches_do_not_depend_on_workers_or_on_where_a_run_resumes() -> None:
    straight = all_batches(Noise(), range(9))
    for workers in (1, 4):
        assert_same(all_batches(Noise(), range(9), workers=workers), straight)
    assert_same(all_batches(Noise(), range(4, 9)), straight[4:])
    assert_same(all_batches(Noise(), range(4, 9), workers=2), straight[4:])


def test_batches_depend_on_the_seed() -> None:
    ours, others = all_batches(Noise(), range(3)), all_batches(Noise(), range(3), seed=1)
    assert not all(torch.equal(a.indices, b.indices) for a, b in zip(ours, others, strict=True))


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
    orders = [pool(Noise(), {}, purpose).within_rows(0).tolist() for purpose in ("labeled", "unlabeled")]
    assert orders[0] != orders[1]


def test_loading_leaves_torchs_generator_alone() -> None:
    before = torch.get_rng_state()
    for workers in (0, 2):
        all_batches(Noise(), range(2), workers)
    assert torch.equal(torch.get_rng_state(), before)


def test_indices_tell_clips_apart_and_nothing_else() -> None:
    """Rows come by class, so that numbers in their order would say whether two clips are of one."""
    some = pool(Noise(), {}, "unlabeled", rows=range(360), batch=8)
    assert sorted(some.by_index.tolist()) == list(range(360))
    for step in range(100):
        assert some.by_index[some.indices_of(step)].tolist() == some.rows_of(step).tolist()
    # 60 rows a class. By chance, neighbours are of one class in a sixth of 359 cases: 60 +- 7.
    classes = some.by_index // 60
    assert 30 < np.count_nonzero(classes[1:] == classes[:-1]) < 90
    assert abs(np.corrcoef(classes, np.arange(360))[0, 1]) < 0.2


def test_the_order_goes_on_over_steps_and_passes() -> None:
    for batch in (1, 4, 7):
        some = pool(Noise(), {}, batch=batch)
        drawn = np.concatenate([some.within_rows(step) for step in range(36)])
        assert all(sorted(drawn[first : first + 18]) == list(range(18)) for first in (0, 18))
        assert drawn[:36].tolist() == [pool(Noise(), {}, batch=1).within_rows(n)[0] for n in range(36)]


def test_balanced_batches_do_not_depend_on_shards() -> None:
    """Of 3, 1 and 6 clips per class; `LABELS` are 0 for the rows 0 to 5, then 1, then 2."""
    rows = [0, 3, 5, 7, *range(12, 18)]
    whole = pool(Noise(), {}, rows=rows, batch=6, balance=True)
    shared = pool(Noise(), {}, rows=rows, batch=6, balance=True, shards=3)
    for step in range(12):
        assert np.bincount(LABELS[whole.rows_of(step)]).tolist() == [2, 2, 2]
        assert shared.rows_of(step).tolist() == whole.rows_of(step).tolist()
        assert shared.within_rows(step, 1).tolist() == whole.within_rows(step)[2:4].tolist()
