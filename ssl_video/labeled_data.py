"""Open a data set with its labels, and read batches of clips from it in a custom training loop."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ssl_video.algorithms.parts.teacher import Teacher
from ssl_video.benchmarks.running import arguments
from ssl_video.contract import Algorithm, Batch
from ssl_video.data.dataset import Data, draw, load, read_index, with_protocol
from ssl_video.data.importers.predictions import predictions_for
from ssl_video.data.loader import batches
from ssl_video.data.partitions.partition import Partition
from ssl_video.data.pool import Pool, requests
from ssl_video.data.views.sampling import ClipShape
from ssl_video.errors import InputError, unknown
from ssl_video.inference.evaluate import probabilities
from ssl_video.inference.evaluation import Evaluation
from ssl_video.inference.model import Model
from ssl_video.names import Place
from ssl_video.observer import Observer, observer
from ssl_video.spec import Spec, build

_KEYS = (
    *("protocol", "draw", "seed", "labeled_in_unlabeled", "validation", "lists", "root", "split"),
    *("unlabeled", "labels", "segment", "keep_classes", "folds", "balance"),
    *(
        "size",
        "frames",
        "stride",
        "fps",
        "sampling",
        "frame_format",
        "augmentation",
        "test_clips",
        "test_crops",
    ),
)


@dataclass(frozen=True)
class LabeledData:
    """A data set, and the partition of its clips into labeled, unlabeled, validation and test ones.

    Attributes:
        spec: the settings that it was opened with.
        data: the index of its clips, and the source of their frames.
        partition: rows of the index by part, and the fingerprint of the partition.
    """

    spec: Spec
    data: Data
    partition: Partition

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(getattr(self, part))} {part}" for part in ("labeled", "unlabeled", "test"))
        return f"LabeledData({self.data.index.name!r}, {self.spec.protocol!r}: {counts})"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of a network's outputs."""
        return tuple(self.data.index.classes)

    @property
    def labeled(self) -> list[str]:
        """Ids of the labeled clips."""
        return self._ids(self.partition.labeled)

    @property
    def unlabeled(self) -> list[str]:
        """Ids of the unlabeled clips."""
        return self._ids(self.partition.unlabeled)

    @property
    def validation(self) -> list[str]:
        """Ids of the validation clips."""
        return self._ids(self.partition.validation)

    @property
    def test(self) -> list[str]:
        """Ids of the test clips."""
        return self._ids(self.partition.test)

    def batches(
        self,
        algorithm: Algorithm,
        *,
        labeled: int = 8,
        unlabeled: int = 16,
        steps: int,
        start: int = 0,
        workers: int = 0,
        device: torch.device | str | None = None,
    ) -> Iterator[tuple[Batch, float]]:
        """Yield the batch of every step, and the fraction of training done before it, in [0, 1).

        Batches are a function of the seed and the step. With any number of workers they are those of
        `ssl_video.train`, and start=n resumes a loop that was stopped.

        Args:
            algorithm: its views decide which clips are cut from a video.
            labeled: labeled clips per step.
            unlabeled: unlabeled clips per step; they are not read for an algorithm that uses none.
            steps: number of steps of the whole training.
            start: the first step.
            workers: processes that prepare batches ahead.
            device: the device of the batches; None: that of the algorithm.

        Raises:
            InputError: the algorithm was built for fewer unlabeled clips or other classes, or reads unlabeled
                clips and there are none; or a video can no longer be decoded.
        """
        self._check(algorithm)
        shapes = clip_shapes(algorithm, self.spec)
        where = torch.device(device) if device is not None else next(algorithm.parameters()).device
        spec, store, part = self.spec, self.data.store, self.partition
        labels = self.data.index.labels[part.labeled]
        pools = [
            Pool(
                purpose, rows, requests(views, shapes), count, spec.size, spec.seed, store, 1, balanced, spec
            )
            for purpose, rows, views, count, balanced in (
                ("labeled", part.labeled, algorithm.labeled, labeled, labels if spec.balance else None),
                ("unlabeled", part.unlabeled, algorithm.unlabeled, unlabeled, None),
            )
        ]
        read = batches(
            pools[0],
            labels,
            pools[1] if algorithm.unlabeled else None,
            range(start, steps),
            where,
            workers,
            predictions=predictions_for(algorithm, self.data.index, part.unlabeled),
        )
        for step, batch in enumerate(read, start):
            yield batch, step / steps

    def _check(self, algorithm: Algorithm) -> None:
        problems = list[str]()
        if algorithm.unlabeled and not len(self.partition.unlabeled):
            problems.append(
                f"{type(algorithm).__name__} reads unlabeled clips, and {self.spec.protocol} leaves none: "
                "use labeled_in_unlabeled=True"
            )
        task = algorithm.task
        if problem := _other_classes(algorithm, self):
            problems.append(problem)
        if (
            task
            and algorithm.unlabeled
            and task.num_unlabeled < len(self.partition.unlabeled)
            and _remembers(algorithm)
        ):
            problems.append(
                f"the algorithm is built for {task.num_unlabeled} unlabeled clips, and the data has "
                f"{len(self.partition.unlabeled)}: create(..., data=data), or num_unlabeled=..."
            )
        if problems:
            raise InputError(*problems)

    def _ids(self, rows: np.ndarray) -> list[str]:
        return [self.data.index.ids[row] for row in rows.tolist()]


