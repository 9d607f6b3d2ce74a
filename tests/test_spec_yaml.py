"""Specifications from YAML files, and `--set` on top of them."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from helpers.input_errors import problems

from ssl_video.errors import InputError
from ssl_video.spec import build, override, parse_assignments, read_yaml

# -- files


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b: &b {k: 1}\nc: {<<: *b, k: 2}\n", {"k": 2}),
        # A copy of a mapping that stands deeper, and of one whose copied key is overridden.
        ("b: &b {k: 1}\nx: {a: &a {<<: *b, k: 2}}\nc: {<<: *a, y: 1}\n", {"k": 2, "y": 1}),
        ("b: &b {k: 1}\na: &a {<<: *b, k: 2}\nc: {<<: [*b, *a], y: 1}\n", {"k": 1, "y": 1}),
        ("b: &b {k: 1}\na: &a {k: 2, z: 3}\nc: {y: 1, <<: [*b, *a]}\n", {"k": 1, "y": 1, "z": 3}),
        ("c: &c {<<: *c, y: 1}\n", {"y": 1}),
    ],
)
def test_keys_that_are_copied_may_be_overridden(tmp_path: Path, text: str, expected: object) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    assert read_yaml(file)["c"] == expected


def test_only_mappings_are_copied(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="<< expects a mapping or a list of mappings, found a scalar, line"):
        read(tmp_path, "c: {<<: 3}\n")


# -- --set


def test_assignments_override_nested_values_and_leave_the_originals() -> None:
    values = {"steps": 5, "options": {"weight": 1.0}}
    assignments = parse_assignments(
        ["options.threshold=0.9", "networks.auxiliary.width=0.5", "steps = 7", "data=a=b", "draw="]
    )
    assert override(values, assignments) == {
        "steps": 7,
        "options": {"weight": 1.0, "threshold": 0.9},
        "networks": {"auxiliary": {"width": 0.5}},
        "data": "a=b",
        "draw": None,
    }
    assert values == {"steps": 5, "options": {"weight": 1.0}}


def test_assignments_into_an_empty_key() -> None:
    """The line "options:" alone is None in YAML."""
    assert override({"options": None}, {"options.threshold": 0.9}) == {"options": {"threshold": 0.9}}


def test_assignments_leave_what_json_cannot_hold() -> None:
    """YAML makes dates of what looks like one: a sentence of the specification's, not a crash here."""
    values = override({"data": datetime.date(2024, 1, 1)}, {"steps": 3})
    assert problems(build, values) == (
        "data: input should be a valid string, found datetime.date(2024, 1, 1)",
    )


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("steps", "--set steps: expected key=value, for example"),
        ("steps.x=3", "--set steps.x: 'steps' holds a value, not further keys"),
        ("data=[1", "--set data=\\[1: the value is not valid YAML: expected"),
    ],
)
def test_assignments_that_cannot_be(assignment: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        override({"steps": 5}, parse_assignments([assignment]))


# -- texts that are not what they say, or grow


LAUGHS = "&a0 [0]\n" + "".join(f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
HOSTILE = {
    "2001-99-99": "month must be in",
    "!!int abc": "invalid literal for int",
    "!!bool x": "not of the kind that its tag says",
    "!!timestamp x": "not of the kind that its tag says",
    "!!float": "not of the kind that its tag says",
    "9" * 5000: "Exceeds the limit",
    "[" * 3000: "nested more than 100 times",
    "[" * 120 + "]" * 120: "nested more than 100 times",
    "&a [*a]": "nested more than 100 times",
    "!!python/object/apply:os.getcwd []": "could not determine a constructor",
    "[" + "&a 1, " + "*a, " * 1001 + "]": "more than 1000 aliases",
}


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:20])
def test_values_that_are_not_what_they_say(tmp_path: Path, text: str) -> None:
    """PyYAML raises other errors than its own for them."""
    for call in (lambda: parse_assignments([f"seed={text}"]), lambda: read(tmp_path, f"seed: {text}\n")):
        with pytest.raises(InputError, match="is not valid YAML") as told:
            call()
        assert HOSTILE[text] in str(told.value)
        assert len(str(told.value)) < 400


def test_a_few_lines_that_stand_for_billions_of_values(tmp_path: Path) -> None:
    """The message once wrote them out, until the memory was full."""
    with pytest.raises(InputError, match="stands for more than 100,000 values"):
        read(tmp_path, f"b0: {LAUGHS}steps: *a11\n")
    merged = "a0: &a0 {x: 1}\n" + "".join(
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 12)
    )
    assert read(tmp_path, merged)["a11"] == {"x": 1}


def test_a_message_does_not_repeat_a_large_value() -> None:
    for values in ({"steps": [list(range(1000))] * 1000}, {"steps": "x" * 10**6}, {"x" * 10**6: 1}):
        (problem,) = problems(build, values)
        assert len(problem) < 1000
    (problem,) = problems(build, {"steps": 10**5000})
    assert problem.endswith("less than or equal to 1000000000000, found a number of about 5,000 digits")


def test_a_file_has_a_largest_size(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="larger than 1,048,576 bytes"):
        read(tmp_path, "#" * 2**20 + "\n")
