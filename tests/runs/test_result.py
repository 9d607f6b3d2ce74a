"""The record of a finished run: what is written comes back, and what is wrong with a damaged one is said."""

import json
import math
from typing import Any

import pytest
from helpers.records import record, result
from pydantic import ValidationError

from ssl_video.runs.result import COLUMN_TYPES, COLUMNS, FORMAT, Accuracies, Environment, Result, row


def refused(content: Any) -> str:
    """Return why a record cannot be read; what is not text is turned into JSON."""
    with pytest.raises(ValueError, match=r".") as caught:
        Result.read(content if isinstance(content, str | bytes) else json.dumps(content))
    return str(caught.value)


# -- writing and reading


def test_what_is_written_comes_back() -> None:
    made = result(
        options={"threshold": 0.8, "shape": [1, 2]},
        predictors={"model": 0.5, "ema": {"top1": 0.25, "top5": 1.0, "mean_class": 0.125}},
        validation_accuracies={"model": {"top1": 1.0, "top5": 1.0, "mean_class": 1.0}},
        dataset="Ünder",
        spec={"networks": {"model": {"width": 0.5}}, "data": "/videos"},
    )
    content = made.write()
    assert Result.read(content) == made
    assert Result.read(content.encode()) == made
    assert Result.read(content).write() == content


def test_an_edited_record_is_refused() -> None:
    """Its layout does not matter, its values do; a record without checksum is of an older version."""
    values = json.loads(result(top1=0.25, gflops=math.nan).write())
    assert Result.read(json.dumps(values, sort_keys=True)).top1 == 0.25
    assert refused(values | {"top1": 0.75}) == "its checksum is wrong, so it was damaged or edited"
    assert refused(values | {"checksum": 3}) == "its checksum is wrong, so it was damaged or edited"
    del values["checksum"]
    assert refused(values | {"files": {"metrics.jsonl": "3 0"}}).startswith("its checksum is wrong")
    assert Result.read(json.dumps(values | {"top1": 0.75})).top1 == 0.75
    assert refused("[" * 100_000).startswith("not valid JSON")


def test_temperatures_come_back_and_may_be_absent() -> None:
    """A version that fitted none wrote records without them."""
    assert (
        Result.read(json.dumps({k: v for k, v in record().items() if k != "temperatures"})).temperatures == {}
    )
    made = result(temperatures={"model": 1.7})
    assert Result.read(made.write()).temperatures == {"model": 1.7}
    assert "temperatures" not in COLUMNS


def test_operations_that_were_not_counted_come_back() -> None:
    """JSON as the standard has it holds no NaN; Python's json reads and writes it."""
    made = result(gflops=math.nan, training_gflops=math.nan, top1=0.25)
    again = Result.read(made.write())
    assert math.isnan(again.gflops)
    assert math.isnan(again.training_gflops)
    known = made.model_copy(update={"gflops": 0.0, "training_gflops": 0.0})
    assert again.model_copy(update={"gflops": 0.0, "training_gflops": 0.0}) == known
    assert math.isnan(row(again)["gflops"])


def test_a_run_without_test_clips_has_no_accuracy() -> None:
    none = {"test": 0, "top1": None, "top5": None, "mean_class": None, "predictors": {}}
    made = result(**none)
    assert Result.read(made.write()) == made
    assert made.top1 is row(made)["mean_class"] is None
    assert COLUMN_TYPES["top1"] == COLUMN_TYPES["mean_class"] == "float64"
    (note,) = made.notes
    assert note.startswith("no test clips, so the run has no accuracy: --folds 5 tests every labeled clip")
    kept = {name: {"top1": share, "top5": 1.0, "mean_class": 0.5} for name, share in (("a", 0.5), ("b", 1.0))}
    assert result(**none, validation_accuracies=kept).notes[1:] == (
        "top-1 on its validation clips: a 50.0 %, b 100.0 %",
    )
    assert result(validation_accuracies=kept).notes == ()
    assert "top1" in refused({key: value for key, value in record(**none).items() if key != "top1"})


def test_a_record_says_its_format_and_is_readable_by_people() -> None:
    content = result().write()
    values = json.loads(content)
    assert values["format"] == FORMAT == 2
    assert content.endswith("}\n")
    assert len(content.splitlines()) > len(values)
    assert set(values) == {*Result.model_fields, "checksum"}
    assert set(values["environment"]) == set(Environment.model_fields)


def test_whole_numbers_are_fine_for_fractions() -> None:
    """Others than Python write 1 for 1.0."""
    made = Result.read(json.dumps(record(top5=1, seconds=30, validation=1, predictors={"model": {
        "top1": 0, "top5": 1, "mean_class": 0
    }})))  # fmt: skip
    assert (made.top5, made.seconds, made.validation) == (1.0, 30.0, 1.0)
    assert made.predictors["model"] == Accuracies(top1=0.0, top5=1.0, mean_class=0.0)


def test_what_a_later_version_adds_is_no_damage() -> None:
    assert Result.read(json.dumps(record() | {"energy": 7})) == result()


