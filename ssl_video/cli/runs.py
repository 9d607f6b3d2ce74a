"""What `train` and `bench` share: prepare runs, carry them out, show the table. Imports torch."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from rich.console import Console

from ssl_video.benchmarks import leaderboard, matrix, prepare, tables
from ssl_video.benchmarks.compare import comparison
from ssl_video.cli.display import Display, preparing
from ssl_video.data.paths import cache_dir
from ssl_video.engine import checkpoint, differences, launch
from ssl_video.engine.assemble import choose_device, label
from ssl_video.engine.run import Execution, Plan
from ssl_video.spec import Spec

_MOST_JOBS = 4
_SHOWN = 5  # clips that are left out and named


@dataclass(frozen=True)
class Settings:
    """How runs are carried out, from a command's flags."""

    results: Path
    execution: Execution
    device: torch.device
    jobs: int
    skip_broken: bool
    cache_gib: float

    @staticmethod
    def of(flags: dict[str, Any], results: Path, jobs: int | None) -> "Settings":
        """The settings that flags and the machine give."""
        device = choose_device(flags["device"])
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # Runs of one thread side by side use cores better than one run of many threads.
        own = launch.detect(flags.get("devices"), flags.get("num_nodes"))
        jobs = jobs or (_gpus(device) if device.type == "cuda" else min(cores, _MOST_JOBS))
        execution = Execution(
            str(device),
            flags["threads"] or _wanted_threads() or max(1, cores // (jobs * own.devices)),
            flags["workers"],
            **own._asdict(),
            strategy=flags.get("strategy", "auto"),
            compile=flags["compile"],
            activation_checkpointing=flags["activation_checkpointing"],
            evaluate_every=flags["evaluate_every"],
            on_nonfinite=flags["on_nonfinite"],
        )
        return Settings(results, execution, device, jobs, flags["skip_broken"], flags["cache_gib"])


def carry_out(
    specs: Sequence[Spec], settings: Settings, baseline: str | None, resume: Path | None = None
) -> int:
    """Prepare and carry out runs, write the leaderboard, print the table; the command's exit status.

    Args:
        specs: the runs.
        settings: how.
        baseline: the algorithm that the others are compared with.
        resume: the folder of the run that the only one has to be.
    """
    # One of several processes that torchrun or srun started: the first one speaks for all.
    main = launch.rank(settings.execution) == 0
    console, aside = Console(quiet=not main), Console(stderr=True, quiet=not main)
    if main:
        prepare.check_writable(settings.results)
    matrix.start_server()
    plans = _plans(specs, settings, aside)
    if resume:
        differences.check_same(plans[0], resume)
    todo = [plan for plan in plans if not matrix.finished(settings.results, plan)]
    _introduce(plans, todo, settings, aside)
    try:
        failures = _execute(todo, settings, aside)
    except KeyboardInterrupt:
        done = sum(1 for plan in plans if matrix.finished(settings.results, plan))
        aside.print(f"{done} of {len(plans)} runs are finished and kept; the same command goes on from here")
        if main:
            leaderboard.write(settings.results)
        raise
    if main:
        _conclude(plans, failures, settings, baseline, console, aside)
    return 1 if failures else 0


def _plans(specs: Sequence[Spec], settings: Settings, aside: Console) -> list[Plan]:
    """The runs, their data prepared; specifications that come to the same run are one."""
    with preparing(aside) as progress, _one_after_the_other(settings.execution):
        plans = prepare.plans(
            specs,
            settings.device,
            skip_broken=settings.skip_broken,
            cache_gib=settings.cache_gib,
            processes=settings.execution.processes,
            progress=progress,
        )
    return list({plan.name: plan for plan in plans}.values())


def _execute(todo: Sequence[Plan], settings: Settings, aside: Console) -> list[matrix.Event]:
    """Carry out what is not finished; the failures."""
    if len(todo) == 1:
        for sentence in differences.unfinished(todo[0], settings.results / "runs"):
            aside.print(f"note: {sentence}", markup=False, highlight=False, soft_wrap=True)
    if not todo:
        return []
    with Display(aside, todo, settings.jobs) as display:
        return matrix.execute(todo, settings.results, settings.execution, settings.jobs, display.show)


def _conclude(
    plans: Sequence[Plan],
    failures: Sequence[matrix.Event],
    settings: Settings,
    baseline: str | None,
    console: Console,
    aside: Console,
) -> None:
    """Write the leaderboard and show the table, what failed, and what to run next."""
    path = leaderboard.write(settings.results)
    frame, problems = leaderboard.read(settings.results)
    for problem in problems:
        aside.print(f"warning: {problem}", markup=False)
    shown = frame[frame["run"].isin([plan.name for plan in plans])]
    if len(shown):
        compared = comparison(shown, baseline=baseline or "supervised")
        console.print(tables.to_terminal(compared, console.width))
    if failures and len(plans) > 1:
        # They were told as they came, perhaps hours ago.
        names = ", ".join(failure.plan.name for failure in failures)
        aside.print(f"{_count(len(failures), 'run')} failed: {names}", markup=False, soft_wrap=True)
    console.print(f"leaderboard: {path}", markup=False, soft_wrap=True)
    if baseline and not failures:
        _next_steps(plans, settings, console)


@contextmanager
def _one_after_the_other(execution: Execution) -> Iterator[None]:
    """Processes that somebody else started prepare the data in turn: the first does it for the machine."""
    if execution.launcher == "self":
        yield
        return
    cache_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(cache_dir() / "preparing.lock"):
        yield


def _wanted_threads() -> int:
    """Threads that the user's environment asks for, as for any program that uses OpenMP; 0: it does not."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() else 0


def _gpus(device: torch.device) -> int:
    """How many GPUs a device's name leaves open."""
    return 1 if device.index is not None else torch.cuda.device_count()


def _introduce(plans: Sequence[Plan], todo: Sequence[Plan], settings: Settings, console: Console) -> None:
    """What will run, on what, with which settings."""
    for data in {id(plan.data): plan.data for plan in plans}.values():
        splits = {name: len(data.index.rows(name)) for name in ("train", "test")}
        console.print(
            f"{data.index.name}: {splits['train']} training and {splits['test']} test clips, "
            f"{len(data.index.classes)} classes",
            highlight=False,
        )
        notes = [*data.index.notes, *(note for p in plans if p.data is data for note in p.partition.notes)]
        for note in dict.fromkeys(notes):
            console.print(f"  {note}", markup=False, highlight=False, soft_wrap=True)
        for clip, reason in list(data.broken.items())[:_SHOWN]:
            console.print(f"  left out {clip}: {reason}", markup=False, highlight=False, soft_wrap=True)
        if len(data.broken) > _SHOWN:
            console.print(f"  and {len(data.broken) - _SHOWN} more, see left-out.txt of any run")
    spec = max((plan.spec for plan in plans), key=lambda spec: spec.unlabeled_batch)
    networks = dict.fromkeys(label(plan.spec) for plan in plans)
    console.print(
        f"{', '.join(networks)}; {spec.frames}x{spec.stride} frames of {spec.size} px; {spec.steps} steps of "
        f"{spec.labeled_batch}+{spec.unlabeled_batch} clips; {spec.optimizer}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    threads = _count(settings.execution.threads or 1, "thread")
    if settings.execution.processes > 1:
        threads = f"{settings.execution.processes} processes with {threads}"
    begun = sum((matrix.folder(settings.results, plan) / checkpoint.CURRENT).exists() for plan in todo)
    console.print(
        f"{_count(len(plans), 'run')}, {len(plans) - len(todo)} of them finished before"
        f"{f', {begun} to go on from a checkpoint' if begun else ''}; "
        f"{settings.jobs} at a time on {settings.device}, {threads} each",
        highlight=False,
    )


def _next_steps(plans: Sequence[Plan], settings: Settings, console: Console) -> None:
    """What to run next."""
    last = matrix.folder(settings.results, plans[-1])
    data = plans[0].spec.data
    lines = [
        "next:",
        "  ssl-video bench --algo all                              every algorithm",
        "  ssl-video bench --data FOLDER --protocol per-class:5    your own videos, in class folders",
        f"  ssl-video predict {last} VIDEO",
    ]
    if data != "demo":
        del lines[1:3]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
