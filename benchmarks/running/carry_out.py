"""Carry out experiments: prepare runs, execute them, write the leaderboard."""

import pickle
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import cloudpickle

from ssl_video.benchmarks.running import executors, matching, prepare, run_queue
from ssl_video.benchmarks.tables import leaderboard
from ssl_video.benchmarks.tables.naming import method_names
from ssl_video.benchmarks.tables.results import Results, read_results
from ssl_video.benchmarks.tables.table_notes import FEW
from ssl_video.data import frame_rates
from ssl_video.errors import InputError, counted
from ssl_video.inference import cross_validation
from ssl_video.networks.assemble import label
from ssl_video.networks.plugins import named
from ssl_video.observer import FailureObserver, Observer
from ssl_video.runs import identity
from ssl_video.runs.folder import RESULT, RunFolder, run_folder
from ssl_video.runs.result import Result
from ssl_video.spec import Spec, setting
from ssl_video.training import launch, trackers
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan

_SHOWN = 5  # left-out clips that are named


@dataclass(frozen=True)
class Outcome:
    """The runs of an experiment after it has ended.

    Attributes:
        names: the names of all runs, including those that were finished before.
        results: the finished runs, and the reasons why others failed.
    """

    names: list[str]
    results: Results


def carry_out(
    specs: Sequence[Spec],
    execution: Execution,
    observer: Observer,
    resume: RunFolder | None = None,
    *,
    compared: bool = False,
) -> Outcome:
    """Prepare and execute runs, and write the leaderboard; finished runs are not repeated.

    Args:
        specs: the runs.
        execution: execution settings of the runs.
        observer: receiver of messages and progress.
        resume: the folder of a run, which must be that of the only specification.
        compared: whether the runs are made to compare their accuracies, which needs test clips.

    Raises:
        InputError: every problem that can be found before the first run begins.
        KeyboardInterrupt: after every run under way has written its checkpoint.
    """
    # Of several processes that torchrun or srun started, the first one reports and writes for all.
    rank, results = launch.rank(execution), execution.results
    main = rank == 0
    if main:
        leaderboard.check_replaceable(results)
        prepare.check_writable(results)
    else:
        observer = FailureObserver(observer, rank)
    trackers.check(execution.logger)
    # Before the data is prepared: its options may be wrong, or its scheduler out of reach.
    executor = executors.make(execution)
    plans = _plans(specs, execution, observer, compared=compared)
    _check_sendable(plans, execution)
    if resume:
        identity.check_same(plans[0].name, plans[0].spec, resume)
    todo = [plan for plan in plans if not run_queue.finished(results, plan)]
    _introduce(plans, todo, executor, results, observer)
    try:
        failures = _execute(todo, execution, executor, observer)
    except KeyboardInterrupt:
        done = sum(1 for plan in plans if run_queue.finished(results, plan))
        observer.say(f"stopped; {done} of {counted(len(plans), 'run')} finished; the same command resumes")
        if main:
            leaderboard.write(results)
        raise
    if main:
        _estimate(plans, results, observer)
        for problem in leaderboard.write(results).problems:
            observer.warn(problem)
    names = [plan.name for plan in plans]
    runs = replace(read_results(results).only(names), failures=failures)
    observer.conclude(runs)
    for sentence in _unused([result for plan in plans if (result := run_queue.finished(results, plan))]):
        observer.warn(sentence)
    if failures and len(plans) > 1:
        # Each was reported when it happened, perhaps hours ago.
        observer.say(f"{counted(len(failures), 'run')} failed: {', '.join(failures)}")
    return Outcome(names, runs)


def matched(specs: Sequence[Spec], match: str, execution: Execution, observer: Observer) -> list[Spec]:
    """Return specifications with the steps that give all methods equal budgets, see `matching.matched`."""
    if match == "steps":
        return list(specs)
    device = execution.torch_device
    with observer.preparing() as progress:
        resolved = prepare.resolve(specs, device)
        return matching.matched(resolved, match, execution.results, device, progress)


def _plans(specs: Sequence[Spec], execution: Execution, observer: Observer, *, compared: bool) -> list[Plan]:
    """Return the runs with their data; several specifications of the same run count once."""
    # Processes that a launcher started prepare the data in turn: the first does it for the machine.
    turn = nullcontext() if execution.launcher == "self" else prepare.in_turn()
    with observer.preparing() as progress, turn:
        plans = prepare.plans(specs, execution, progress, compared=compared)
    return list({plan.name: plan for plan in plans}.values())


def _execute(
    todo: Sequence[Plan], execution: Execution, executor: executors.Executor, observer: Observer
) -> dict[str, str]:
    """Execute the runs that are not finished; return the reasons of those that failed."""
    if len(todo) == 1:
        for sentence in identity.unfinished(todo[0].name, todo[0].spec, execution.results):
            observer.say(f"note: {sentence}")
    if not todo:
        return {}
    methods = method_names({plan.configuration: plan.spec for plan in todo})
    with observer.running(todo, methods) as show:
        failures = run_queue.execute(todo, execution.results, executor, show)
    return {failure.plan.name: failure.reason for failure in failures}


def _estimate(plans: Sequence[Plan], results: Path, observer: Observer) -> None:
    """Give a run on all labels, which comes after the runs of its folds, the accuracy that they found."""
    *folds, last = plans
    if not folds or last.spec.folds != 1 or any(plan.spec.folds != len(folds) for plan in folds):
        return
    if all(run_queue.finished(results, plan) for plan in plans):
        try:
            cross_validation.attach(
                run_folder(results, last.name), [run_folder(results, plan.name) for plan in folds]
            )
        except InputError as error:
            observer.warn(f"the model on all labels gets no estimate from its folds: {error}")


