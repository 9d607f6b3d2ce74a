"""The one training loop: the only place with backward, step and autocast."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ssl_video.contract import Algorithm, Batch, Task
from ssl_video.data.dataset import Data
from ssl_video.data.loader import Pool, batches, requests
from ssl_video.data.partition import Partition
from ssl_video.engine import checkpoint
from ssl_video.engine.assemble import Assembly, assemble, choose_device, place
from ssl_video.engine.audit import audit
from ssl_video.engine.evaluate import accuracy, autocast, probabilities
from ssl_video.engine.record import Recorder
from ssl_video.errors import InputError
from ssl_video.spec import Spec, plain

# Metrics wait on the device for this many steps, so that a GPU is not stopped at every one.
_FLUSH_EVERY = 20
_REMEDY = "try a lower learning_rate, a longer warmup or a smaller clip_norm"


@dataclass(frozen=True)
class Execution:
    """How a run is carried out. Device and threads change the rounding of its numbers, the others nothing."""

    device: str = "auto"
    threads: int | None = None
    workers: int | None = None
    checkpoint_seconds: float = 60.0


@dataclass(frozen=True)
class Report:
    """Where a run stands: a phase ("train" or "test"), units done and to do, and clips read so far."""

    phase: str
    done: int
    total: int
    clips: int


class Stopped(Exception):
    """The run was asked to stop, has written a checkpoint, and can be continued."""


class Training:
    """One run's state: what a checkpoint holds and what the loop moves.

    Args:
        spec: a resolved specification.
        data: its data.
        partition: which of its clips are labeled.
        folder: the run's folder.
        execution: device, threads, workers.
    """

    def __init__(
        self, spec: Spec, data: Data, partition: Partition, folder: Path, execution: Execution
    ) -> None:
        if execution.threads:
            torch.set_num_threads(execution.threads)
        self.spec, self.data, self.partition, self.folder = spec, data, partition, folder
        self.execution, self.device = execution, choose_device(execution.device)
        self.labels = data.index.labels
        task = Task(len(data.index.classes), len(partition.unlabeled))
        self.assembly: Assembly = assemble(spec, task)
        self.algorithm: Algorithm = place(self.assembly.algorithm, self.device)
        if self.algorithm.unlabeled and not len(partition.unlabeled):
            raise InputError(
                f"{spec.algorithm} reads unlabeled clips, and {spec.protocol} leaves none: "
                "use --labeled-in-unlabeled"
            )
        self.optimizer = make_optimizer(self.algorithm, spec)
        self.step, self.seconds = 0, 0.0
        # Model randomness (dropout, mixing) is torch's own; the checkpoint holds its state.
        torch.manual_seed(spec.seed)

    def resume(self) -> list[str]:
        """Go on from the newest readable checkpoint, if there is one; a sentence for each damaged one.

        Raises:
            InputError: the checkpoint is of other networks.
        """
        state, damaged = checkpoint.latest(self.folder)
        if state:
            try:
                self.algorithm.load_state_dict(state["algorithm"])
                self.optimizer.load_state_dict(state["optimizer"])
            except (RuntimeError, ValueError) as error:
                raise InputError(
                    f"the checkpoint in {self.folder} is of other networks, perhaps of another version of "
                    f"their library: remove the folder to start anew ({str(error).splitlines()[-1].strip()})"
                ) from None
            self.step, self.seconds = state["step"], state["seconds"]
            checkpoint.restore_random_state(state["random"])
        return damaged

    def state(self) -> dict[str, Any]:
        """Everything that a trained algorithm is: what `evaluate` and `predict` read."""
        return {
            "algorithm": self.algorithm.state_dict(),
            "spec": plain(self.spec),
            "classes": list(self.data.index.classes),
            "num_unlabeled": len(self.partition.unlabeled),
        }

    def save(self) -> None:
        """Write a checkpoint from which the run goes on exactly.

        Raises:
            InputError: weights are not finite, so that nothing could go on; the checkpoint before it stays.
        """
        for name, weights in self.algorithm.named_parameters():
            if not weights.isfinite().all():
                raise InputError(
                    f"the weights {name!r} are not finite after step {self.step - 1} of {self.spec.steps} "
                    f"(run {self.folder.name}); {_REMEDY}"
                )
        moving = {"optimizer": self.optimizer.state_dict(), "random": checkpoint.random_state()}
        checkpoint.save(self.state() | moving | {"step": self.step, "seconds": self.seconds}, self.folder)

    def batches(self) -> Iterator[Batch]:
        """The batches of the steps that are left."""
        spec, shapes = self.spec, self.assembly.shapes

        def pool(purpose: str, rows: np.ndarray, batch: int) -> Pool:
            views = requests(getattr(self.algorithm, purpose), shapes)
            return Pool(purpose, rows, views, batch, spec.size, spec.seed, self.data.store)

        rows = self.partition.labeled
        unlabeled = pool("unlabeled", self.partition.unlabeled, spec.unlabeled_batch)
        return batches(
            pool("labeled", rows, spec.labeled_batch),
            self.labels[rows],
            unlabeled if self.algorithm.unlabeled else None,
            range(self.step, spec.steps),
            self.device,
            self._workers(),
        )

    def clips_per_step(self) -> int:
        """Videos read per step."""
        return self.spec.labeled_batch + (self.spec.unlabeled_batch if self.algorithm.unlabeled else 0)

    def _workers(self) -> int:
        # On CPU the networks want every core; on GPU the cores are free to prepare batches.
        if self.execution.workers is not None:
            return self.execution.workers
        return 8 if self.device.type == "cuda" else 0


def fit(
    run: Training,
    report: Callable[[Report], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Train to the end, writing metrics and checkpoints.

    Raises:
        Stopped: `stopping` said so; the checkpoint is written.
        InputError: a loss that is not finite, or a folder that cannot be written.
    """
    spec, algorithm = run.spec, run.algorithm.train()
    recorder = Recorder(run.folder, run.step)
    hidden = torch.from_numpy(run.labels[run.partition.unlabeled]).to(run.device)
    began = saved = time.monotonic()
    before, clips = run.seconds, run.clips_per_step()
    for batch in run.batches():
        progress = run.step / spec.steps
        rate = set_learning_rate(run.optimizer, spec, run.step)
        with autocast(spec, run.device):
            output = algorithm(batch, progress)
        output.loss.backward()
        clip_gradients(algorithm, spec.clip_norm)
        run.optimizer.step()
        run.optimizer.zero_grad(set_to_none=True)
        algorithm.after_step(progress)
        losses = {f"loss/{name}": term for name, term in output.terms.items()}
        recorder.step(run.step, rate, losses | audit(output.pseudo, hidden[batch.positions]))
        run.step += 1
        run.seconds = before + time.monotonic() - began
        stop = stopping()
        due = stop or run.step == spec.steps or time.monotonic() - saved > run.execution.checkpoint_seconds
        if due or run.step % _FLUSH_EVERY == 0:
            stop_if_not_finite(recorder.flush(), run)
            report(Report("train", run.step, spec.steps, clips * run.step))
        if due:
            run.save()
            saved = time.monotonic()
        if stop:
            raise Stopped


