"""Which clip and which frames: functions of the seed, with the arithmetic worked by hand."""

import re
from itertools import product

import numpy as np
import pytest

from ssl_video.contract import View
from ssl_video.data.views.sampling import (
    ClipShape,
    EpochOrder,
    Stream,
    ViewRequest,
    even_starts,
    frame_indices,
    part_indices,
    random_start,
    resolve,
)
from ssl_video.errors import InputError


def numbers(*key: object, count: int = 4) -> tuple[int, ...]:
    stream = Stream(*key)  # type: ignore[arg-type]
    return tuple(stream.integer(2**62) for _ in range(count))


def test_stream_is_a_function_of_its_key_and_each_part_of_the_key_counts() -> None:
    keys = list(product([0, 1, 2**40], ["window", "order"], [0, 1, 2**40], [0, 1, 2**20]))
    drawn = [numbers(*key) for key in keys]
    assert drawn == [numbers(*key) for key in keys]
    # Not only the whole: no number of one stream occurs in another, as it would were one shifted.
    assert len({number for stream in drawn for number in stream}) == 4 * len(keys)


def test_stream_is_not_shifted_by_what_other_places_draw() -> None:
    # One block of Philox gives four words; a long draw at one place must not run into its neighbours.
    long = numbers(3, "x", 5, 7, count=4000)
    for place in [(5, 8), (6, 7), (5, 6)]:
        assert not set(long) & set(numbers(3, "x", *place))


@pytest.mark.filterwarnings("error")
def test_whole_purpose_reaches_the_key() -> None:
    # Every second word is above 2^63, and would lose its lowest 11 bits if numpy made floats of the key.
    for purpose in [f"purpose {n}" for n in range(8)]:
        key = Stream(7, purpose)._philox.state["state"]["key"]
        assert int(key[0]) == 7
        assert int(key[1]) % 2048 != 0


class Words:
    """Stands in for Philox: gives the words it was made with."""

    def __init__(self, *words: int) -> None:
        self.words = list(words)

    def random_raw(self, size: int | None = None) -> int | np.ndarray:
        if size is None:
            return self.words.pop(0)
        return np.array([self.words.pop(0) for _ in range(size)], np.uint64)


def given(*words: int) -> Stream:
    stream = Stream(0, "x")
    stream._philox = Words(*words)  # type: ignore[assignment]
    return stream


