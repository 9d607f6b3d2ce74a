"""The options that a class declares."""

from typing import Annotated, Any

import pytest
from annotated_types import Le
from helpers.input_errors import problems
from torch import nn

import ssl_video as sv
from ssl_video.options import REQUIRED, Option, declared, unvalidated
from ssl_video.spec import check_options


class First(sv.Algorithm):
    def __init__(
        self, task: sv.Task, model: nn.Module, *, threshold: sv.Fraction = 1, needed: Annotated[int, Le(3)]
    ) -> None:
        super().__init__()
        self.seen = {"threshold": threshold, "needed": needed}


class PassesOn(First):
    def __init__(self, *arguments: Any, more: int = 2, needed: Annotated[int, Le(5)] = 3, **options: Any):
        super().__init__(*arguments, needed=needed, **options)
        self.seen["more"] = more


class Replaces(First):
    def __init__(self, task: sv.Task, model: nn.Module, *, more: "Unknown" = 2) -> None:  # type: ignore[name-defined]  # noqa: F821
        super().__init__(task, model, threshold=more, needed=1)


TASK, MODEL = sv.Task(2, 4), nn.Linear(1, 1)


def test_options_in_the_order_of_the_constructor() -> None:
    assert list(declared(First)) == ["threshold", "needed"]
    assert declared(First)["needed"] == Option(REQUIRED, Annotated[int, Le(3)])
    assert declared(First)["needed"].type is int
    assert declared(Replaces) == {"more": Option(2, "Unknown")}
    assert declared(object) == {}


def test_options_that_are_passed_on_are_those_of_the_base_class() -> None:
    found = declared(PassesOn)
    assert list(found) == ["more", "needed", "threshold"]
    assert found["needed"] == Option(3, Annotated[int, Le(5)]), "its own, of the same name"
    assert PassesOn(TASK, MODEL, threshold=0).seen == {"more": 2, "needed": 3, "threshold": 0.0}
    assert check_options("p", PassesOn, {"threshold": 0.5}) == {"more": 2, "needed": 3, "threshold": 0.5}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"threshold": 7}, "PassesOn: threshold: input should be less than or equal to 1, found 7"),
        ({"more": "x"}, "PassesOn: more: input should be a valid integer, unable to parse string"),
        # The subclass allows it, its base class does not.
        ({"needed": 4}, "First: needed: input should be less than or equal to 3, found 4"),
    ],
)
def test_every_constructor_validates_its_options(options: dict[str, Any], problem: str) -> None:
    (found,) = problems(PassesOn, TASK, MODEL, **options)
    assert found.startswith(problem)


def test_values_that_a_subclass_computes_are_validated_too() -> None:
    assert Replaces(TASK, MODEL, more=1).seen["threshold"] == 1.0
    assert problems(Replaces, TASK, MODEL) == (
        "First: threshold: input should be less than or equal to 1, found 2",
    )


def test_unknown_options_are_errors() -> None:
    with pytest.raises(TypeError, match="thresold"):
        PassesOn(TASK, MODEL, thresold=0.5)


def test_checks_may_build_with_any_values() -> None:
    with unvalidated():
        assert PassesOn(TASK, MODEL, threshold=7).seen["threshold"] == 7
    assert problems(PassesOn, TASK, MODEL, threshold=7)
