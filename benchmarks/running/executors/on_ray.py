"""Runs as tasks of a Ray cluster (https://docs.ray.io)."""

import logging
import os
import socket
from collections.abc import Sequence
from typing import Any

from ssl_video.benchmarks.running.executors.cluster import RunEnd, RunOrder, carry_out
from ssl_video.errors import InputError
from ssl_video.training.execution import Execution

_ADDRESS = "RAY_ADDRESS"
_ANSWER_SECONDS = 10.0


class Ray:
    """A `Scheduler`: the cluster at RAY_ADDRESS, or the one that this machine is part of.

    If there is neither, Ray is started on this machine alone. Each run is one task. Ray does not retry: the
    matrix repeats lost tasks.

    Args:
        execution: a task requests the cores of a run's threads and loading processes, and its GPUs.
            `executor_options` are further options of Ray's tasks, which take precedence: num_cpus, num_gpus,
            memory, resources, ...

    Raises:
        InputError: Ray is not installed, cannot be reached, or does not know an option.
    """

    def __init__(self, execution: Execution) -> None:
        try:
            import ray
        except ImportError:
            raise InputError("--executor ray needs Ray: pip install 'ssl-video[ray]'") from None
        self.ray = ray
        asked = {
            "num_cpus": execution.cores_wanted,
            "num_gpus": execution.devices if execution.device == "cuda" else 0,
        }
        try:
            self._task = ray.remote(max_retries=0, **asked | dict(execution.executor_options))(_task)
        except (TypeError, ValueError) as error:
            raise InputError(f"--executor-option: {str(error).splitlines()[0]}") from None
        self._here = self._connect()

    def _connect(self) -> bool:
        """Join a cluster, and return whether it had to be started."""
        if self.ray.is_initialized():
            return False
        quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        address = os.environ.get(_ADDRESS, "")
        if ":" in address:
            _check_reachable(address)
        try:
            self.ray.init(address="auto", **quiet)
        except ConnectionError as error:
            if address:
                raise InputError(f"{_ADDRESS}={address}: {str(error).splitlines()[0]}") from None
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            self.ray.init(address="local", include_dashboard=False, **quiet)
            return True
        return False

    def describe(self) -> str:
        """Return the cluster's machines, CPUs and GPUs, as the end of a sentence."""
        there = self.ray.cluster_resources()
        nodes = sum(bool(node["Alive"]) for node in self.ray.nodes())
        what = (
            f"Ray, started on this machine, as {_ADDRESS} names no cluster" if self._here else "a Ray cluster"
        )
        return f"on {what}: nodes {nodes}, CPUs {there.get('CPU', 0):.0f}, GPUs {there.get('GPU', 0):.0f}"

    def send(self, orders: Sequence[RunOrder]) -> list[Any]:
        """Submit a task for each order."""
        return [self._task.options(name=order.name).remote(order) for order in orders]

    def outcome(self, job: Any) -> RunEnd | None:
        """Return the outcome of a task; None if it has not ended."""
        errors = self.ray.exceptions
        if not self.ray.wait([job], timeout=0)[0]:
            return None
        try:
            return RunEnd(*self.ray.get(job))
        except errors.TaskCancelledError:
            return RunEnd("stopped")
        except errors.RayTaskError as error:
            return RunEnd("failed", str(error).strip().splitlines()[-1])
        except errors.RayError as error:
            # A worker was killed, or a machine is gone or out of memory.
            return RunEnd("lost", f"lost by Ray: {type(error).__name__}")

    def cancel(self, jobs: Sequence[Any]) -> None:
        """Interrupt tasks, each of which writes a checkpoint."""
        for job in jobs:
            self.ray.cancel(job)


def _check_reachable(address: str) -> None:
    """Check in seconds that a cluster answers, which takes Ray minutes.

    Raises:
        InputError: no cluster answers there.
    """
    host, _, port = address.rpartition("/")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"no Ray cluster answers at {_ADDRESS}={address} ({error}): start one there by `ray start --head`"
        ) from None


def _task(order: RunOrder) -> RunEnd:
    """Carry out an order on the machine that Ray chose."""
    return carry_out(order, order.executor())
