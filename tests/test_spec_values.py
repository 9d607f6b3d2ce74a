"""Values and options of a specification: converted, filled in, and refused with all reasons at once."""

from typing import Any, Literal

import pytest
from helpers.input_errors import problems

from ssl_video.contract import Fraction, NonNegative
from ssl_video.errors import InputError
from ssl_video.spec import build, check_options

# -- values


def test_all_problems_are_found_at_once_with_the_nearest_names() -> None:
    found = problems(
        build,
        {
            "stepz": 1,
            "steps": "many",
            "optimizer": "adam",
            "seed": -1,
            "networks": {"primary": {"widht": 1, "frames": 0}},
        },
    )
    assert sorted(found) == [
        "networks.primary.frames: input should be greater than or equal to 1, found 0",
        "optimizer: input should be 'adamw' or 'sgd', found 'adam'",
        "seed: input should be greater than or equal to 0, found -1",
        "steps: input should be a valid integer, unable to parse string as an integer, found 'many'",
        "unknown key 'stepz'; did you mean steps or stride or head_steps?",
        "unknown key 'widht'; did you mean width or weights? (in networks.primary)",
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("learning_rate", 0),
        ("width", float("inf")),
        ("momentum", 1),
        ("warmup", 1),
        ("test_crops", 2),
        ("size", 4),
        ("seed", 2**32),
        ("steps", 1.5),
        ("steps", None),
        ("protocol", 10),
        ("options", 3),
        ("labeled_in_unlabeled", "perhaps"),
        ("networks", {"model": {"width": 0}}),
    ],
)
def test_values_that_cannot_be(key: str, value: Any) -> None:
    assert problems(build, {key: value})[0].startswith(key)


def test_flags_arrive_as_strings() -> None:
    spec = build({"steps": "12", "learning_rate": "1e-3", "labeled_in_unlabeled": "true", "test_crops": "3"})
    assert (spec.steps, spec.learning_rate, spec.labeled_in_unlabeled) == (12, 0.001, True)
    assert build({"draw": None}).draw is None


def test_the_draw_of_labels_is_the_seed_unless_given() -> None:
    assert build({"seed": 3}).label_draw == 3
    assert build({"seed": 3, "draw": 0}).label_draw == 0


@pytest.mark.parametrize("text", ["clips", "clips:", "clips:-1", "clips:1e3", "steps:3", "clips:3 "])
def test_a_budget_has_a_kind_and_an_amount(text: str) -> None:
    with pytest.raises(InputError, match="match: string should match"):
        build({"match": text})


def test_an_option_without_its_place_is_told_where_it_belongs() -> None:
    with pytest.raises(InputError, match=r"unknown key 'threshold'; .* is called options\.threshold here$"):
        build({"threshold": 0.8})


# -- options


class Method:
    """Every kind of option that an algorithm may have."""

    def __init__(
        self,
        task: object,
        model: object,
        *,
        threshold: float = 1,
        kind: Literal["hard", "soft"] = "hard",
        depth: int = 2,
        sharp: bool = False,
        range: tuple[float, float] = (0, 1),
        limit: float | None = 5.0,
        copy: bool = True,
        model_weight: float = 1.0,
    ) -> None: ...


DEFAULTS = {
    "threshold": 1.0,
    "kind": "hard",
    "depth": 2,
    "sharp": False,
    "range": (0.0, 1.0),
    "limit": 5.0,
    "copy": True,
    "model_weight": 1.0,
}


@pytest.mark.filterwarnings("error")
def test_options_are_filled_in_and_converted_to_their_types() -> None:
    made = check_options("m", Method, {})
    assert made == DEFAULTS
    assert isinstance(made["threshold"], float), "1 and 1.0 would be two different runs"
    given = {"threshold": "0.9", "range": [3, 4], "limit": None, "sharp": "true", "kind": "soft"}
    assert check_options("m", Method, given) == DEFAULTS | {
        "threshold": 0.9,
        "range": (3.0, 4.0),
        "limit": None,
        "sharp": True,
        "kind": "soft",
    }


def test_all_problems_with_options_are_found_at_once() -> None:
    given = {"thresold": 1, "kind": "mild", "depth": 1.5, "threshold": float("nan"), "task": 3}
    assert problems(check_options, "m", Method, given) == (
        "m: unknown option 'thresold'; did you mean threshold?",
        "m: unknown option 'task'; known: copy, depth, kind, limit, model_weight, range, sharp, threshold",
        "m: threshold: input should be a finite number, found nan",
        "m: kind: input should be 'hard' or 'soft', found 'mild'",
        "m: depth: input should be a valid integer, got a number with a fractional part, found 1.5",
    )


def test_options_without_annotations() -> None:
    class Plugin:
        def __init__(self, task, *, weight=1, name="a", free=None, needed):  # type: ignore[no-untyped-def]
            pass

    assert check_options("p", Plugin, {"weight": 0.5, "free": [1], "needed": 3}) == {
        "weight": 0.5,
        "name": "a",
        "free": [1],
        "needed": 3,
    }
    assert check_options("p", Plugin, {"needed": 3})["weight"] == 1
    assert problems(check_options, "p", Plugin, {"weight": "x", "name": 3}) == (
        "p: weight.int: input should be a valid integer, unable to parse string as an integer, found 'x'",
        "p: weight.float: input should be a valid number, unable to parse string as a number, found 'x'",
        "p: name: input should be a valid string, found 3",
        "p: option 'needed' has no default: give a value",
    )


def test_a_share_is_from_0_to_1() -> None:
    """FixMatch with the threshold 1.7 would train for a day and use no clip."""

    class Plugin:
        def __init__(self, task: object, *, threshold: Fraction = 0.95, decay: "Fraction" = 1) -> None: ...

    assert check_options("p", Plugin, {"threshold": 0}) == {"threshold": 0.0, "decay": 1.0}
    assert problems(check_options, "p", Plugin, {"threshold": 1.7, "decay": -0.1}) == (
        "p: threshold: input should be less than or equal to 1, found 1.7",
        "p: decay: input should be greater than or equal to 0, found -0.1",
    )


def test_what_is_not_negative_has_no_upper_end() -> None:
    class Plugin:
        def __init__(self, task: object, *, weight: NonNegative = 1.0) -> None: ...

    assert check_options("p", Plugin, {"weight": "0"}) == {"weight": 0.0}
    assert check_options("p", Plugin, {"weight": 1e9}) == {"weight": 1e9}
    for wrong in (-1e-9, float("inf"), float("nan")):
        assert len(problems(check_options, "p", Plugin, {"weight": wrong})) == 1


def test_annotations_that_only_a_type_checker_can_resolve() -> None:
    class Plugin:
        def __init__(self, task: "Tasque", *, weight: "float" = 0.5) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert check_options("p", Plugin, {"weight": 0.25}) == {"weight": 0.25}
