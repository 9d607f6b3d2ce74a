"""What becomes of runs that end in every way, with an executor that does as it is told."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from helpers.records import result, write_result

from ssl_video.benchmarks.running import run_queue
from ssl_video.benchmarks.running.executors import Event
from ssl_video.runs.lock import lock_folder
from ssl_video.signals import Preempted
from ssl_video.training.run import Plan


def plan(name: str) -> Plan:
    return cast(Plan, SimpleNamespace(name=name))


def finish(results: Path, name: str) -> None:
    write_result(results, run=name)


class Scripted:
    """Ends each run in the ways that are listed for it, one after the other, then well."""

    def __init__(self, results: Path, jobs: int | None = None, **ends: list[str | Callable[[], str]]) -> None:
        self.results, self.jobs, self.ends = results, jobs, ends
        self.batches, self.under_way, self.stopped = list[list[str]](), list[Plan](), False

    def describe(self) -> str:
        return ""

    def submit(self, plans: Sequence[Plan]) -> None:
        self.batches.append([plan.name for plan in plans])
        self.under_way += plans
        assert self.jobs is None or len(self.under_way) <= self.jobs

    def news(self) -> list[Event]:
        events = list[Event]()
        for plan in self.under_way:
            script = self.ends.get(plan.name, [])
            end = script.pop(0) if script else "finished"
            kind = end if isinstance(end, str) else end()
            done = result(run=plan.name) if kind == "finished" else None
            if done:
                finish(self.results, plan.name)
            events.append(Event(kind, plan, reason="so it is", result=done))
        self.under_way = []
        return events

    def stop(self) -> None:
        self.stopped = True


def execute(executor: Scripted, *names: str) -> tuple[list[tuple[str, str]], list[Event]]:
    """What happened, and the failures."""
    told: list[Event | None] = []
    plans = [plan(name) for name in names]
    failures = run_queue.execute(plans, executor.results, executor, told.append)
    assert executor.stopped
    return [(event.kind, event.plan.name) for event in told if event], failures


def test_a_run_that_is_lost_goes_on_once_and_then_has_failed(tmp_path: Path) -> None:
    executor = Scripted(tmp_path, once=["lost"], twice=["lost", "lost"], wrong=["failed"])
    told, failures = execute(executor, "once", "twice", "wrong")
    assert told == [
        *(("crashed", "once"), ("crashed", "twice"), ("failed", "wrong")),
        *(("finished", "once"), ("failed", "twice")),
    ]
    # What went wrong by itself would do so again.
    assert executor.batches == [["once", "twice", "wrong"], ["once", "twice"]]
    assert [(event.plan.name, event.reason) for event in failures] == [
        *(("wrong", "so it is"), ("twice", "so it is"))
    ]


def test_as_many_runs_at_a_time_as_there_is_room_for(tmp_path: Path) -> None:
    executor = Scripted(tmp_path, jobs=2, a=["lost"])
    execute(executor, "a", "b", "c", "d")
    assert executor.batches == [["a", "b"], ["c", "d"], ["a"]]


def test_what_another_process_finishes_is_not_done_again(tmp_path: Path) -> None:
    """At first it holds the run; when it is through, its result is there."""

    def held_for_a_moment() -> str:
        (tmp_path / "runs" / "theirs").mkdir(parents=True)
        lock = lock_folder(tmp_path / "runs" / "theirs")
        lock.__enter__()
        seen: list[None] = []

        def theirs() -> list[Event]:
            seen.append(None)
            if len(seen) == 3:
                finish(tmp_path, "theirs")
                lock.__exit__(None, None, None)
            return []

        executor.news = theirs  # type: ignore[method-assign]
        return "busy"

    executor = Scripted(tmp_path, theirs=[held_for_a_moment])
    told, failures = execute(executor, "theirs")
    assert told == [("busy", "theirs"), ("finished", "theirs")]
    assert executor.batches == [["theirs"]]
    assert not failures


def test_what_another_process_of_this_machine_lets_go_is_taken_up_at_once(tmp_path: Path) -> None:
    """And its lock is the only thing that is looked at while it is held."""
    folder = tmp_path / "runs" / "theirs"
    folder.mkdir(parents=True)
    with lock_folder(folder):
        pass  # this machine held it last
    executor = Scripted(tmp_path, theirs=["busy"])
    told, _ = execute(executor, "theirs")
    assert told == [("busy", "theirs"), ("finished", "theirs")]
    assert executor.batches == [["theirs"], ["theirs"]]


def test_what_another_machine_holds_is_asked_for_ever_more_rarely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock may not be seen from here, and to ask may mean a job in a queue."""
    clock, asked = [0.0], list[float]()
    monkeypatch.setattr(run_queue.time, "monotonic", lambda: clock[0])
    executor = Scripted(tmp_path, theirs=["busy"] * 5)
    submit = executor.submit

    def at_times(plans: Sequence[Plan]) -> None:
        asked.append(clock[0])
        submit(plans)

    def tick(event: Event | None) -> None:
        clock[0] += 0.25

    monkeypatch.setattr(executor, "submit", at_times)
    run_queue.execute([plan("theirs")], tmp_path, executor, tick)
    # Pauses of 1, 2, 4, 8, 16 s, and what passes between an answer and the next look at the clock.
    pauses = [after - before for before, after in pairwise(asked)]
    assert pauses == pytest.approx([1, 2, 4, 8, 16], abs=0.6)


def test_runs_that_are_told_to_stop_stop_everything(tmp_path: Path) -> None:
    executor: Any = Scripted(tmp_path, a=["stopped"])
    with pytest.raises(Preempted):
        run_queue.execute([plan("a"), plan("b")], tmp_path, executor, lambda _: None)
    assert executor.stopped


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")
def test_two_benchmarks_that_are_killed_leave_what_one_leaves_undisturbed() -> None:
    """See kill_matrix.py, which does the same for as long as one likes."""
    command = [
        sys.executable,
        str(Path(__file__).parents[1] / "kill_matrix.py"),
        "--kills",
        "6",
        "--seeds",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("identical") >= 1