def test_numbers_are_made_of_words_as_they_always_were() -> None:
    # Halves and quarters of 2^64.
    stream = given(0, 2**62, 2**63, 2**64 - 1)
    assert [stream.uniform() for _ in range(4)] == [0, 0.25, 0.5, 1 - 2**-53]
    stream = given(0, 2**62, 2**64 - 1)
    assert [stream.uniform(-1, 3) for _ in range(2)] == [-1, 0]
    assert stream.uniform(-1, 3) < 3
    # A third of 2^64 is where 1 of 3 begins.
    stream = given(0, 2**64 // 3, 2**64 // 3 + 1, 2**64 - 1)
    assert [stream.integer(3) for _ in range(4)] == [0, 0, 1, 2]
    assert given(5).integer(1) == 0
    # The places of the words in increasing order; of equal ones the first comes first.
    assert given(30, 10, 2**64 - 1, 10, 0).permutation(5).tolist() == [4, 1, 3, 0, 2]


def test_words_are_philoxs() -> None:
    # Written down from NumPy 2.4: a version that gives others would change every run.
    stream = Stream(7, "window/labeled/shared", 3, 2)
    assert [stream.integer(1000) for _ in range(6)] == [780, 567, 836, 653, 831, 925]
    assert stream.permutation(6).tolist() == [5, 4, 1, 2, 3, 0]


def test_numbers_are_evenly_spread() -> None:
    # 2000 draws of a uniform number: mean 1/2, deviation of the mean sqrt(1/12/2000) = .0065, six of it .039.
    stream = Stream(0, "spread")
    fractions = np.array([stream.uniform() for _ in range(2000)])
    assert abs(fractions.mean() - 0.5) < 0.039
    assert abs(np.corrcoef(fractions[1:], fractions[:-1])[0, 1]) < 6 / np.sqrt(2000)
    # Counts of 5 numbers in 2000 draws: 400, deviation 18, six of it 108.
    counts = np.bincount([stream.integer(5) for _ in range(2000)], minlength=5)
    assert len(counts) == 5
    assert np.abs(counts - 400).max() < 108
    # Every position of a permutation of 5 takes each number equally often.
    orders = np.array([stream.permutation(5) for _ in range(2000)])
    assert all(np.abs(np.bincount(column) - 400).max() < 108 for column in orders.T)


@pytest.mark.parametrize("size", [1, 5, 64])
def test_every_pass_holds_every_position_once(size: int) -> None:
    order = EpochOrder(0, "labeled", size)
    drawn = [order.at(n) for n in range(3 * size)]
    passes = [drawn[first : first + size] for first in range(0, 3 * size, size)]
    assert all(sorted(p) == list(range(size)) for p in passes)
    if size == 64:
        assert passes[0] != passes[1] != passes[2] != sorted(passes[2])


def test_order_does_not_depend_on_how_it_is_asked() -> None:
    straight = [EpochOrder(4, "unlabeled", 7).at(n) for n in range(40)]
    asked = EpochOrder(4, "unlabeled", 7)
    assert [asked.at(n) for n in reversed(range(40))] == straight[::-1]
    assert [EpochOrder(5, "unlabeled", 7).at(n) for n in range(40)] != straight
    assert [EpochOrder(4, "labeled", 7).at(n) for n in range(40)] != straight


def test_view_takes_from_its_network_what_it_leaves_open() -> None:
    shapes = {"primary": ClipShape(8, 4), "auxiliary": ClipShape(16, 2)}
    assert resolve(View("weak"), shapes) == ViewRequest("weak", 0, ClipShape(8, 4), "shared")
    assert resolve(View("strong", network="auxiliary"), shapes).shape == ClipShape(16, 2)
    assert resolve(View(network="auxiliary", frames=4), shapes).shape == ClipShape(4, 2)
    assert resolve(View(stride=1), shapes).shape == ClipShape(8, 1)
    assert resolve(View(window="own"), shapes).window == "own"
    assert resolve(View(copy=2), shapes).copy == 2


def test_a_rate_keeps_the_time_that_a_clip_spans() -> None:
    shapes = {"model": ClipShape(8, 4)}
    assert resolve(View(rate=0.5), shapes).shape == ClipShape(4, 8)
    assert resolve(View(rate=4), shapes).shape == ClipShape(32, 1)
    assert resolve(View(rate=0.5, frames=8), shapes).shape == ClipShape(8, 8)
    # 8 * 0.2 = 1.6 frames; 4 / 8 = half a frame apart; 8 / 16 = half a frame.
    for rate, found in ((0.2, "1.6 frames at stride 20"), (8, "stride 0.5"), (1 / 16, "0.5 frames")):
        with pytest.raises(InputError, match=re.escape(found)):
            resolve(View(rate=rate), shapes)


def test_span_counts_both_ends() -> None:
    assert ClipShape(8, 4).span == 29  # frames 0, 4, ..., 28
    assert ClipShape(1, 9).span == 1


def test_frames_go_on_from_the_first_after_the_last() -> None:
    assert frame_indices(2, ClipShape(4, 3), 20).tolist() == [2, 5, 8, 11]
    # 3, 5, 7 of 6 frames: 7 is 1. Then 9 is 3 again.
    assert frame_indices(3, ClipShape(4, 2), 6).tolist() == [3, 5, 1, 3]
    assert frame_indices(0, ClipShape(3, 2), 1).tolist() == [0, 0, 0]


# A window of 5 frames in 8 starts at 0, 1, 2 or 3; in 5, 4 or 1 frames at 0 only.
@pytest.mark.parametrize(("count", "starts"), [(8, [0, 1, 2, 3]), (6, [0, 1]), (5, [0]), (4, [0]), (1, [0])])
def test_random_start_takes_every_place_where_the_window_fits(count: int, starts: list[int]) -> None:
    drawn = [random_start(Stream(0, "start", step), 5, count) for step in range(400)]
    found, often = np.unique(drawn, return_counts=True)
    assert found.tolist() == starts
    # Counts are binomial, with a deviation of at most sqrt(400 / 4) = 10; six of them below the mean.
    assert often.min() >= 400 / len(starts) - 60


def test_even_starts_are_centres_of_equal_parts() -> None:
    # 13 starts, 0 to 12. One part: floor(6.5). Three parts of 13 / 3: floor of 2.17, 6.5, 10.83.
    assert even_starts(1, 5, 17).tolist() == [6]
    assert even_starts(3, 5, 17).tolist() == [2, 6, 10]
    # Two starts, 0 and 1, four windows: floor of .25, .75, 1.25, 1.75.
    assert even_starts(4, 5, 6).tolist() == [0, 0, 1, 1]
    assert even_starts(3, 5, 4).tolist() == [0, 0, 0]
    # As many windows as starts: each start once.
    assert even_starts(13, 5, 17).tolist() == list(range(13))


def test_one_frame_of_each_equal_part() -> None:
    """Twelve frames in three parts of four: 0-3, 4-7, 8-11."""
    assert part_indices(np.array([0.0, 0.0, 0.0]), 12).tolist() == [0, 4, 8]
    assert part_indices(np.array([0.5, 0.5, 0.5]), 12).tolist() == [2, 6, 10]
    assert part_indices(np.array([0.99, 0.25, 0.76]), 12).tolist() == [3, 5, 11]
    # Parts of 7/3 frames: 0-2.33, 2.33-4.67, 4.67-7.
    assert part_indices(np.full(3, 0.5), 7).tolist() == [1, 3, 5]
    # Fewer frames than parts are repeated, in order.
    assert part_indices(np.full(4, 0.5), 2).tolist() == [0, 0, 1, 1]
    assert part_indices(np.full(8, 1 - 2**-53), 5).max() == 4
