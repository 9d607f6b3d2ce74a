"""Runs that are jobs of somebody else's scheduler: what their folders say, and what is told of them."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import records

from ssl_video.benchmarks.running import executors, prepare, run_queue
from ssl_video.benchmarks.running.executors import Event
from ssl_video.benchmarks.running.executors import cluster as cluster_module
from ssl_video.benchmarks.running.executors.cluster import Cluster, RunEnd, RunOrder
from ssl_video.errors import InputError
from ssl_video.spec import build
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan

SMALL = {
    "protocol": "per-class:2", "frames": 2, "stride": 2, "size": 8, "width": 0.125, "labeled_batch": 3,
    "unlabeled_batch": 4, "test_clips": 1, "steps": 6,
}  # fmt: skip


@pytest.fixture(scope="module")
def plans(video_folder: Path) -> list[Plan]:
    """Three runs of seconds."""
    specs = [build(SMALL | {"data": str(video_folder), "seed": seed}) for seed in range(3)]
    return prepare.plans(specs, Execution("cpu"))


def execution(folder: Path, **more: Any) -> Execution:
    """Return settings of runs of any number at a time, whose results are kept in a test's folder."""
    return Execution("cpu", 1, checkpoint_seconds=0, results=folder / "results", **{"jobs": None} | more)


class Told:
    """A scheduler whose jobs end as the test says."""

    def __init__(self) -> None:
        self.orders, self.cancelled = list[RunOrder](), list[str]()
        self.ends: dict[str, RunEnd] = {}

    def describe(self) -> str:
        return "nowhere"

    def send(self, orders: Sequence[RunOrder]) -> list[str]:
        self.orders += orders
        return [order.name for order in orders]

    def outcome(self, job: str) -> RunEnd | None:
        return self.ends.get(job)

    def cancel(self, jobs: Sequence[str]) -> None:
        self.cancelled += jobs
        self.ends |= {job: RunEnd("stopped") for job in jobs}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr(cluster_module, "_POLL_SECONDS", 0)
    return Told()


def test_where_a_run_stands_is_read_from_its_records(told: Told, plans: list[Plan], tmp_path: Path) -> None:
    executor, (plan, *_) = Cluster(told, execution(tmp_path)), plans
    metrics = executors.folder(tmp_path / "results", plan) / "metrics.jsonl"
    metrics.parent.mkdir(parents=True)
    metrics.write_text('{"step": 0}\n')
    executor.submit([plan])
    assert executor.news() == [], "it may wait in a queue, with the records of an earlier try"
    # The last line is being written.
    metrics.write_text("".join(f'{{"step": {step}}}\n' for step in range(4)) + '{"st')
    started, moved = executor.news()
    assert (started.kind, moved.kind) == ("started", "moved")
    assert moved.report is not None
    assert (moved.report.phase, moved.report.done, moved.report.total) == ("train", 4, 6)
    assert executor.news() == []
    metrics.write_text("".join(f'{{"step": {step}}}\n' for step in range(6)))
    (moved,) = executor.news()
    assert moved.report is not None
    assert moved.report.phase == "test"


