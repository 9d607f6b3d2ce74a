"""Detect the launcher of a run's processes (this project, torchrun, or Slurm's srun) and their ranks."""

import os
import socket
from collections.abc import Mapping
from typing import NamedTuple

from ssl_video.errors import InputError
from ssl_video.training.execution import Execution, Launcher

_PORT = "29500"  # torch's own default
# The variables in which launchers write a process's global rank, and those that identify the launcher.
_RANK = {"torchrun": "RANK", "slurm": "SLURM_PROCID"}
_TORCHRUN, _SLURM_TASKS = "TORCHELASTIC_RUN_ID", "SLURM_STEP_NUM_TASKS"


class Launch(NamedTuple):
    """The launcher of a run's processes and their number."""

    launcher: Launcher
    devices: int
    num_nodes: int


def detect(devices: int | None, num_nodes: int | None, environment: Mapping[str, str] = os.environ) -> Launch:
    """Return the launcher of this process and the number of processes.

    Args:
        devices: requested processes per machine; None: as many as were started, or one.
        num_nodes: requested machines; None: as many as were started, or one.
        environment: the process's environment variables.

    Raises:
        InputError: requested and started numbers differ, or several machines without a launcher.
    """
    launcher, started, here = _started(environment)
    if launcher == "self":
        if (num_nodes or 1) > 1 and not {"NODE_RANK", "MASTER_ADDR"} <= environment.keys():
            raise InputError(
                "--num-nodes: start one process per device with torchrun or srun, or run the same command on "
                "every machine with NODE_RANK (from 0) and MASTER_ADDR (the first machine) set"
            )
        return Launch("self", devices or 1, num_nodes or 1)
    made = Launch(launcher, devices or here, num_nodes or max(1, started // (devices or here)))
    if made.devices * made.num_nodes != started:
        raise InputError(
            f"{launcher} started {started} processes, but --devices {made.devices} times --num-nodes "
            f"{made.num_nodes} asks for {made.devices * made.num_nodes}: leave both out, or start as many"
        )
    return made


def places(execution: Execution) -> list[dict[str, str]]:
    """Return the environment variables of each process to start on this machine."""
    if execution.launcher != "self" or (execution.processes == 1 and execution.strategy == "auto"):
        return [{}]
    shared = {
        "WORLD_SIZE": str(execution.processes),
        "NODE_RANK": os.environ.get("NODE_RANK", "0"),
        "MASTER_ADDR": os.environ.get("MASTER_ADDR", "127.0.0.1"),
        "MASTER_PORT": os.environ.get("MASTER_PORT", _PORT if execution.num_nodes > 1 else _free_port()),
    }
    return [shared | {"LOCAL_RANK": str(number)} for number in range(execution.devices)]


def rank(execution: Execution, environment: Mapping[str, str] = os.environ) -> int:
    """Return a process's global rank, from its environment; rank 0 writes and reports."""
    if execution.launcher != "self":
        return int(environment[_RANK[execution.launcher]])
    node = int(environment.get("NODE_RANK", "0")) if execution.num_nodes > 1 else 0
    return node * execution.devices + int(
        environment.get("LOCAL_RANK", "0") if execution.processes > 1 else 0
    )


def _started(environment: Mapping[str, str]) -> tuple[Launcher, int, int]:
    """Return the launcher of this process, the number of processes, and the number on this machine."""
    if _TORCHRUN in environment:
        return "torchrun", int(environment["WORLD_SIZE"]), int(environment["LOCAL_WORLD_SIZE"])
    # srun sets the number of tasks; the variables of an allocation say nothing about this process.
    tasks = int(environment.get(_SLURM_TASKS, "1"))
    if tasks > 1:
        return "slurm", tasks, max(1, tasks // int(environment.get("SLURM_STEP_NUM_NODES", "1")))
    return "self", 1, 1


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