def final_test(
    run: Training, report: Callable[[Report], None] = lambda _: None
) -> dict[str, dict[str, float]]:
    """Accuracy of every predictor on the test clips, which are read here and nowhere else."""
    rows, views = run.partition.test, run.spec.test_clips * run.spec.test_crops
    clips = run.clips_per_step() * run.spec.steps
    scores = probabilities(
        run.algorithm.predictors(),
        run.assembly.shape_for,
        run.data.store,
        rows.tolist(),
        run.spec,
        run.device,
        lambda done, total: report(Report("test", done, total, clips + done * views)),
    )
    return {name: accuracy(score, run.labels[rows]) for name, score in scores.items()}


def make_optimizer(algorithm: Algorithm, spec: Spec) -> torch.optim.Optimizer:
    """The optimizer; weight decay applies to matrices and kernels, not to biases and norm layers."""
    trained = [p for p in algorithm.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if spec.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=spec.learning_rate, momentum=spec.momentum, nesterov=spec.momentum > 0
        )
    return torch.optim.AdamW(groups, lr=spec.learning_rate)


def set_learning_rate(optimizer: torch.optim.Optimizer, spec: Spec, step: int) -> float:
    """Linear warm-up, then a half cosine to zero: a function of the step, so resuming needs no state."""
    warmup = spec.warmup * spec.steps
    if step < warmup:
        rate = spec.learning_rate * (step + 1) / (math.floor(warmup) + 1)
    else:
        rate = spec.learning_rate * (1 + math.cos(math.pi * (step - warmup) / (spec.steps - warmup))) / 2
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def clip_gradients(algorithm: Algorithm, largest: float) -> None:
    """Limit the gradient norm of each network by itself, or one network's would scale the other's step.

    What an algorithm trains beside its networks, for example a projection, is limited together.
    """
    if largest > 0:
        networks = [list(algorithm.get_submodule(role).parameters()) for role in algorithm.roles]
        inside = {id(parameter) for network in networks for parameter in network}
        beside = [parameter for parameter in algorithm.parameters() if id(parameter) not in inside]
        for parameters in (*networks, beside):
            nn.utils.clip_grad_norm_(parameters, largest)


def stop_if_not_finite(bad: tuple[int, str] | None, run: Training) -> None:
    """Stop at the first loss that is not finite; the checkpoint before it stays."""
    if bad:
        step, term = bad
        raise InputError(
            f"the loss term {term!r} was not finite at step {step} of {run.spec.steps} "
            f"(run {run.folder.name}); {_REMEDY}"
        )
