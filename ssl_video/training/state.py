"""State of a run: its networks, clips, features, optimizer and random numbers."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssl_video.contract import Algorithm, Batch, Task
from ssl_video.data.dataset import Data
from ssl_video.data.importers.predictions import predictions_for
from ssl_video.data.loader import batches
from ssl_video.data.partitions.partition import Partition
from ssl_video.data.pool import Pool, requests
from ssl_video.data.progress import CountProgress
from ssl_video.errors import InputError, counted
from ssl_video.features.pool import FeaturePool
from ssl_video.features.run import RunFeatures
from ssl_video.inference import calibration
from ssl_video.inference.calibration import Calibration
from ssl_video.inference.evaluate import accuracy, both, each_view, mean_over_views, probabilities
from ssl_video.networks import plugins
from ssl_video.networks.activation_checkpointing import save_activations
from ssl_video.networks.assemble import Assembly, assemble
from ssl_video.networks.memory_format import place
from ssl_video.runs import checkpoint
from ssl_video.runs.folder import METRICS, UNFINISHED_PSEUDO_LABELS, VALIDATION
from ssl_video.runs.identity import same_settings
from ssl_video.runs.jsonl import Records
from ssl_video.runs.predictions import Predictions, predictions
from ssl_video.spec import Spec, plain
from ssl_video.training.distributed import Processes
from ssl_video.training.execution import Execution, usable_cores
from ssl_video.training.optimizer import (
    make_optimizer,
)
from ssl_video.training.preflight import check_clips, check_precision, check_shards

# Said where numbers are not finite.
REMEDY = "try a lower learning_rate, a longer warmup or a smaller clip_norm; --on-nonfinite skip continues"

# Accuracies by predictor: {"primary": {"top1": 0.5, ...}}.
Scores = dict[str, dict[str, float | None]]


@dataclass(frozen=True)
class Tested:
    """The evaluation of every predictor on some clips.

    Attributes:
        scores: accuracies, without any temperature.
        predictions: the labels of each clip, with and without temperatures; None: there is no clip.
        logits: (N, views, classes) by predictor, where they are kept.
    """

    scores: Scores = field(default_factory=dict)
    predictions: Predictions | None = None
    logits: dict[str, np.ndarray] = field(default_factory=dict)


class Training:
    """State of one run, which the loop updates and a checkpoint stores.

    Args:
        spec: a resolved specification.
        data: its data.
        partition: the labeled, unlabeled, validation and test clips.
        folder: the run's folder.
        execution: device, processes, threads, workers.
        name: the run's identity; empty: a measurement, which is not resumed.

    Raises:
        InputError: a batch cannot be cut into equal shards, the run reads clips that do not exist, or its
            gradients cannot be computed in its precision.
    """

    def __init__(
        self,
        spec: Spec,
        data: Data,
        partition: Partition,
        folder: Path,
        execution: Execution,
        name: str = "",
    ) -> None:
        if execution.threads:
            torch.set_num_threads(execution.threads)
        self.spec, self.data, self.partition, self.folder = spec, data, partition, folder
        self.execution, self.processes, self.name = execution, Processes(execution), name
        self.records = Records(folder, self.processes.main)
        self.device = self.processes.device
        self.labels = data.index.labels
        task = Task(len(data.index.classes), len(partition.unlabeled))
        self.assembly: Assembly = assemble(spec, task)
        for part in self.assembly.parts():
            place(part, self.device)
        self.algorithm: Algorithm = self.assembly.algorithm
        check_clips(spec, self.algorithm, partition, execution)
        self.predictions = predictions_for(self.algorithm, data.index, partition.unlabeled)
        check_shards(spec, self.algorithm, self.processes.size)
        check_precision(spec, self.algorithm, self.device)
        # Threads for what is read once, and processes for what is read at every step.
        self.readers = execution.loaders(self.device.type, usable_cores())
        self.features = RunFeatures(spec, self.assembly, data, self.device, self.readers)
        self._pools = dict[str, Pool]()
        self.optimizer = make_optimizer(self.algorithm, spec, self.assembly.fine_tuned)
        self.plugins = plugins.recorded(spec)
        self.step, self.seconds, self.waited, self.skipped = 0, 0.0, 0.0, 0
        self.calibration: Calibration | None = None
        # Model randomness (dropout, mixing) uses torch's generator, whose state is in the checkpoint. Each
        # process has its own seed; otherwise two of them would drop the same units.
        torch.manual_seed(spec.seed + 7_919 * self.processes.rank)
        # Training roles and evaluation networks may differ.
        roles = [self.algorithm.get_submodule(role) for role in self.algorithm.roles]
        networks = dict.fromkeys((*roles, *self.algorithm.predictors().values()))
        for network in networks:
            if execution.activation_checkpointing:
                save_activations(network)
            if execution.compile:
                network.compile()

    def can_resume(self) -> bool:
        """Return whether there is a checkpoint of this run that can be used."""
        return checkpoint.latest(self.folder, self._fault)[0] is not None

    def resume(self) -> list[str]:
        """Resume from the newest readable checkpoint, if there is one.

        Returns:
            A sentence for each damaged checkpoint and each of another run, which are not used, and one if the
            number of processes has changed.

        Raises:
            InputError: the checkpoint belongs to a different network architecture.
        """
        found = checkpoint.latest(self.folder, self._fault) if self.processes.main else (None, [])
        # The other processes need no access to the folder and use the same checkpoint as the first.
        state, notes = self.processes.from_main(found)
        self.records.resume(
            (METRICS, VALIDATION, UNFINISHED_PSEUDO_LABELS), state.get("records") if state else {}
        )
        if state:
            try:
                self.assembly.load(state)
                self.optimizer.load_state_dict(state["optimizer"])
            except (RuntimeError, ValueError, LookupError) as error:
                raise InputError(
                    f"the checkpoint in {self.folder} has different networks, perhaps from another version "
                    "of their library: remove the folder to start from scratch "
                    f"({str(error).splitlines()[-1].strip()})"
                ) from None
            self.step, self.seconds, self.skipped = state["step"], state["seconds"], state["skipped"]
            self.waited = state.get("waited", 0.0)  # absent from checkpoints of older versions
            if len(state["random"]) == self.processes.size:
                checkpoint.restore_random_state(state["random"][self.processes.rank])
            else:
                notes.append(
                    f"the checkpoint of {counted(len(state['random']), 'process')} is resumed "
                    f"by {self.processes.size}: batch norm sees other shards of a batch, and the random "
                    "numbers of the model start from the seed again"
                )
        return notes

    def state(self) -> dict[str, Any]:
        """Return everything that `evaluate` and `predict` need of a trained algorithm."""
        return {
            **self.assembly.state(),
            "run": self.name,
            "spec": plain(self.spec),
            "classes": list(self.data.index.classes),
            "num_unlabeled": len(self.partition.unlabeled),
            **({"plugins": self.plugins} if self.plugins else {}),
            **({"calibration": self.calibration.plain()} if self.calibration else {}),
        }

    def save(self) -> None:
        """Write a checkpoint from which the run resumes exactly; all processes take part.

        Raises:
            InputError: weights are not finite, so the run could not continue; the last checkpoint remains.
        """
        for name, weights in self.algorithm.named_parameters():
            if not weights.isfinite().all():
                raise InputError(
                    f"the weights {name!r} are not finite after step {self.step - 1} of {self.spec.steps} "
                    f"(run {self.folder.name}); {REMEDY}"
                )
        random = self.processes.gather(checkpoint.random_state())
        if self.processes.main:
            moving = {"optimizer": self.optimizer.state_dict(), "random": random}
            counts = {"step": self.step, "skipped": self.skipped}
            times = {"seconds": self.seconds, "waited": self.waited}
            checkpoint.save(
                self.state() | moving | counts | times | {"records": self.records.state()}, self.folder
            )

    def _fault(self, state: Mapping[str, Any]) -> str:
        """Return the reason why a checkpoint is not one of this run; empty: it is one."""
        run = state.get("run")
        if run and self.name:
            return "" if run == self.name else f"is of another run, {run}"
        own = self.state()
        same = same_settings(state["spec"], own["spec"]) and all(
            state[key] == own[key] for key in ("classes", "num_unlabeled")
        )
        return "" if same else "is of another run: its settings, classes or number of clips differ"

    def prepare(self, progress: CountProgress | None = None) -> None:
        """Compute the features of frozen networks that are not stored yet.

        Args:
            progress: called with the number of clips done and in total; if it raises an error, what is stored
                stays.

        Raises:
            InputError: there is no room for them, or a video cannot be decoded.
        """
        for rows in self._fitted_to() if self.algorithm.at_once else ():
            self.features.fill(rows, progress)
        for kind in () if self.algorithm.at_once else ("labeled", "unlabeled"):
            pool = self._pool(kind)
            if isinstance(pool, FeaturePool):
                pool.fill(progress)
        # Now, because a lack of room found after training would cost the training.
        for rows in (self.partition.validation, self.partition.test):
            self.features.fill(rows, progress)

    def batches(self, waiting: Callable[[], None] = lambda: None) -> Iterator[Batch]:
        """Yield this process's batches of the remaining steps, `accumulate` of them per step.

        Args:
            waiting: called every second while a batch is waited for.
        """
        parts, rank = self.spec.accumulate, self.processes.rank
        labeled, unlabeled = self._pool("labeled"), self._pool("unlabeled")
        return batches(
            labeled,
            self.labels[labeled.rows],
            unlabeled if self.algorithm.unlabeled else None,
            range(self.step, self.spec.steps),
            self.device,
            self.loaders,
            range(rank * parts, (rank + 1) * parts),
            parts,
            self.execution.devices,
            waiting,
            self.predictions,
        )

    @property
    def unlabeled(self) -> np.ndarray:
        """Rows of the unlabeled clips in the order of their indices; see `Batch`."""
        return self._pool("unlabeled").by_index

    def solve(self) -> None:
        """Compute the weights at once, in place of all steps; all processes have the first one's."""
        began = time.monotonic()
        rows, predictor = self.partition.labeled, next(iter(self.assembly.predictors()))
        known = list[torch.Tensor]()
        for some in self._fitted_to():
            features = self.features.of_videos(predictor, some.tolist())
            assert features is not None, "an algorithm that is fitted at once has stored features"
            known.append(features.to(self.device))
        labels = torch.from_numpy(self.labels[rows]).repeat_interleave(len(known[0]) // len(rows))
        self.algorithm.fit(known[0], labels.to(self.device), *known[1:])
        if self.processes.size > 1:
            # Threads of a solver sum in any order; each process tests a part of the clips.
            fitted = {name: value.cpu() for name, value in self.algorithm.state_dict().items()}
            self.algorithm.load_state_dict(self.processes.from_main(fitted))
        if average := self.assembly.average:
            average.network.load_state_dict(next(iter(self.assembly.predictors().values())).state_dict())
        self.step, self.seconds = self.spec.steps, time.monotonic() - began

    def _fitted_to(self) -> list[np.ndarray]:
        """Return the rows of the clips that `Algorithm.fit` is given, the labeled ones first."""
        rows = self.partition.labeled
        # Clips that are in both parts have their label already.
        others = self.partition.unlabeled[~np.isin(self.partition.unlabeled, rows)]
        return [rows, others] if self.algorithm.fits_unlabeled else [rows]

    def validate(self) -> Scores:
        """Measure the accuracy of every predictor on the validation clips."""
        rows = self.partition.validation
        return self._accuracies(rows, self._probabilities(rows)) if len(rows) else {}

    def calibrate(self) -> Tested:
        """Evaluate every predictor on the validation clips, and fit its temperature to them."""
        rows = self.partition.validation
        views = self._probabilities(rows, average=each_view) if len(rows) else {}
        self.calibration = calibration.fit(views, self.labels[rows]) if views else Calibration()
        self.calibration = self.processes.from_main(self.calibration)
        return self._of_views(rows, views) if views else Tested()

    def test(self, report: Callable[[int, int], None] | None = None) -> Tested:
        """Evaluate every predictor on the test clips; this is the only place that reads their labels.

        Args:
            report: called with the number of clips done and in total.
        """
        rows = self.partition.test
        if not len(rows):
            return Tested()
        if self.spec.folds:
            return self._of_views(rows, self._probabilities(rows, report, each_view))
        return Tested(*self._said(rows, self._probabilities(rows, report, both(self._temperatures))))

    def _of_views(self, rows: np.ndarray, views: dict[str, np.ndarray]) -> Tested:
        """Return accuracies and predictions from the logits of views, which are kept."""
        average = both(self._temperatures)
        logits = {name: torch.from_numpy(of_views).flatten(0, 1) for name, of_views in views.items()}
        scores = {name: average(name, some, len(rows)) for name, some in logits.items()}
        return Tested(*self._said(rows, scores), views)

    @property
    def _temperatures(self) -> Mapping[str, float]:
        return self.calibration.temperatures if self.calibration else {}

    def _said(self, rows: np.ndarray, scores: dict[str, np.ndarray]) -> tuple[Scores, Predictions]:
        """Return accuracies and predictions from probabilities without and with temperatures."""
        index = self.data.index
        plain = {name: score[:, 0] for name, score in scores.items()}
        moved = {name: scores[name][:, 1] for name in scores if name in self._temperatures}
        clips = [index.ids[row] for row in rows.tolist()]
        predicted = predictions(clips, index.classes, self.labels[rows], plain, moved)
        return self._accuracies(rows, plain), predicted

    def _probabilities(
        self,
        rows: np.ndarray,
        report: Callable[[int, int], None] | None = None,
        average: Callable[[str, torch.Tensor, int], np.ndarray] = mean_over_views,
    ) -> dict[str, np.ndarray]:
        # Each process evaluates a part of the clips.
        self.processes.same_buffers(self.assembly.parts())
        self.features.fill(rows, report)
        return probabilities(
            self.assembly.predictors(),
            self.assembly.shape_for,
            self.data.store,
            rows.tolist(),
            self.spec,
            self.device,
            report,
            self.processes,
            features=self.features.of_videos,
            average=average,
            threads=self.loaders,
        )

    def _accuracies(self, rows: np.ndarray, scores: dict[str, np.ndarray]) -> Scores:
        return {name: accuracy(score, self.labels[rows]) for name, score in scores.items()}

    def clips_per_step(self) -> int:
        """Return the number of videos read per step by all processes together."""
        return self.spec.labeled_batch + (self.spec.unlabeled_batch if self.algorithm.unlabeled else 0)

    def clips_in_all(self) -> int:
        """Return the number of videos read by the whole training, repeated ones included."""
        if self.algorithm.at_once:
            return sum(map(len, self._fitted_to()))
        return self.clips_per_step() * self.spec.steps

    def feature_operations(self) -> int:
        """Return the multiply-adds that the features of training clips take, as if none were stored."""
        pools = [self._pool(kind) for kind in ("labeled", "unlabeled")]
        return self.features.operations(pool for pool in pools if isinstance(pool, FeaturePool))

    def names(self, step: int) -> list[str]:
        """Return the ids of a step's clips, labeled ones first."""
        kinds = ["labeled", "unlabeled"] if self.algorithm.unlabeled else ["labeled"]
        pools = [self._pool(kind) for kind in kinds]
        return [str(self.data.index.ids[row]) for pool in pools for row in pool.rows_of(step)]

    def _pool(self, purpose: str) -> Pool:
        if purpose not in self._pools:
            self._pools[purpose] = self._make_pool(purpose)
        return self._pools[purpose]

    def _make_pool(self, purpose: str) -> Pool:
        spec, declared = self.spec, getattr(self.algorithm, purpose)
        views = requests(declared, self.assembly.shapes)
        rows, batch = getattr(self.partition, purpose), getattr(spec, f"{purpose}_batch")
        # Clips that are not read need no equal shards.
        shards = self.processes.size * spec.accumulate if views else 1
        labels = self.labels[rows] if spec.balance and purpose == "labeled" else None
        arguments = (
            *(purpose, rows, views, batch, spec.size, spec.seed),
            *(self.data.store, shards, labels, spec),
        )
        extractors = self.features.of_views(declared)
        if not extractors:
            return Pool(*arguments)
        make, copies = self.features.make, spec.feature_copies
        return FeaturePool(*arguments, copies=copies, extractors=extractors, make=make, threads=self.readers)

    @property
    def loaders(self) -> int:
        """The number of loading processes."""
        read = [pool for kind in ("labeled", "unlabeled") if (pool := self._pool(kind)).views]
        if all(isinstance(pool, FeaturePool) and pool.only_features for pool in read):
            return 0  # reading takes less time than handing over
        return self.readers
