"""The training loop, the same for all algorithms."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import nn

from ssl_video.contract import Batch
from ssl_video.errors import InputError, some
from ssl_video.networks.precision import autocast
from ssl_video.spec import Spec
from ssl_video.training.data_wait import TimedBatches
from ssl_video.training.head_start import start_heads
from ssl_video.training.optimizer import (
    clip_gradients,
    clip_groups,
    finite,
    set_learning_rate,
)
from ssl_video.training.pseudo_label_log import PseudoLabelLog, pseudo_label_metrics
from ssl_video.training.recorder import Ratio, Recorder, Validations
from ssl_video.training.state import REMEDY, Training
from ssl_video.training.trackers import Trackers

# Metrics are buffered on the device for this many steps, so that a GPU does not synchronise at each one.
_FLUSH_EVERY = 20
_NAMED = 24


@dataclass(frozen=True)
class RunProgress:
    """Progress of a run.

    Attributes:
        phase: "features" (of probes, and for heads that start fitted), "train" or "test".
        done, total: units of the phase.
        clips: clips read so far.
        waited: fraction of the training so far in which it waited for clips.
    """

    phase: str
    done: int
    total: int
    clips: int
    waited: float = 0.0


class Stopped(Exception):
    """Raised when a run was asked to stop; it has written a checkpoint and can be resumed."""


def fit(
    run: Training,
    report: Callable[[RunProgress], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
    trackers: Trackers | None = None,
) -> None:
    """Train to the end, writing metrics and checkpoints.

    Raises:
        Stopped: `stopping` returned True in any process; the checkpoint is written.
        InputError: a loss is not finite, or the folder cannot be written.
    """

    def filling(done: int, total: int) -> None:
        report(RunProgress("features", done, total, 0))
        # Of several processes, each would have to stop at the same place.
        if run.processes.size == 1 and stopping():
            raise Stopped

    run.prepare(filling)
    if run.algorithm.at_once:
        return run.solve()
    if run.step == 0:
        start_heads(run, filling)
    _take_steps(run, report, stopping, trackers)


def _take_steps(
    run: Training,
    report: Callable[[RunProgress], None],
    stopping: Callable[[], bool],
    trackers: Trackers | None,
) -> None:
    """Take all steps that are left; see `fit`."""
    spec, processes = run.spec, run.processes
    recorder = Recorder(run.records, processes, trackers)
    keeper = PseudoLabelLog(run.records, processes)
    update = _Update(run, keeper)
    validations = Validations(run.records, trackers)
    every = run.execution.evaluate_every
    began = saved = time.monotonic()
    before, waited, clips = run.seconds, run.waited, run.clips_per_step()

    def flush() -> None:
        bad = recorder.flush()
        keeper.flush()
        if bad and run.execution.on_nonfinite == "stop":
            raise _not_finite(run, *bad)

    def waiting() -> None:
        # Several processes have to end after the same step.
        if processes.size == 1 and stopping():
            flush()
            run.save()
            raise Stopped

    batches = TimedBatches(run.batches(waiting))
    for first in batches:
        parts = [first, *islice(batches, spec.accumulate - 1)]
        rate = set_learning_rate(run.optimizer, spec, run.step)
        recorder.step(run.step, rate, update(parts, run.step / spec.steps))
        del first, parts  # the next batches arrive in their memory
        run.step += 1
        run.seconds, run.waited = before + time.monotonic() - began, waited + batches.seconds
        # Each process has its own clock and receives its own signals.
        late = time.monotonic() - saved > run.execution.checkpoint_seconds
        stop, late = processes.any(stopping(), late)
        due = stop or late or run.step == spec.steps
        if due or run.step % _FLUSH_EVERY == 0:
            flush()
            report(RunProgress("train", run.step, spec.steps, clips * run.step, run.waited / run.seconds))
        if every and (run.step % every == 0 or run.step == spec.steps):
            validations.write(run.step - 1, run.validate())
        if due:
            run.save()
            saved = time.monotonic()
        if stop:
            raise Stopped


class _Update:
    """One step of a run: forward and backward over its parts, pseudo-label log, optimizer step."""

    def __init__(self, run: Training, keeper: PseudoLabelLog) -> None:
        self.keeper = keeper
        self.run, self.wrapped = run, self._wrap(run)
        # Once: walking through the modules of a frozen network takes longer than a step of its head.
        self.groups = clip_groups(run.algorithm)
        self.hidden = torch.from_numpy(run.labels[run.unlabeled]).to(run.device)
        self.skips = run.execution.on_nonfinite == "skip"

    def __call__(self, parts: Sequence[Batch], progress: float) -> dict[str, Ratio]:
        """Run one optimizer step and return the metrics to log."""
        run = self.run
        if run.assembly.begin(run.step):
            # Processes exchange the gradients of the parameters that are trained when they are wrapped.
            del self.wrapped
            self.wrapped = self._wrap(run)
        # A forward pass that is not finite also corrupts batch-norm statistics.
        before = [buffer.clone() for buffer in run.algorithm.buffers()] if self.skips else []
        record = self._gradients(parts, progress)
        if self.skips and not self._finite(record):
            for buffer, value in zip(run.algorithm.buffers(), before, strict=True):
                buffer.copy_(value)
            run.skipped += 1
        else:
            clip_gradients(self.groups, run.spec.clip_norm)
            run.optimizer.step()
            run.algorithm.after_step(progress)
            run.assembly.after_step()
        run.optimizer.zero_grad(set_to_none=True)
        return record

    @staticmethod
    def _wrap(run: Training) -> nn.Module:
        run.algorithm.train()
        run.assembly.begin(run.step)
        wrapped = run.processes.wrap(run.algorithm, run.spec.batch_norm)
        # Once more, because synchronised batch norm replaces modules.
        run.assembly.begin(run.step)
        return wrapped

    def _gradients(self, parts: Sequence[Batch], progress: float) -> dict[str, Ratio]:
        """Compute gradients of the mean over parts and processes; return losses and pseudo-label metrics."""
        record: dict[str, Ratio] = {}
        for number, batch in enumerate(parts):
            with self.run.processes.local(self.wrapped, number + 1 < len(parts)):
                with autocast(self.run.spec, self.run.device):
                    output = self.wrapped(batch, progress)
                if self.run.spec.label_smoothing and not self.run.algorithm.smoothed:
                    raise _not_smoothed(self.run.spec)
                (output.loss / len(parts) if len(parts) > 1 else output.loss).backward()
            self.keeper.note(self.run.step, batch.indices, output.pseudo)
            losses = {f"loss/{name}": Ratio(term.detach()) for name, term in output.terms.items()}
            more = losses | pseudo_label_metrics(output.pseudo, self.hidden[batch.indices])
            record = {name: record[name].plus(r) if name in record else r for name, r in more.items()}
        return record

    def _finite(self, record: Mapping[str, Ratio]) -> bool:
        """Return whether all losses and gradients are finite in all processes."""
        terms = [ratio.above for name, ratio in record.items() if name.startswith("loss/")]
        fine = finite(self.run.algorithm) & torch.stack(terms).isfinite().all()
        return not self.run.processes.any(not fine.item())[0]


def _not_smoothed(spec: Spec) -> InputError:
    """Return an error for a method whose labels are not smoothed."""
    return InputError(
        f"label_smoothing has no effect on {spec.algorithm}, which computes its labeled term without "
        "self.labeled_cross_entropy(logits, labels): leave it out, or use that in place of F.cross_entropy"
    )


def _not_finite(run: Training, step: int, term: str) -> InputError:
    """Return an error that names the non-finite loss term and the step's clips."""
    return InputError(
        f"the loss term {term!r} was not finite at step {step} of {run.spec.steps} (run {run.folder.name}); "
        f"{REMEDY}. The step's clips were {some(run.names(step), _NAMED)}"
    )
