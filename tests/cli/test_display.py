"""Progress without a terminal: runs under way are told apart by what tells their methods apart."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.records import result
from rich.console import Console

from ssl_video import display
from ssl_video.benchmarks.running.executors import Event
from ssl_video.benchmarks.tables.naming import method_names
from ssl_video.display import Display
from ssl_video.spec import build, configuration
from ssl_video.training.loop import RunProgress


def plan(dataset: str = "demo", **values: Any) -> Any:
    """What a display needs of a plan."""
    spec = build({"protocol": "per-class:3", "steps": 10, **values})
    made = SimpleNamespace(spec=spec, configuration=configuration(spec), name=f"{dataset}{values}")
    made.data = SimpleNamespace(index=SimpleNamespace(name=dataset))
    return made


def shown(*plans: Any, **values: Any) -> list[str]:
    """The lines of runs that finish one after the other."""
    console = Console(file=io.StringIO(), width=160)
    with Display(console, plans, method_names({each.configuration: each.spec for each in plans})) as display:
        for each in plans:
            display.show(Event("started", each))
            display.show(Event("finished", each, result=result(**{"top1": 0.5, "seconds": 7.2} | values)))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_variants_of_one_algorithm() -> None:
    assert shown(
        plan(algorithm="fixmatch", options={"threshold": 0.95}),
        plan(algorithm="fixmatch", options={"threshold": 0.8}),
        plan(algorithm="some/where.py:mine", seed=1, draw=4),
    ) == [
        "finished fixmatch threshold=0.95  per-class:3  seed 0: top-1 50.0 in 7 s",
        "finished fixmatch threshold=0.8  per-class:3  seed 0: top-1 50.0 in 7 s",
        "finished mine  per-class:3  draw 4  seed 1: top-1 50.0 in 7 s",
    ]


def test_a_run_without_test_clips() -> None:
    """It is told without an accuracy."""
    assert shown(plan(algorithm="cmpl"), top1=None, test=0) == [
        "finished cmpl  per-class:3  seed 0: without test clips in 7 s"
    ]


@pytest.mark.parametrize("other", ["demo", "mine"])
def test_several_data_sets(other: str) -> None:
    lines = shown(plan(algorithm="cmpl"), plan(other, algorithm="cmpl", data="mine.csv"))
    second = "finished cmpl  per-class:3" if other == "demo" else "finished cmpl  mine  per-class:3"
    assert lines[1].startswith(second)


def test_a_warning_of_many_runs_is_shown_once() -> None:
    one, other = plan(algorithm="cmpl"), plan(algorithm="cmpl", seed=1)
    console = Console(file=io.StringIO(), width=160)
    with Display(console, [one, other], method_names({one.configuration: one.spec})) as display:
        for each in (one, other):
            display.show(Event("started", each))
            display.show(Event("warned", each, reason="the server is gone"))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == ["cmpl  per-class:3  seed 0: the server is gone"]


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_features_are_not_taken_for_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs compute 900 clips' features, 10 a second; then one has 40 steps in 20 s."""
    clock = Clock()
    monkeypatch.setattr(display, "time", clock)
    plans = [plan(algorithm="fixmatch", seed=seed, steps=40) for seed in range(4)]
    console = Console(file=io.StringIO(), width=160)
    with Display(console, plans, method_names({p.configuration: p.spec for p in plans})) as shown:

        def moved(number: int, after: float, *report: Any) -> str:
            clock.now += after
            shown.show(Event("moved", plans[number], report=RunProgress(*report)))
            return shown._time_left()

        for each in plans[:2]:
            shown.show(Event("started", each))
        assert moved(0, 1, "features", 0, 900, 0) == ""
        moved(1, 0, "features", 0, 900, 0)
        assert moved(0, 10, "features", 100, 900, 0) == "about 80 s left for these features"
        assert moved(1, 0, "features", 100, 900, 0) == "about 80 s left for these features"
        # Other features of the same run: the count begins anew.
        moved(0, 80, "features", 0, 900, 0)
        assert moved(0, 20, "features", 100, 900, 0) == "about 3 min left for these features"
        moved(0, 160, "features", 900, 900, 0)
        moved(1, 0, "features", 900, 900, 0)
        # 0.45 of the run in 10 s, so 22 s each: 0.55 is left of two runs, and two wait.
        moved(0, 10, "train", 20, 40, 480)
        assert moved(1, 0, "train", 20, 40, 480) == "about 34 s left"
        # Features that a run computes meanwhile come on top.
        moved(1, 0, "features", 0, 900, 0)
        assert moved(1, 5, "features", 50, 900, 0).endswith("min left")
        shown.show(Event("finished", plans[0], result=result(top1=0.5)))
        assert shown._seconds == {plans[0].configuration: [15]}
    assert isinstance(console.file, io.StringIO)
    lines = [line for line in console.file.getvalue().splitlines() if "runs;" in line]
    assert "seed 0 0/900 computing features" in lines[0]