def test_a_result_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        result().top1 = 1.0  # type: ignore[misc]


# -- columns of the leaderboard


def test_columns_are_the_fields_that_are_described() -> None:
    described = {name for name, field in Result.model_fields.items() if field.description}
    assert set(COLUMNS) == described | {"device", "threads", "processes", "torch"}
    assert all(COLUMNS.values())
    first, last = list(COLUMNS)[:3], list(COLUMNS)[-3:]
    assert (first, last) == (["algorithm", "backbone", "initialisation"], ["torch", "finished", "run"])


def test_a_row_has_every_column_in_order_and_of_its_type() -> None:
    made = row(result(threads=4, device="some GPU", validation=0.2, top1=0.5))
    assert list(made) == list(COLUMNS)
    assert (made["threads"], made["device"], made["validation"], made["top1"]) == (4, "some GPU", 0.2, 0.5)
    kinds = {"int64": int, "float64": float, "bool": bool, "text": str}
    for name, kind in COLUMN_TYPES.items():
        expected = dict if name == "options" else kinds[kind]
        assert type(made[name]) is expected, name


# -- damage


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not valid JSON, perhaps truncated (Expecting value: line 1 column 1 (char 0))"),
        (result().write()[:200], "not valid JSON, perhaps truncated (Unterminated string"),
        (b"\xff\xfe", "not valid JSON, perhaps truncated ("),
        ([1], "expected an object, found list"),
        (3, "expected an object, found int"),
        (None, "expected an object, found NoneType"),
        ({}, "its format is 1, this version of ssl-video reads format 2"),
    ],
    ids=["empty", "cut", "no text", "list", "number", "null", "nothing"],
)
def test_what_is_no_record(content: Any, reason: str) -> None:
    assert refused(content).startswith(reason)


@pytest.mark.parametrize("number", [1, 3, None])
def test_another_format_is_named_before_anything_else(number: int | None) -> None:
    """An older record also lacks keys, which would say less."""
    values: dict[str, Any] = {"run": "old", "top1": 0.5, "format": number}
    if number == 1:
        del values["format"]  # as before formats had numbers
    assert refused(values) == (f"its format is {number}, this version of ssl-video reads format 2")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": True}, "seed: input should be a valid integer, found True"),
        ({"seed": 1.5}, "seed: input should be a valid integer, found 1.5"),
        ({"steps": None}, "steps: input should be a valid integer, found None"),
        ({"top1": 52.0}, "top1: input should be less than or equal to 1, found 52.0"),
        ({"top5": -0.5}, "top5: input should be greater than or equal to 0, found -0.5"),
        ({"mean_class": "0.5"}, "mean_class: input should be a valid number, found '0.5'"),
        ({"seconds": math.inf}, "seconds: input should be a finite number, found inf"),
        ({"seconds": math.nan}, "seconds: input should be a finite number, found nan"),
        ({"validation": "some"}, "validation: input should be a valid number, found 'some'"),
        ({"gflops": None}, "gflops: input should be a valid number, found None"),
        ({"run": 7}, "run: input should be a valid string, found 7"),
        ({"options": [1]}, "options: input should be a valid dictionary, found [1]"),
        ({"spec": "x"}, "spec: input should be a valid dictionary, found 'x'"),
        ({"labeled_in_unlabeled": 1}, "labeled_in_unlabeled: input should be a valid boolean, found 1"),
        ({"fingerprint": "123"}, "fingerprint: string should match pattern '^p', found '123'"),
        ({"dataset_fingerprint": "p1"}, "dataset_fingerprint: string should match pattern '^d', found 'p1'"),
        ({"setting": "1"}, "setting: string should match pattern '^s', found '1'"),
        ({"configuration": "1"}, "configuration: string should match pattern '^c', found '1'"),
        ({"frame_cache": {"hits": "1"}}, "frame_cache.hits: input should be a valid number, found '1'"),
        ({"threads": "1"}, "environment.threads: input should be a valid integer, found '1'"),
        (
            {"predictors": {"ema": {"top1": 2.0, "top5": 1.0, "mean_class": 0.0}}},
            "predictors.ema.top1: input should be less than or equal to 1, found 2.0",
        ),
        (
            {"steps": None, "seed": True},
            "steps: input should be a valid integer, found None; "
            "seed: input should be a valid integer, found True",
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_value_that_does_not_fit_is_named(changes: dict[str, Any], reason: str) -> None:
    assert refused(record(**changes)) == reason


def test_an_accuracy_that_is_no_number_is_refused() -> None:
    """NaN is a number to JSON, and would pass for the best of all."""
    assert refused(record(top1=math.nan)).startswith("top1: ")
    assert "found nan" in refused(record(predictors={"model": math.nan}))


def test_all_missing_keys_are_named_at_once() -> None:
    values = record(predictors={"primary": {"top1": 0.5}})
    del values["top5"], values["spec"], values["environment"]["device"]
    assert refused(values).split("; ") == [
        *("top5 is missing", "predictors.primary.top5 is missing"),
        *("predictors.primary.mean_class is missing", "spec is missing", "environment.device is missing"),
    ]
