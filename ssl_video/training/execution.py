"""Execution settings of runs: device, processes, executor, results folder."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from ssl_video.data.frames.store import LONG
from ssl_video.errors import InputError, unknown
from ssl_video.names import listed
from ssl_video.networks.devices import check_count, choose_device

Launcher = Literal["self", "torchrun", "slurm"]
Strategy = Literal["auto", "ddp"]
OnNonfinite = Literal["stop", "skip"]
Executor = Literal["local", "ray", "slurm"]
Logger = Literal["wandb", "mlflow", "tensorboard"]

RESULTS = Path("ssl-video-results")
LOGGERS = get_args(Logger)
_MOST_JOBS = 4
_LOADERS = 8
_LEAST = {
    "threads": 1, "workers": 0, "devices": 1, "num_nodes": 1, "evaluate_every": 0, "jobs": 1, "cache_gib": 0,
    "long_video": 0,
}  # fmt: skip
_CHOICES = {
    "strategy": get_args(Strategy),
    "on_nonfinite": get_args(OnNonfinite),
    "executor": get_args(Executor),
}


@dataclass(frozen=True)
class Execution:
    """Execution settings of runs. They change at most the rounding of results, with two exceptions.

    With several devices and batch_norm "local", each process normalises its own clips. With on_nonfinite
    "skip", a run continues where it would have stopped.

    Attributes:
        device: "auto", "cpu", "cuda" or "cuda:1".
        threads: CPU threads of each process; None: torch's default.
        workers: loading processes of each process of a run; None: see `loaders`.
        checkpoint_seconds: seconds between checkpoints.
        devices: processes on this machine, one per device.
        num_nodes: number of machines.
        strategy: "auto" is DDP with several processes.
        launcher: the program that starts the processes; "self" is this project.
        compile: whether networks are compiled.
        activation_checkpointing: whether blocks run again for the backward pass, which saves memory.
        evaluate_every: steps between evaluations on the validation clips; 0: none.
        on_nonfinite: whether a loss or gradient that is not finite stops the run, or skips the update.
        results: the results folder.
        jobs: number of concurrent runs; None: decided by the executor.
        executor: "local", "ray" or "slurm".
        executor_options: options of Ray's tasks or Slurm's jobs.
        skip_broken: quarantine videos that cannot be decoded instead of stopping.
        cache_gib: size limit of the cache of decoded frames, in GiB.
        long_video: seconds above which a video is read by seeking, and stored frame by frame as it is used.
        logger: experiment trackers that runs report to, besides their own files.

    Raises:
        InputError: every invalid value; both `compile` and `activation_checkpointing`.
    """

    device: str = "auto"
    threads: int | None = None
    workers: int | None = None
    checkpoint_seconds: float = 60.0
    devices: int = 1
    num_nodes: int = 1
    strategy: Strategy = "auto"
    launcher: Launcher = "self"
    compile: bool = False
    activation_checkpointing: bool = False
    evaluate_every: int = 0
    on_nonfinite: OnNonfinite = "stop"
    results: Path = RESULTS
    jobs: int | None = 1
    executor: Executor = "local"
    executor_options: Mapping[str, Any] = field(default_factory=dict)
    skip_broken: bool = False
    cache_gib: float = 20.0
    long_video: float = LONG
    logger: tuple[Logger, ...] = ()

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be a number from {least}, found {value!r}"
            for name, least in _LEAST.items()
            if (value := getattr(self, name)) is not None
            and not (isinstance(value, int | float) and value >= least)
        ]
        problems += [
            unknown(name, value, values)
            for name, values in _CHOICES.items()
            if (value := getattr(self, name)) not in values
        ]
        problems += [unknown("logger", name, LOGGERS) for name in self.logger if name not in LOGGERS]
        if problems:
            raise InputError(*problems)
        if self.devices > 1 and ":" in self.device:
            raise InputError(
                f"--device {self.device} is one device, and --devices {self.devices} asks for several: give "
                f"--device {self.device.partition(':')[0]}, and choose the GPUs by CUDA_VISIBLE_DEVICES"
            )
        # torch's compiler does not support checkpointing with a custom context; here a context keeps batch
        # norms from averaging a clip twice.
        if self.compile and self.activation_checkpointing:
            raise InputError(
                "--compile and --activation-checkpointing exclude each other: torch cannot compile blocks "
                "that run again. Leave out --compile where memory is short, else --activation-checkpointing"
            )

    @property
    def processes(self) -> int:
        """The number of processes of a run."""
        return self.devices * self.num_nodes

    def loaders(self, device_type: str, cores: int) -> int:
        """Return the number of loading processes of each process of a run.

        On a CPU the networks use every core. With a GPU the cores are free to prepare batches: there are 8,
        or fewer where runs and processes share fewer cores.

        Args:
            device_type: "cpu", "cuda" or "mps".
            cores: cores that this process may use.
        """
        if self.workers is not None:
            return self.workers
        if device_type != "cuda":
            return 0
        jobs = (self.jobs or 1) if self.executor == "local" else 1
        # srun gives each task cores of its own, unless it was told to bind nothing.
        alone = self.launcher == "slurm" and cores < (os.cpu_count() or 1)
        return max(1, min(_LOADERS, cores // (1 if alone else self.devices * jobs)))

    @property
    def cores_wanted(self) -> int:
        """The number of cores to request for a run on one machine, for threads and loading processes.

        They are 8 for each GPU, which most machines have, unless `workers` or `threads` say otherwise.
        """
        threads = self.threads or 1
        if self.workers is None and self.device.partition(":")[0] == "cuda":
            return max(_LOADERS, threads + 1) * self.devices
        return (threads + (self.workers or 0)) * self.devices

    @property
    def torch_device(self) -> torch.device:
        """The device; "auto" is the GPU if there is one."""
        return choose_device(self.device)


def complete(keywords: Mapping[str, Any]) -> Execution:
    """Return an execution in which unspecified settings are chosen for this machine.

    Args:
        keywords: fields of `Execution`; absent or None: unspecified. Unspecified `jobs` is one run per core
            on the CPU, at most 4, one per GPU, and any number elsewhere. `logger` may be a single name.

    Raises:
        InputError: an invalid value, no such device, or a number of processes that the launcher did not
            start.
    """
    # Not at the top: `launch` needs this module.
    from ssl_video.training import launch

    given = {key: value for key, value in keywords.items() if value is not None}
    # Once each: a run has one run in a tracker.
    given["logger"] = tuple(dict.fromkeys(listed(given.get("logger"))))
    wanted = Execution(**given)
    local, name = wanted.executor == "local", wanted.device
    device = choose_device(name) if local else _device_elsewhere(name)
    cores = usable_cores()
    own = launch.detect(given.get("devices"), given.get("num_nodes"))
    threads, jobs = given.get("threads") or _wanted_threads(), given.get("jobs")
    if local:
        check_count(device, own.devices, own.launcher)
        jobs = jobs or (_gpus(device) if device.type == "cuda" else min(cores, _MOST_JOBS))
        # Several runs of one thread use cores better than one run of many threads.
        threads = threads or max(1, cores // (jobs * own.devices))
    return replace(
        wanted,
        **own._asdict(),
        device=str(device),
        threads=threads or 1,
        jobs=jobs,
        results=Path(wanted.results),
    )


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _device_elsewhere(name: str) -> torch.device:
    """Return the kind of device of runs on other machines; this machine may have none of that kind."""
    if name == "auto":
        return choose_device(name)
    if name not in ("cpu", "cuda"):
        raise InputError(
            f"--device {name}: on other machines a run uses the GPU that it is assigned; give cpu or cuda"
        )
    return torch.device(name)


def _wanted_threads() -> int:
    """Return the number of threads in the environment variable of OpenMP programs; 0: not set."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() else 0


def _gpus(device: torch.device) -> int:
    """Return the number of GPUs to which a device's name may refer."""
    return 1 if device.index is not None else torch.cuda.device_count()
