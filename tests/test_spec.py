import datetime
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from ssl_video.contract import Share
from ssl_video.errors import InputError
from ssl_video.spec import (
    Spec,
    build,
    check_options,
    configuration,
    digest,
    override,
    plain,
    read_yaml,
    setting,
)


def problems(make: Any, *arguments: Any) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        make(*arguments)
    return caught.value.problems


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
        "unknown key 'stepz'; did you mean steps or stride?",
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
        def __init__(self, task: object, *, threshold: Share = 0.95, decay: "Share" = 1) -> None: ...

    assert check_options("p", Plugin, {"threshold": 0}) == {"threshold": 0.0, "decay": 1.0}
    assert problems(check_options, "p", Plugin, {"threshold": 1.7, "decay": -0.1}) == (
        "p: threshold: input should be less than or equal to 1, found 1.7",
        "p: decay: input should be greater than or equal to 0, found -0.1",
    )


def test_annotations_that_only_a_type_checker_can_resolve() -> None:
    class Plugin:
        def __init__(self, task: "Tasque", *, weight: "float" = 0.5) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert check_options("p", Plugin, {"weight": 0.25}) == {"weight": 0.25}


# -- YAML and --set


def read(tmp_path: Path, text: str | bytes) -> dict[str, Any]:
    path = tmp_path / "run.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path)


