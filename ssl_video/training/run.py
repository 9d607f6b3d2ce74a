"""A run from specification to result: its identity, folder, training, test and record."""

import datetime
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ssl_video.data.dataset import Data, draw
from ssl_video.data.frames.store import Statistics
from ssl_video.data.index import Index
from ssl_video.data.partitions.partition import Partition
from ssl_video.networks import assemble, flops
from ssl_video.networks.flops import Operations
from ssl_video.runs import checkpoint, pseudo_labels, weight_file
from ssl_video.runs.folder import RunFolder
from ssl_video.runs.result import Accuracies, Result
from ssl_video.spec import Spec, digest, plain, setting, short_name
from ssl_video.training import data_wait, machine, outputs
from ssl_video.training.execution import Execution
from ssl_video.training.loop import RunProgress, Stopped, fit
from ssl_video.training.resource_errors import as_input_errors
from ssl_video.training.state import Scores, Training
from ssl_video.training.trackers import Trackers

__all__ = ["Execution", "Plan", "RunProgress", "Stopped", "plan", "run", "run_name"]

# By configuration and number of classes. Counting takes a second and does not depend on seeds and draws.
_COUNTED = dict[tuple[str, int], Operations]()


class Plan:
    """One run, ready to start: a resolved specification with its data and partition.

    Attributes:
        name: the run's identity and the name of its folder: readable words and a hash of everything that
            affects its numbers, so equal runs share a folder and different runs never do.
    """

    def __init__(self, spec: Spec, data: Data, partition: Partition) -> None:
        self.spec, self.data, self.partition = spec, data, partition
        self.configuration = assemble.configured(spec)
        self.name = run_name(spec, self.configuration, data.index, partition)


def run_name(spec: Spec, configured: str, index: Index, partition: Partition) -> str:
    """Return a run's identity (see `Plan`); `configured` is its configuration hash."""
    identity = digest([configured, partition.fingerprint, index.fingerprint, spec.seed])
    words = [short_name(spec.algorithm), index.name, spec.protocol.rsplit("/", 1)[-1], f"seed{spec.seed}"]
    text = "-".join(words)
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in text)[:100] + "-" + identity


def plan(spec: Spec, data: Data, device: torch.device) -> Plan:
    """Resolve a specification and draw its labels.

    Raises:
        InputError: see `assemble.resolve` and `partition.make`.
    """
    spec = assemble.resolve(spec, device)
    return Plan(spec, data, draw(spec, data.index))


