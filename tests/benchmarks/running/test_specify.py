"""Keys that were given by flags or keywords: above a file's, and never without effect."""

from typing import Any

import pytest
from helpers.input_errors import problems

from ssl_video.benchmarks.running.specify import specify

ONE = {"algorithm": "fixmatch", "networks": {"model": {"frames": 16, "backbone": "tiny3d"}}}
TWO = {"algorithm": "cmpl", "frames": 8, "networks": {"auxiliary": {"frames": 4, "weights": "second.pt"}}}


@pytest.mark.parametrize(
    ("values", "given", "assignments", "sentence"),
    [
        (ONE | {"frames": "8"}, ["frames"], {}, "--frames does not change networks.model.frames of fixmatch, "
         "which is 16: use --set networks.model.frames=8"),
        (ONE, [], {"frames": 8}, "--set frames does not change networks.model.frames of fixmatch, "
         "which is 16: use --set networks.model.frames=8"),
        # Above a flag, which is itself above the file.
        (ONE | {"frames": "16"}, ["frames"], {"frames": 8}, "--set frames does not change "
         "networks.model.frames of fixmatch, which is 16: use --set networks.model.frames=8"),
        ({"networks": {"model": {"weights": "a.pt"}}}, [], {"weights": None}, "--set weights does not change "
         "networks.model.weights of supervised, which is a.pt: use --set networks.model.weights=null"),
    ],
)  # fmt: skip
def test_a_key_that_the_first_network_sets_by_itself_is_refused(
    values: dict[str, Any], given: list[str], assignments: dict[str, Any], sentence: str
) -> None:
    assert problems(specify, values, given, assignments) == (sentence,)


def test_all_of_them_are_named() -> None:
    values = ONE | {"frames": 8, "backbone": "slow_r50"}
    assert len(problems(specify, values, ["backbone", "frames"], {"frames": 4})) == 2


@pytest.mark.parametrize(
    ("values", "given", "assignments"),
    [
        # The same in another form; a key that no network has.
        (ONE | {"frames": "16"}, ["frames"], {"backbone": "tiny3d", "steps": 3}),
        # The file's own key beside its network's: nobody has given it.
        (ONE | {"frames": 8}, [], {}),
        # The network was given, too.
        (ONE | {"frames": 8}, ["frames"], {"networks.model.frames": 4}),
        # It reaches the first network; the other has a value of its own.
        (TWO | {"weights": "first.pt"}, ["weights"], {"frames": 16}),
        # What is wrong with a name is told with everything else.
        (ONE | {"frames": 8, "algorithm": "fixmach"}, ["frames"], {}),
    ],
)
def test_others_are_not(values: dict[str, Any], given: list[str], assignments: dict[str, Any]) -> None:
    assert specify(values, given, assignments).algorithm == values["algorithm"]
