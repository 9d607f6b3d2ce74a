"""Conditions that a user writes, and the runs that meet them."""

from typing import Any

import pandas as pd
import pytest
from helpers.records import run

from ssl_video.benchmarks.tables.filters import Condition, parse, select
from ssl_video.errors import InputError


def board() -> pd.DataFrame:
    """Five runs, whose `run` is their number."""
    facts: list[dict[str, Any]] = [
        {"algorithm": "supervised", "steps": 300, "spec": {"options": {}}},
        {"algorithm": "cmpl", "steps": 300, "backbone": "primary=tiny3d auxiliary=tiny3d*0.25"},
        {"algorithm": "cmpl", "steps": 900, "labeled_in_unlabeled": True, "backbone": "slow_r50"},
        {"algorithm": "fixmatch", "dataset": "ucf101", "spec": {"options": {"threshold": 0.8}}},
        {
            "algorithm": "fixmatch",
            "validation": 0.2,
            "protocol": "per-class:10",
            "spec": {"options": {"threshold": 0.95}},
        },
    ]
    return pd.DataFrame([run(**({"top1": 0.5, "run": str(n)} | fact)) for n, fact in enumerate(facts)])


def chosen(*conditions: str, keep: str = "") -> str:
    return "".join(select(board(), parse(conditions), keep)["run"])


def test_a_condition_is_read_from_text() -> None:
    assert parse(["algorithm=cmpl, fixmatch", " steps >= 900", "options.threshold!=0.8"]) == [
        Condition("algorithm", "=", ("cmpl", "fixmatch")),
        Condition("steps", ">=", ("900",)),
        Condition("options.threshold", "!=", ("0.8",)),
    ]
    # What follows the first sign is the value.
    assert parse(["backbone=primary=tiny3d"]) == [Condition("backbone", "=", ("primary=tiny3d",))]


def test_everything_that_is_no_condition_is_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parse(["steps", "steps=", "steps>=1,2", "=3", "seed=0"])
    assert len(caught.value.problems) == 4
    assert caught.value.problems[0].startswith("--where steps: expected KEY=VALUE[,VALUE]")


@pytest.mark.parametrize(
    ("condition", "runs"),
    [
        ("algorithm=cmpl", "12"),
        ("algorithm!=cmpl,supervised", "34"),
        ("validation=0.2", "4"),
        ("validation>=0.1", "4"),
        ("algorithm=*m*", "1234"),
        ("dataset=ucf101", "3"),
        ("steps=300", "0134"),
        ("steps=3e2", "0134"),
        ("steps>=900", "2"),
        ("steps<=300", "0134"),
        ("steps!=300", "2"),
        ("labeled_in_unlabeled=true", "2"),
        # A star in a name stands for itself, too.
        ("backbone=primary=tiny3d auxiliary=tiny3d*0.25", "1"),
        ("backbone=*tiny3d*", "0134"),
        # A key of the specification, which other runs need not have.
        ("options.threshold=0.8", "3"),
        ("options.threshold>=0.8", "34"),
        ("protocol=per-class:10", "4"),
    ],
)
def test_the_runs_that_meet_a_condition(condition: str, runs: str) -> None:
    assert chosen(condition) == runs


def test_conditions_are_met_together_and_none_is_met_by_all() -> None:
    assert chosen() == "01234"
    assert chosen("algorithm=cmpl", "steps=300") == "1"


def test_the_baseline_stays_unless_it_is_left_out() -> None:
    assert chosen("algorithm=cmpl", keep="supervised") == "012"
    assert chosen("algorithm=cmpl", keep="csupervised") == "012"  # its configuration
    assert chosen("algorithm=cmpl", keep="none") == "12"
    assert chosen("algorithm!=supervised", keep="supervised") == "1234"
    assert chosen("algorithm=cmpl", "steps>=900", keep="supervised") == "2"


def test_everything_unknown_is_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        chosen("algorithm=fixmach,cmpl", "protocol=per-class:5", "stepz=3", "seed=first", "algorithm>=2")
    assert caught.value.problems == (
        "unknown algorithm among the finished runs 'fixmach'; did you mean fixmatch?",
        "unknown protocol among the finished runs 'per-class:5'; did you mean per-class:4 or per-class:10?",
        "unknown key of a run 'stepz'; did you mean steps or stride?",
        "--where seed=first: seed is a number, but 'first' is not one",
        "--where algorithm>=2: algorithm is not a number; use = or !=",
    )
    with pytest.raises(
        InputError, match="unknown steps among the finished runs '400'; did you mean 900 or 300"
    ):
        chosen("steps=400")


def test_no_run_meets_all() -> None:
    with pytest.raises(InputError, match="no finished run has algorithm=cmpl and dataset=ucf101"):
        chosen("algorithm=cmpl", "dataset=ucf101")