def run(
    todo: Plan,
    folder: Path,
    execution: Execution,
    report: Callable[[RunProgress], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
    warn: Callable[[str], None] = lambda _: None,
) -> Result:
    """Train and test a run, or resume it, and write its result; a finished run is not repeated.

    Args:
        todo: the planned run.
        folder: the run's own folder; created if needed.
        execution: device, threads, workers.
        report: called regularly with the run's progress.
        stopping: called after every step; True ends the run with a checkpoint.
        warn: called with warnings for the user.

    Returns:
        The result.

    Raises:
        Stopped: `stopping` returned True.
        InputError: a problem that the user can fix.
    """
    finished = RunFolder(folder).finished(todo.name)
    if finished:
        # It may have been killed before it could tidy up.
        _tidy(folder)
        return finished
    with as_input_errors(folder, todo.spec, execution):
        training = Training(todo.spec, todo.data, todo.partition, folder, execution, todo.name)
        training.records.warn = warn
        if training.processes.main:
            if sentence := RunFolder(folder).set_aside(todo.name, training.can_resume):
                warn(sentence)
            outputs.begin(training)
        # Before training, so that an error here costs nothing.
        counted = _count(todo, training, warn)
        for sentence in training.resume():
            warn(sentence)
        with _trackers(todo, training, warn) as trackers:
            fit(training, report, stopping, trackers)
            result = _finish(todo, training, counted, report, stopping, warn)
            trackers.result(result)
        return result


def _trackers(todo: Plan, training: Training, warn: Callable[[str], None]) -> Trackers:
    """Return the trackers that the run reports to; only its first process has any."""
    names = training.execution.logger if training.processes.main else ()
    settings = {"run": todo.name, "configuration": todo.configuration, **plain(todo.spec)}
    return Trackers(names, training.folder, settings, training.step, Stopped, warn)


def _count(todo: Plan, training: Training, warn: Callable[[str], None]) -> Operations:
    """Return the run's operations, counted by the first process; nan if they cannot be counted."""
    processes = training.processes
    counted, key = Operations(math.nan, math.nan), (todo.configuration, len(todo.data.index.classes))
    if processes.main:
        try:
            stored = {role: one.probe for role, one in training.features.extractors.items()}
            counted = _COUNTED.get(key) or flops.count(*(todo.spec, len(todo.data.index.classes)), stored)
            _COUNTED[key] = counted
            counted = replace(counted, features=training.feature_operations())
        except Exception as error:  # noqa: BLE001 - after any error of a method, its run has no cost
            reason = (str(error) or "no reason given").splitlines()[0]
            warn(
                "the run's multiply-adds cannot be counted, because the method fails on small batches of "
                f"random clips; they are recorded as nan: {type(error).__name__}: {reason}"
            )
    return processes.from_main(counted)


def _finish(
    todo: Plan,
    training: Training,
    counted: Operations,
    report: Callable[[RunProgress], None],
    stopping: Callable[[], bool],
    warn: Callable[[str], None],
) -> Result:
    """Test the trained networks, write the result, and return it."""
    trained, began = training.seconds, time.monotonic()
    spec, clips = todo.spec, training.clips_in_all()

    def testing(done: int, total: int) -> None:
        report(RunProgress("test", done, total, clips + done * spec.test_clips * spec.test_crops))
        if stopping():
            raise Stopped  # the last step's checkpoint exists

    validation, tested = training.calibrate(), training.test(testing)
    seconds = time.monotonic() - began
    written = outputs.Written({}, (), {})
    if training.processes.main:
        # In this order, a run that is killed here still has its checkpoint or its result.
        weight_file.save(training.state(), training.folder / checkpoint.FINAL)
        written = outputs.write(training, tested, validation, warn)
        waited, read = training.waited / max(trained, 1e-9), todo.data.store.statistics()
        if sentence := data_wait.advice(waited, trained, training.execution, training.loaders, read):
            warn(sentence)
    scores = tested.scores, validation.scores
    result = _result(todo, training, counted, (trained, seconds), scores, written)
    if training.processes.main:
        RunFolder(training.folder).write_result(result)
        _tidy(training.folder)
    # The other processes may read the result as soon as they have returned.
    training.processes.from_main(None)
    return result


def _tidy(folder: Path) -> None:
    """Remove the files that only an unfinished run needs."""
    checkpoint.clear(folder)
    (folder / pseudo_labels.UNFINISHED).unlink(missing_ok=True)


def _result(
    todo: Plan,
    training: Training,
    counted: Operations,
    seconds: tuple[float, float],
    scores: tuple[Scores, Scores],
    written: outputs.Written,
) -> Result:
    """Return the result of a run; `seconds` are of training and test, `scores` of test and validation."""
    spec, (test, validation) = todo.spec, scores
    headline, predictor = next(iter(training.assembly.predictors().items()))
    return Result(
        run=todo.name,
        **_method(todo),
        **_labels(todo),
        predictor=headline,
        **test.get(headline, dict.fromkeys(Accuracies.model_fields)),
        predictors={name: Accuracies(**score) for name, score in test.items()},
        validation_accuracies={name: Accuracies(**score) for name, score in validation.items()},
        temperatures=dict(training.calibration.temperatures) if training.calibration else {},
        seconds=round(sum(seconds), 2),
        train_seconds=round(seconds[0], 2),
        data_wait=round(training.waited / seconds[0], 4) if seconds[0] else 0.0,
        test_seconds=round(seconds[1], 2),
        clips_seen=training.clips_in_all(),
        parameters=sum(p.numel() for p in predictor.parameters()),
        parameters_trained=sum(p.numel() for p in training.algorithm.parameters() if p.requires_grad),
        gflops=round(counted.forward / 1e9, 6),
        training_gflops=round(_training(training, counted) / 1e9, 3),
        skipped_steps=training.skipped,
        pseudo_labels_used=written.pseudo_labels_used,
        incomplete=list(written.incomplete),
        files=written.files,
        frame_cache=_cache(todo.data.store.statistics()),
        left_out=len(todo.data.broken),
        spec=plain(spec),
        environment=machine.environment(training.device, training.processes.size),
        finished=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _training(training: Training, counted: Operations) -> float:
    """Return the multiply-adds of the whole training: its steps, and the features that it reads once each.

    They count whether this run has computed the features or another one.
    """
    spec = training.spec
    if training.algorithm.at_once:
        return counted.forward * training.clips_in_all() * spec.test_clips * spec.test_crops
    return counted.step * spec.steps + counted.features


def _method(todo: Plan) -> dict[str, Any]:
    """Return the method's fields of the result."""
    spec = todo.spec
    weights = [network.weights for network in spec.networks.values()]
    names = [Path(weight).name if weight else "scratch" for weight in weights]
    return {
        "algorithm": short_name(spec.algorithm),
        "options": plain(spec)["options"],
        "backbone": assemble.label(spec),
        "initialisation": " ".join(names) if any(weights) else "scratch",
        "setting": setting(spec),
        "configuration": todo.configuration,
        **{key: getattr(spec, key) for key in ("frames", "stride", "size", "steps")},
    }


def _labels(todo: Plan) -> dict[str, Any]:
    """Return the fields of the result about clips and labels."""
    spec, index, partition = todo.spec, todo.data.index, todo.partition
    return {
        "dataset": index.name,
        "dataset_fingerprint": "d" + index.fingerprint,
        "protocol": f"{spec.protocol} ({spec.folds} folds)" if spec.folds > 1 else spec.protocol,
        "labeled_in_unlabeled": partition.labeled_in_unlabeled,
        "validation": spec.validation,
        "draw": spec.label_draw,
        "seed": spec.seed,
        "fingerprint": "p" + partition.fingerprint,
        "labeled": len(partition.labeled),
        "unlabeled": len(partition.unlabeled),
        "without_label": int((index.labels[partition.unlabeled] < 0).sum()),
        "test": len(partition.test),
        "classes": len(index.classes),
    }


def _cache(read: Statistics) -> dict[str, float]:
    """Return a process's reads since it began or resumed the run."""
    return read._asdict() | {"hit_rate": round(read.hit_rate, 4)}
