"""What `train` and `bench` share: prepare runs, carry them out, show the table. Imports torch."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from ssl_video.benchmarks.running import executors, matching, matrix, prepare
from ssl_video.benchmarks.tables import layout, leaderboard
from ssl_video.benchmarks.tables.compare import comparison
from ssl_video.benchmarks.tables.naming import method_names
from ssl_video.benchmarks.tables.terminal import to_terminal
from ssl_video.cli.display import Display, counted, preparing
from ssl_video.engine import checkpoint, differences, launch
from ssl_video.engine.assemble import choose_device, label
from ssl_video.engine.record import RESULT
from ssl_video.engine.run import Execution, Plan
from ssl_video.errors import InputError
from ssl_video.spec import Spec, setting

_MOST_JOBS = 4
_SHOWN = 5  # clips that are left out and named


@dataclass(frozen=True)
class Settings:
    """How runs are carried out, from a command's flags; `jobs` is None where others decide how many."""

    results: Path
    execution: Execution
    device: torch.device
    jobs: int | None
    skip_broken: bool
    cache_gib: float
    executor: str = "local"
    executor_options: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(flags: dict[str, Any], results: Path, jobs: int | None) -> "Settings":
        """The settings that flags and the machine give."""
        executor = flags.get("executor", "local")
        device = choose_device(flags["device"]) if executor == "local" else _device_elsewhere(flags["device"])
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # Runs of one thread side by side use cores better than one run of many threads.
        own = launch.detect(flags.get("devices"), flags.get("num_nodes"))
        threads = flags["threads"] or _wanted_threads()
        if executor == "local":
            jobs = jobs or (_gpus(device) if device.type == "cuda" else min(cores, _MOST_JOBS))
            threads = threads or max(1, cores // (jobs * own.devices))
        execution = Execution(
            str(device),
            threads or 1,
            flags["workers"],
            **own._asdict(),
            strategy=flags.get("strategy", "auto"),
            compile=flags["compile"],
            activation_checkpointing=flags["activation_checkpointing"],
            evaluate_every=flags["evaluate_every"],
            on_nonfinite=flags["on_nonfinite"],
        )
        return Settings(
            results, execution, device, jobs, flags["skip_broken"], flags["cache_gib"],
            executor, flags.get("executor_options", {}),
        )  # fmt: skip

    def make_executor(self) -> executors.Executor:
        """What carries out the runs."""
        conditions = executors.Conditions(self.results, self.execution, self.skip_broken, self.cache_gib)
        return executors.make(self.executor, conditions, self.jobs, self.executor_options)


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
        leaderboard.check_replaceable(settings.results)
        prepare.check_writable(settings.results)
    # Before the data is prepared: its options may be wrong, or its scheduler out of reach.
    executor = settings.make_executor()
    plans = _plans(specs, settings, aside)
    if resume:
        differences.check_same(plans[0], resume)
    todo = [plan for plan in plans if not matrix.finished(settings.results, plan)]
    _introduce(plans, todo, settings, executor, aside)
    try:
        failures = _execute(todo, settings, executor, aside)
    except KeyboardInterrupt:
        done = sum(1 for plan in plans if matrix.finished(settings.results, plan))
        aside.print(f"{done} of {len(plans)} runs are finished and kept; the same command goes on from here")
        if main:
            leaderboard.write(settings.results)
        raise
    if main:
        _conclude(plans, failures, settings, baseline, console, aside)
    return 1 if failures else 0


def matched(specs: Sequence[Spec], match: str, settings: Settings) -> list[Spec]:
    """Specifications with the steps that give all methods as much, see `matching.matched`."""
    if match == "steps":
        return list(specs)
    with preparing(Console(stderr=True)) as progress:
        resolved = prepare.resolve(specs, settings.device)
        return matching.matched(resolved, match, settings.results, settings.device, progress)


def _plans(specs: Sequence[Spec], settings: Settings, aside: Console) -> list[Plan]:
    """The runs, their data prepared; specifications that come to the same run are one."""
    # Processes that somebody else started prepare the data in turn: the first does it for the machine.
    turn = nullcontext() if settings.execution.launcher == "self" else prepare.in_turn()
    with preparing(aside) as progress, turn:
        plans = prepare.plans(
            specs,
            settings.device,
            skip_broken=settings.skip_broken,
            cache_gib=settings.cache_gib,
            execution=settings.execution,
            progress=progress,
        )
    return list({plan.name: plan for plan in plans}.values())


def _execute(
    todo: Sequence[Plan], settings: Settings, executor: executors.Executor, aside: Console
) -> list[executors.Event]:
    """Carry out what is not finished; the failures."""
    if len(todo) == 1:
        for sentence in differences.unfinished(todo[0], settings.results / "runs"):
            aside.print(f"note: {sentence}", markup=False, highlight=False, soft_wrap=True)
    if not todo:
        return []
    methods = method_names({plan.configuration: plan.spec for plan in todo})
    with Display(aside, todo, methods) as display:
        return matrix.execute(todo, settings.results, executor, display.show)


def _conclude(
    plans: Sequence[Plan],
    failures: Sequence[executors.Event],
    settings: Settings,
    baseline: str | None,
    console: Console,
    aside: Console,
) -> None:
    """Write the leaderboard and show the table, what failed, and what to run next."""
    frame, problems = leaderboard.write(settings.results)
    for problem in problems:
        aside.print(f"warning: {problem}", markup=False)
    shown = frame[frame["run"].isin([plan.name for plan in plans])]
    if len(shown):
        compared = comparison(shown, baseline=baseline or "supervised")
        console.print(to_terminal(layout.plain(compared), console.width))
    for sentence in _unused([record for p in plans if (record := matrix.finished(settings.results, p))]):
        aside.print(f"warning: {sentence}", markup=False, highlight=False, soft_wrap=True)
    if failures and len(plans) > 1:
        # They were told as they came, perhaps hours ago.
        names = ", ".join(failure.plan.name for failure in failures)
        aside.print(f"{counted(len(failures), 'run')} failed: {names}", markup=False, soft_wrap=True)
    console.print(f"leaderboard: {settings.results / leaderboard.FILE}", markup=False, soft_wrap=True)
    if baseline and not failures:
        _next_steps(plans, settings, console)


def _device_elsewhere(name: str) -> torch.device:
    """The kind of device that runs have on other machines; this one may have none of that kind."""
    if name == "auto":
        return choose_device(name)
    if name not in ("cpu", "cuda"):
        raise InputError(
            f"--device {name}: on other machines a run takes the GPU that it is given; say cpu or cuda"
        )
    return torch.device(name)


def _wanted_threads() -> int:
    """Threads that the user's environment asks for, as for any program that uses OpenMP; 0: it does not."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() else 0


def _gpus(device: torch.device) -> int:
    """How many GPUs a device's name leaves open."""
    return 1 if device.index is not None else torch.cuda.device_count()


def _introduce(
    plans: Sequence[Plan],
    todo: Sequence[Plan],
    settings: Settings,
    executor: executors.Executor,
    console: Console,
) -> None:
    """What will run, on what, with which settings."""
    for sentence in (*_data_sets(plans), *_settings([plan.spec for plan in plans])):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    for place in (executors.folder(settings.results, plan) / RESULT for plan in todo):
        if place.exists():
            console.print(f"note: {place} is damaged: its run is made again", markup=False, soft_wrap=True)
    begun = sum((executors.folder(settings.results, plan) / checkpoint.CURRENT).exists() for plan in todo)
    console.print(
        f"{counted(len(plans), 'run')}, {len(plans) - len(todo)} of them finished before"
        f"{f', {begun} to go on from a checkpoint' if begun else ''}; "
        f"{executor.describe()}",
        highlight=False,
    )


def _unused(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each algorithm and network whose pseudo-labels were never used in some run, a sentence."""
    unused: Counter[tuple[str, str]] = Counter()
    for record in records:
        shares = record.get("pseudo_labels_used", {})
        unused.update((record["algorithm"], network) for network, share in shares.items() if not share)
    runs = Counter(record["algorithm"] for record in records)
    return [
        f"{algorithm} used not one pseudo-label of its network {network!r} in {count} of its "
        f"{counted(runs[algorithm], 'run')}: is its threshold within reach?"
        for (algorithm, network), count in unused.items()
    ]


def _data_sets(plans: Sequence[Plan]) -> list[str]:
    """Each data set, what there is to say of it and its labels, and what is left out of it."""
    sentences = []
    # Clips of two sizes are stored twice, and are one data set.
    for data in {plan.data.index.fingerprint: plan.data for plan in plans}.values():
        index, broken = data.index, data.broken
        train, test = (len(index.rows(part)) for part in ("train", "test"))
        sentences.append(
            f"{index.name}: {train} training and {test} test clips, {len(index.classes)} classes"
        )
        partitions = [p.partition for p in plans if p.data.index.fingerprint == index.fingerprint]
        notes = [*index.notes, *(note for partition in partitions for note in partition.notes)]
        sentences += [f"  {note}" for note in dict.fromkeys(notes)]
        sentences += [f"  left out {clip}: {reason}" for clip, reason in list(broken.items())[:_SHOWN]]
        if len(broken) > _SHOWN:
            sentences.append(f"  and {len(broken) - _SHOWN} more, see left-out.txt of any run")
    return sentences


def _settings(specs: Sequence[Spec]) -> list[str]:
    """For each setting its networks, and what is the same for all of its runs."""
    sharing = dict[str, list[Spec]]()
    for spec in specs:
        sharing.setdefault(setting(spec), []).append(spec)
    sentences = []
    for spec, *others in sharing.values():
        networks = dict.fromkeys(map(label, (spec, *others)))
        steps = f"{spec.match} for each method, in steps" if spec.match else f"{spec.steps} steps"
        sentences.append(
            f"{', '.join(networks)}; {spec.frames}x{spec.stride} frames of {spec.size} px; {steps} of "
            f"{spec.labeled_batch}+{spec.unlabeled_batch} clips; {spec.optimizer}"
        )
    return sentences


def _next_steps(plans: Sequence[Plan], settings: Settings, console: Console) -> None:
    """What to run next."""
    last = executors.folder(settings.results, plans[-1])
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
