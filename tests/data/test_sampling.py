"""Which clip and which frames: functions of the seed, with the arithmetic worked by hand."""

from itertools import product

import numpy as np
import pytest

from ssl_video.contract import View
from ssl_video.data.sampling import (
    ClipShape,
    Order,
    Request,
    even_starts,
    frame_indices,
    random_start,
    resolve,
    stream,
)


def numbers(*key: object) -> tuple[int, ...]:
    return tuple(stream(*key).integers(0, 2**62, 4).tolist())  # type: ignore[arg-type]


def test_stream_is_a_function_of_its_key_and_each_part_of_the_key_counts() -> None:
    keys = list(product([0, 1, 2**40], ["window", "order"], [0, 1, 2**40], [0, 1, 2**20]))
    drawn = [numbers(*key) for key in keys]
    assert drawn == [numbers(*key) for key in keys]
    # Not only the whole: no number of one stream occurs in another, as it would were one shifted.
    assert len({number for stream_ in drawn for number in stream_}) == 4 * len(keys)


def test_stream_is_not_shifted_by_what_other_places_draw() -> None:
    # One block of Philox gives four words; a long draw at one place must not run into its neighbours.
    long = stream(3, "x", 5, 7).integers(0, 2**62, 4000)
    for place in [(5, 8), (6, 7), (5, 6)]:
        assert not set(long.tolist()) & set(stream(3, "x", *place).integers(0, 2**62, 4).tolist())


@pytest.mark.filterwarnings("error")
def test_whole_purpose_reaches_the_key() -> None:
    # Every second word is above 2^63, and would lose its lowest 11 bits if numpy made floats of the key.
    for purpose in [f"purpose {n}" for n in range(8)]:
        key = stream(7, purpose).bit_generator.state["state"]["key"]
        assert int(key[0]) == 7
        assert int(key[1]) % 2048 != 0


@pytest.mark.parametrize("size", [1, 5, 64])
def test_every_pass_holds_every_position_once(size: int) -> None:
    order = Order(0, "labeled", size)
    drawn = [order.at(n) for n in range(3 * size)]
    passes = [drawn[first : first + size] for first in range(0, 3 * size, size)]
    assert all(sorted(p) == list(range(size)) for p in passes)
    if size == 64:
        assert passes[0] != passes[1] != passes[2] != sorted(passes[2])


def test_order_does_not_depend_on_how_it_is_asked() -> None:
    straight = [Order(4, "unlabeled", 7).at(n) for n in range(40)]
    asked = Order(4, "unlabeled", 7)
    assert [asked.at(n) for n in reversed(range(40))] == straight[::-1]
    assert [Order(5, "unlabeled", 7).at(n) for n in range(40)] != straight
    assert [Order(4, "labeled", 7).at(n) for n in range(40)] != straight


def test_view_takes_from_its_network_what_it_leaves_open() -> None:
    shapes = {"primary": ClipShape(8, 4), "auxiliary": ClipShape(16, 2)}
    assert resolve(View("weak"), shapes) == Request("weak", ClipShape(8, 4), "shared")
    assert resolve(View("strong", network="auxiliary"), shapes).shape == ClipShape(16, 2)
    assert resolve(View(network="auxiliary", frames=4), shapes).shape == ClipShape(4, 2)
    assert resolve(View(stride=1), shapes).shape == ClipShape(8, 1)
    assert resolve(View(window="own"), shapes).window == "own"


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
    drawn = [random_start(stream(0, "start", step), 5, count) for step in range(400)]
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