@arguments.takes(*_KEYS)
def load_data(
    data: Place = "demo",
    *,
    progress: bool | Observer | None = None,
    skip_broken: bool = False,
    cache_gib: float = 20.0,
    **keywords: Any,
) -> LabeledData:
    """Open a data set, decode clips that were not decoded before, and draw its labels.

    Args:
        data: "demo", a folder of class folders, a manifest (CSV), or an index file.
        progress: True, False, or an observer; None: shown in a terminal or a notebook.
        skip_broken: quarantine videos that cannot be decoded, instead of stopping.
        cache_gib: size limit of the cache of decoded frames, in GiB; 0: no cache.
        keywords: keys of a specification that are about data: protocol, draw, seed, labeled_in_unlabeled,
            validation, lists, root, split, unlabeled, segment, keep_classes, folds, balance, size, frames,
            stride, fps, sampling, frame_format, augmentation, test_clips, test_crops. One whose value is None
            counts as not given.

    Raises:
        InputError: unknown keywords, the data cannot be read, videos are broken, or the protocol asks for
            more than there is.
    """
    if problems := [unknown("key", key, _KEYS) for key in keywords if key not in _KEYS]:
        raise InputError(*problems)
    given = {key: value for key, value in keywords.items() if value is not None}
    spec = build({**given, "data": data})
    with observer(progress).preparing() as report:
        index = read_index(spec, report, skip_broken=skip_broken)
        draw(spec, index)  # a protocol that cannot be drawn is reported before videos are decoded
        spec = with_protocol(spec, index)
        opened = load(spec, index, skip_broken=skip_broken, cache_gib=cache_gib, progress=report)
    return LabeledData(spec, opened, draw(spec, opened.index))


def evaluate(algorithm: Algorithm | Model, data: LabeledData, *, part: str = "test") -> Evaluation:
    """Measure the accuracy of every predictor of an algorithm.

    Args:
        algorithm: an algorithm, or the model of a run.
        data: the data set; its `test_clips` and `test_crops` set the number of clips averaged per video.
        part: "test" or "validation".

    Returns:
        Fractions in [0, 1] by predictor: {"primary": {"top1": ..., "top5": ..., "mean_class": ...}}; top5 is
        None for five classes or fewer. Its methods return tables of classes, confusions and clips.

    Raises:
        InputError: there is no clip to test on, outputs are not finite, the classes are not those of the
            data, or a model's clips have another size.
    """
    rows = {"test": data.partition.test, "validation": data.partition.validation}.get(part)
    if part == "test" and not len(data.partition.test):
        raise InputError(
            f"{data.data.index.name} has no test clip: load_data(..., folds=5) tests a fifth of the labeled "
            'clips, and load_data(..., validation=0.2) keeps some for part="validation"'
        )
    if rows is None or not len(rows):
        raise InputError(f"the data has no clip in its part {part!r}")
    if isinstance(algorithm, Model):
        if algorithm.spec.size != data.spec.size:
            raise InputError(
                f"the model takes clips of {algorithm.spec.size} pixels, and the data has {data.spec.size}: "
                f"load_data(..., size={algorithm.spec.size})"
            )
        views = {key: getattr(data.spec, key) for key in ("test_clips", "test_crops")}
        return algorithm.evaluate(data.data, rows, **views)
    if problem := _other_classes(algorithm, data):
        raise InputError(problem)
    shapes = clip_shapes(algorithm, data.spec)
    first = next(iter(shapes.values()))
    scores = probabilities(
        algorithm.predictors(),
        lambda name: shapes.get(name, first),
        data.data.store,
        rows.tolist(),
        algorithm.spec.model_copy(
            update={key: getattr(data.spec, key) for key in ("size", "sampling", "test_clips", "test_crops")}
        )
        if algorithm.spec
        else data.spec,
        next(algorithm.parameters()).device,
    )
    names = [data.data.index.ids[row] for row in rows.tolist()]
    return Evaluation(names, data.classes, data.data.index.labels[rows], scores)


def _other_classes(algorithm: Algorithm, data: LabeledData) -> str:
    """Return a problem if an algorithm is built for another number of classes than the data has."""
    task = algorithm.task
    if not task or task.num_classes == len(data.classes):
        return ""
    return f"the algorithm is built for {task.num_classes} classes, and the data has {len(data.classes)}"


def clip_shapes(algorithm: Algorithm, spec: Spec) -> dict[str, ClipShape]:
    """Return frames and stride of every network's clips, by role.

    An algorithm that `create` built has its own specification. Any other makes its requests relative to
    `spec`.

    Raises:
        InputError: the stride cannot be divided by a role's frame rate.
    """
    if algorithm.spec:
        networks = algorithm.spec.networks.items()
        return {role: ClipShape(n.frames or spec.frames, n.stride or spec.stride) for role, n in networks}
    shapes = dict[str, ClipShape]()
    for role, request in algorithm.roles.items():
        if spec.stride % request.rate:
            raise InputError(
                f"network {role!r} takes {request.rate} times the frame rate, and stride {spec.stride} "
                f"cannot be divided by {request.rate}: load_data(..., stride={request.rate * spec.stride})"
            )
        shapes[role] = ClipShape(spec.frames * request.rate, spec.stride // request.rate)
    return shapes


def _remembers(algorithm: Algorithm) -> bool:
    """Return whether an algorithm has a buffer with an entry for every unlabeled clip."""
    count = algorithm.task.num_unlabeled if algorithm.task else 0
    networks = [*algorithm.predictors().values(), *map(algorithm.get_submodule, algorithm.roles)]
    networks += [module for module in algorithm.modules() if isinstance(module, Teacher)]
    # A network has buffers of its own, which may be as long by chance.
    inside = {module for network in networks for module in network.modules()}
    return any(
        buffer.ndim and buffer.shape[0] == count
        for module in algorithm.modules()
        if module not in inside
        for buffer in module.buffers(recurse=False)
    )