def test_a_run_is_finished_when_its_folder_says_so(
    told: Told, plans: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network disk may show the result later than the scheduler tells the end; or it is no shared disk."""
    executor = Cluster(told, execution(tmp_path))
    executor.submit(plans[:2])
    shown, never = plans[0], plans[1]
    told.ends = {plan.name: RunEnd("finished", machine="node7") for plan in (shown, never)}
    assert executor.news() == []
    records.write_into(executors.folder(tmp_path / "results", shown), top1=0.5)
    assert executor.news() == [Event("finished", shown, result=records.result(run=shown.name, top1=0.5))]
    monkeypatch.setattr(cluster_module, "_SEEN_SECONDS", 0)
    (failed,) = executor.news()
    assert failed.kind == "failed"
    assert "on node7" in failed.reason
    assert "share this disk" in failed.reason


def test_what_somebody_else_stopped_counts_as_lost(told: Told, plans: list[Plan], tmp_path: Path) -> None:
    executor = Cluster(told, execution(tmp_path))
    executor.submit(plans[:1])
    told.ends = {plans[0].name: RunEnd("stopped", machine="node7")}
    (event,) = executor.news()
    assert (event.kind, event.reason) == ("lost", "stopped (on node7)")


def test_stopping_cancels_every_job_and_leaves_no_empty_folder(
    told: Told, plans: list[Plan], tmp_path: Path
) -> None:
    executor = Cluster(told, execution(tmp_path))
    executor.submit(plans)
    begun = executors.folder(tmp_path / "results", plans[1])
    (begun / "checkpoint.pt").touch()
    executor.stop()
    assert told.cancelled == [plan.name for plan in plans]
    assert list((tmp_path / "results" / "runs").iterdir()) == [begun]


def test_another_run_than_was_ordered_is_not_begun(told: Told, plans: list[Plan], tmp_path: Path) -> None:
    """Other data under the same name, or other code."""
    executor = Cluster(told, execution(tmp_path))
    executor.submit(plans[:1])
    (order,) = told.orders
    other = RunOrder("another", order.spec, order.execution, order.directory, order.cache)
    missing = cluster_module.carry_out(other, None)  # type: ignore[arg-type]
    assert missing.kind == "failed"
    assert "has to be on a disk that all machines share" in missing.reason
    (tmp_path / "results" / "runs" / "another").mkdir()
    wrong = cluster_module.carry_out(other, None)  # type: ignore[arg-type]
    assert wrong.kind == "failed"
    assert f"gives the run {order.name} on this machine" in wrong.reason


@pytest.mark.parametrize(("name", "library"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_library_is_named_with_its_extra(
    name: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=rf"pip install 'ssl-video\[{name}\]'"):
        executors.make(execution(tmp_path, executor=name))


def test_an_executor_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown executor 'slurrm'; did you mean slurm"):
        executors.make(execution(tmp_path, executor="slurrm"))


def test_only_clusters_have_options(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--executor-option num_gpus: only"):
        executors.make(execution(tmp_path, executor_options={"num_gpus": 1}))


# -- for real


def steps(results: Path, plan: Plan) -> list[int]:
    lines = (executors.folder(results, plan) / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def slurm(folder: Path, **options: Any) -> Execution:
    """Return settings of jobs that submitit starts on this machine."""
    return execution(folder, executor="slurm", executor_options={"cluster": "local"} | options)


def test_slurm_is_asked_for_by_submitit(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    with pytest.raises(InputError, match="cluster=local"):
        executors.make(execution(tmp_path, executor="slurm"))
    with pytest.raises(InputError, match=r"--executor-option: .*minutes"):
        executors.make(slurm(tmp_path, minutes=5))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")
def test_a_job_that_has_to_make_room_is_queued_again(video_folder: Path, tmp_path: Path) -> None:
    """As by Slurm, which sends this signal; it goes on from its checkpoint, and nobody else need know."""
    pytest.importorskip("submitit")
    (plan,) = prepare.plans([build(SMALL | {"data": str(video_folder), "steps": 200})], Execution("cpu"))
    executor = executors.make(slurm(tmp_path))
    assert isinstance(executor, Cluster)
    events = list[Event]()

    def notify(event: Event | None) -> None:
        begun = any(event.report.done for event in events if event.report)
        events.extend([event] if event else [])
        if event and event.report and event.report.done and not begun:
            number = executor._sent[0].job.job_id
            (job, *_) = Path(f"/proc/{number}/task/{number}/children").read_text().split()
            os.kill(int(job), signal.SIGUSR2)

    assert not run_queue.execute([plan], tmp_path / "results", executor, notify)
    assert [event.kind for event in events if event.kind != "moved"] == ["started", "finished"]
    assert steps(tmp_path / "results", plan) == list(range(200))
    (log,) = (tmp_path / "results" / "jobs").glob("*_log.out")
    assert "Requeued job" in log.read_text()


@pytest.fixture(scope="module")
def cluster() -> Any:
    """Two machines of one CPU each beside the one without any that this process is on."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=80_000_000)
    ray.init(address=made.address, logging_level="ERROR", log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def test_a_machine_of_a_ray_cluster_is_lost(cluster: Any, video_folder: Path, tmp_path: Path) -> None:
    """Its run goes on from its checkpoint elsewhere; all end once, with all their steps."""
    specs = [build(SMALL | {"data": str(video_folder), "seed": seed, "steps": 400}) for seed in range(2)]
    plans = prepare.plans(specs, Execution("cpu"))
    executor = executors.make(execution(tmp_path, executor="ray"))
    assert "nodes 3, CPUs 2" in executor.describe()
    events, lost = list[Event](), list[Any]()

    def notify(event: Event | None) -> None:
        events.extend([event] if event else [])
        if len({event.plan.name for event in events if event.kind == "moved"}) == 2 and not lost:
            lost.append(next(iter(cluster.worker_nodes)))
            cluster.remove_node(lost[0], allow_graceful=False)

    failures = run_queue.execute(plans, tmp_path / "results", executor, notify)
    assert not failures, failures
    # What is left of the lost machine, which is on this one, may hold the run for a moment.
    ends = [event.kind for event in events if event.is_end and event.kind != "busy"]
    assert sorted(ends) == ["crashed", "finished", "finished"]
    for plan in plans:
        assert steps(tmp_path / "results", plan) == list(range(400))