def test_yaml(tmp_path: Path) -> None:
    text = "algorithm: cmpl\noptions: {threshold: 0.9}\ndraw:\nlearning_rate: 1e-3\n"
    spec = build(read(tmp_path, text))
    assert (spec.algorithm, spec.options, spec.draw, spec.learning_rate) == (
        "cmpl",
        {"threshold": 0.9},
        None,
        0.001,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: 1\nseed: [1, 2\ndata: x", r"run\.yaml is not valid YAML: expected .*, line 3, column 5"),
        ("steps: 1\n\tseed: 2", r"found character '\\t' that cannot start any token, line 2, column 1"),
        ("steps: 1: 2", "mapping values are not allowed here, line 1, column 9"),
        ("data: !!python/object/apply:os.getcwd []", "could not determine a constructor.*, line 1, column 7"),
        (b"\xff\xfe\x00", "is not valid YAML: 'utf-8' codec can't decode byte 0xff in position 0"),
        ("", "expected 'key: value' lines, found nothing"),
        ("- 1\n- 2", "expected 'key: value' lines, found a list"),
        ("cmpl", "expected 'key: value' lines, found a str"),
    ],
)
def test_yaml_errors_say_what_and_where(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*absent\.yaml: No such file"):
        read_yaml(tmp_path / "absent.yaml")
    with pytest.raises(InputError, match="Is a directory"):
        read_yaml(tmp_path)


def test_assignments_override_nested_values_and_leave_the_originals() -> None:
    values = {"steps": 5, "options": {"weight": 1.0}}
    assert override(
        values,
        ["options.threshold=0.9", "networks.auxiliary.width=0.5", "steps = 7", "data=a=b", "draw="],
    ) == {
        "steps": 7,
        "options": {"weight": 1.0, "threshold": 0.9},
        "networks": {"auxiliary": {"width": 0.5}},
        "data": "a=b",
        "draw": None,
    }
    assert values == {"steps": 5, "options": {"weight": 1.0}}


def test_assignments_into_an_empty_key() -> None:
    """The line "options:" alone is None in YAML."""
    assert override({"options": None}, ["options.threshold=0.9"]) == {"options": {"threshold": 0.9}}


def test_assignments_leave_what_json_cannot_hold() -> None:
    """YAML makes dates of what looks like one: a sentence of the specification's, not a crash here."""
    values = override({"data": datetime.date(2024, 1, 1)}, ["steps=3"])
    assert problems(build, values) == (
        "data: input should be a valid string, found datetime.date(2024, 1, 1)",
    )


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("steps", "--set steps: expected key=value, for example"),
        ("steps.x=3", "--set steps.x=3: 'steps' holds a value, not further keys"),
        ("data=[1", "--set data=\\[1: the value is not valid YAML: expected"),
    ],
)
def test_assignments_that_cannot_be(assignment: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        override({"steps": 5}, [assignment])


# -- identity


def test_plain_values_make_the_same_specification() -> None:
    spec = build({"draw": 3, "networks": {"a": {"width": 2}}, "options": {"x": (1, 2), "y": None}})
    text = yaml.safe_dump(plain(spec))
    again = build(yaml.safe_load(text))
    assert plain(again) == plain(spec)
    assert again.options == {"x": [1, 2], "y": None}


CELL = {
    "data": "folder",
    "root": "elsewhere",
    "split": "split2",
    "protocol": "percent:1",
    "draw": 4,
    "seed": 5,
    "labeled_in_unlabeled": True,
    "validation": 0.2,
    "lists": "published",
}
METHOD = {
    "algorithm": "fixmatch",
    "options": {"threshold": 0.5},
    "networks": {"auxiliary": {"width": 0.5}},
    "unlabeled_batch": 3,
}
SETTING = {
    "backbone": "other",
    "width": 0.5,
    "weights": "file.pt",
    "frames": 4,
    "stride": 2,
    "size": 32,
    "frame_format": "jpeg",
    "steps": 7,
    "match": "clips:40",
    "labeled_batch": 3,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "weight_decay": 0.1,
    "momentum": 0.5,
    "warmup": 0.5,
    "clip_norm": 1.0,
    "accumulate": 2,
    "batch_norm": "sync",
    "ema": 0.9,
    "precision": "float32",
    "test_clips": 2,
    "test_crops": 3,
}


def test_every_key_of_a_specification_is_cell_method_or_setting() -> None:
    """A new key has to be put in one of the three, on purpose."""
    assert {*CELL, *METHOD, *SETTING} == set(Spec.model_fields)
    assert all(build({key: value}) != build({}) for key, value in (CELL | METHOD | SETTING).items())


@pytest.mark.parametrize("key", CELL)
def test_a_cell_changes_neither_hash(key: str) -> None:
    spec = build({key: CELL[key]})
    assert (setting(spec), configuration(spec)) == (setting(build({})), configuration(build({})))


@pytest.mark.parametrize("key", METHOD)
def test_a_method_changes_the_configuration_alone(key: str) -> None:
    spec = build({key: METHOD[key]})
    assert setting(spec) == setting(build({}))
    assert configuration(spec) != configuration(build({}))


@pytest.mark.parametrize("key", SETTING)
def test_a_setting_changes_both(key: str) -> None:
    spec = build({key: SETTING[key]})
    assert setting(spec) != setting(build({}))
    assert configuration(spec) != configuration(build({}))


def test_runs_of_matched_methods_share_their_budget_and_not_their_steps() -> None:
    first, second = (build({"match": "clips:40", "steps": steps}) for steps in (5, 10))
    assert setting(first) == setting(second)
    assert configuration(first) != configuration(second)
    assert setting(build({"match": "clips:41", "steps": 5})) != setting(first)
    assert setting(build({"match": "seconds:40", "steps": 5})) != setting(first)
    assert setting(build({"match": "clips:40", "steps": 5, "learning_rate": 0.1})) != setting(first)


@pytest.mark.parametrize("text", ["clips", "clips:", "clips:-1", "clips:1e3", "steps:3", "clips:3 "])
def test_a_budget_has_a_kind_and_an_amount(text: str) -> None:
    with pytest.raises(InputError, match="match: string should match"):
        build({"match": text})


def test_a_plugins_source_changes_the_configuration() -> None:
    assert configuration(build({}), "a") != configuration(build({}), "b")
    assert configuration(build({}), "a") != configuration(build({}))


def test_hashes_do_not_depend_on_the_order_of_keys_or_the_form_of_numbers() -> None:
    first = build({"options": {"a": 1.0, "b": 2.0}, "learning_rate": 1, "steps": 10})
    second = build({"steps": 10.0, "learning_rate": 1.0, "options": {"b": 2.0, "a": 1.0}})
    assert configuration(first) == configuration(second)


def test_a_digest_is_the_same_for_ever() -> None:
    """Folders of old runs are found by it: `printf '[1, "a"]' | sha256sum | head -c 8`."""
    assert digest([1, "a"]) == "4a72386a"


def test_a_key_that_is_given_twice_is_no_yaml(tmp_path: Path) -> None:
    """On any level; YAML itself would take the second without a word."""
    file = tmp_path / "run.yaml"
    for text, line in (
        ("algorithm: fixmatch\nalgorithm: cmpl\n", 2),
        ("options: {weight: 1, weight: 2}\n", 1),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=rf"is given twice, line {line}"):
            read_yaml(file)
    file.write_text("defaults: &a {weight: 1}\noptions: {<<: *a, weight: 2}\n")
    assert read_yaml(file)["options"] == {"weight": 2}


def test_an_option_without_its_place_is_told_where_it_belongs() -> None:
    with pytest.raises(InputError, match=r"unknown key 'threshold'; .* is called options\.threshold here$"):
        build({"threshold": 0.8})