def _introduce(
    plans: Sequence[Plan],
    todo: Sequence[Plan],
    executor: executors.Executor,
    results: Path,
    observer: Observer,
) -> None:
    """Report the runs, their data and their settings before the start."""
    for sentence in (*_data_sets(plans), *_settings([plan.spec for plan in plans]), *_without_source(plans)):
        observer.say(sentence)
    for sentence in _frame_rates(plans):
        observer.warn(sentence)
    folders = [run_folder(results, plan.name) for plan in todo]
    for folder in folders:
        if folder.has_result:
            observer.say(f"note: {folder.path / RESULT} cannot be used, so its run is repeated")
    begun = sum(folder.has_checkpoint for folder in folders)
    observer.say(
        f"{counted(len(plans), 'run')}, {len(plans) - len(todo)} of them already finished"
        f"{f', {begun} to resume from a checkpoint' if begun else ''}; "
        f"{executor.describe()}"
    )


def _check_sendable(plans: Sequence[Plan], execution: Execution) -> None:
    """Check that other processes can use the classes and functions of this Python session.

    Raises:
        InputError: one that cannot be pickled; any, if runs are executed on other machines.
    """
    problems = list[str]()
    for registry, name in dict.fromkeys(entry for plan in plans for entry in named(plan.spec)):
        own = registry.of_session([name])
        if own and execution.executor != "local":
            problems.append(
                f"{name} is defined in this Python session, which machines of {execution.executor} cannot "
                "import: put it into a file and give path/to/file.py:NAME"
            )
        try:
            cloudpickle.dumps(own)
        except (TypeError, ValueError, AttributeError, pickle.PicklingError) as error:
            problems.append(
                f"{name} cannot be sent to the process of a run ({error}): put it into a file and give "
                "path/to/file.py:NAME"
            )
    if problems:
        raise InputError(*problems)


def _without_source(plans: Sequence[Plan]) -> list[str]:
    """Return a sentence for each class or function whose source cannot be read."""
    entries = dict.fromkeys(entry for plan in plans for entry in named(plan.spec))
    return [
        f"note: the source of {name} cannot be read, so its runs can be resumed and compared only in this "
        "Python session; put it into a file to use them later"
        for registry, name in entries
        if not registry.has_source(name)
    ]


def _unused(results: Sequence[Result]) -> list[str]:
    """Return a sentence for each algorithm and network whose pseudo-labels were never used in some run.

    Where the notes of the table report it, because few were used on average, there is none.
    """
    used = dict[tuple[str, str], list[Result]]()
    for result in results:
        for network in result.pseudo_labels_used:
            used.setdefault((result.algorithm, network), []).append(result)
    sentences = []
    for (algorithm, network), runs in used.items():
        fractions = [run.pseudo_labels_used[network] for run in runs]
        in_table = any(run.test for run in runs) and sum(fractions) / len(fractions) < FEW
        if (count := fractions.count(0)) and not in_table:
            sentences.append(
                f"{algorithm} used no pseudo-label of its network {network!r} in {count} of "
                f"{counted(len(runs), 'run')}: is its threshold too high?"
            )
    return sentences


def _data_sets(plans: Sequence[Plan]) -> list[str]:
    """Return sentences on each data set, its labels, and the clips that are left out of it."""
    sentences = []
    # Clips of two sizes are stored twice, but are one data set.
    for data in {plan.data.index.fingerprint: plan.data for plan in plans}.values():
        index, broken = data.index, data.broken
        sentences.append(f"{index.name}: {index.sizes}")
        partitions = [p.partition for p in plans if p.data.index.fingerprint == index.fingerprint]
        notes = [*index.notes, *(note for partition in partitions for note in partition.notes)]
        sentences += [f"  {note}" for note in dict.fromkeys(notes)]
        sentences += [f"  left out {clip}: {reason}" for clip, reason in list(broken.items())[:_SHOWN]]
        if len(broken) > _SHOWN:
            sentences.append(f"  and {len(broken) - _SHOWN} more, see left-out.txt of any run")
    return sentences


def _frames(spec: Spec) -> str:
    """Return the frames of a clip in words."""
    if spec.sampling == "segments":
        return f"{spec.frames} frames, one of each part of the video,"
    return (
        f"{spec.frames} frames, {spec.fps:g} a second," if spec.fps else f"{spec.frames}x{spec.stride} frames"
    )


def _frame_rates(plans: Sequence[Plan]) -> list[str]:
    """Return a sentence for each data set whose frame rates differ, unless its runs sample by time."""
    by_frames = [plan for plan in plans if plan.spec.sampling == "dense" and not plan.spec.fps]
    sets = {plan.data.index.fingerprint: plan.data for plan in by_frames}
    return [sentence for data in sets.values() if (sentence := frame_rates.remark(data))]


def _settings(specs: Sequence[Spec]) -> list[str]:
    """Return a sentence for each setting: its networks, and the values that all of its runs share."""
    sharing = dict[str, list[Spec]]()
    for spec in specs:
        sharing.setdefault(setting(spec), []).append(spec)
    sentences = []
    for spec, *others in sharing.values():
        networks = dict.fromkeys(map(label, (spec, *others)))
        steps = f"{spec.match} for each method, in steps" if spec.match else f"{spec.steps} steps"
        sentences.append(
            f"{', '.join(networks)}; {_frames(spec)} of {spec.size} px; {steps} of "
            f"{spec.labeled_batch}+{spec.unlabeled_batch} clips; {spec.optimizer}"
        )
    return sentences
