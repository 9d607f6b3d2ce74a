"""The pooled features of clips, as arrays: for a search, a plot or a classifier of other programs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ssl_video.data.importers.to_label import Given
from ssl_video.data.progress import Progress
from ssl_video.errors import InputError
from ssl_video.inference.ahead import labeled
from ssl_video.inference.clip_reader import ClipReader
from ssl_video.inference.evaluate import CLIPS_AT_ONCE, evaluating, mean_over_views
from ssl_video.inference.stretches import Labeled
from ssl_video.networks.pooled import Pooled
from ssl_video.networks.precision import autocast
from ssl_video.runs import npz

if TYPE_CHECKING:
    from ssl_video.inference.model import Model

SUFFIX = ".npz"


@dataclass(frozen=True)
class ClipFeatures:
    """The features of clips, in the order given; those that cannot be read are in `errors` alone.

    Attributes:
        features: (N, C) float32, the inputs of the network's classifier, their mean over the windows and
            crops of a clip.
        probabilities: (N, classes) float32, as of `predict`.
        paths: (N,) texts as given.
        starts: (N,) seconds at which parts of files begin; NaN: not given in seconds.
        ends: (N,) seconds at which they end; NaN likewise.
        labels: (N,) names, "" where none is known, see `Model.features`.
        classes: (classes,) names, in the order of the probabilities.
        errors: (M,) texts, "path: reason" of each clip that cannot be read.
    """

    features: np.ndarray
    probabilities: np.ndarray
    paths: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    labels: np.ndarray
    classes: np.ndarray
    errors: np.ndarray

    def save(self, path: Path) -> None:
        """Write the arrays to an .npz file.

        Raises:
            InputError: it cannot be written.
        """
        try:
            npz.save(path, asdict(self))
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def check(path: Path) -> None:
    """Check that a file can be written there, before clips are read.

    Raises:
        InputError: it has another ending, or its folder does not exist.
    """
    if path.suffix != SUFFIX:
        raise InputError(f"{path}: features are written to an {SUFFIX} file")
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}")


@dataclass(frozen=True)
class Read:
    """The outputs of a network for clips.

    Attributes:
        numbers: (N,) numbers of the clips that could be read, sorted.
        features: (N, C) float32, see `ClipFeatures`.
        probabilities: (N, classes) float32 likewise.
        errors: the reasons why the others could not, by the numbers of clips.
    """

    numbers: np.ndarray
    features: np.ndarray
    probabilities: np.ndarray
    errors: dict[int, str]


def read_clips(
    model: "Model", clips: Sequence[Given], predictor: str, decoders: int, report: Progress
) -> Read:
    """Read clips, and return their features and probabilities; the arguments are those of `clip_features`.

    Raises:
        InputError: the network has no classifier, or gives outputs that are not finite.
    """
    network, spec, classes = model.predictors[predictor], model.spec, len(model.classes)
    pooled, temperature = Pooled(network, classes), model.temperatures.get(predictor)
    reader = ClipReader(clips, [None] * len(clips), None, model.assembly.shape_for(predictor), spec)

    @torch.no_grad()
    def predict(views: Tensor, number: int) -> np.ndarray:
        given = views.to(model.device, memory_format=torch.channels_last_3d)
        with autocast(model.inference, model.device), pooled.reading():
            logits = network(given)
        found = pooled.features(len(views)).unflatten(0, (number, -1)).mean(1)
        # Both in one array, as `labeled` hands over one for each clip.
        return np.concatenate(
            [mean_over_views(predictor, logits, number, temperature), found.cpu().numpy()], 1
        )

    at_once = max(1, CLIPS_AT_ONCE // (spec.test_clips * spec.test_crops))
    rows, numbers, errors, ended = list[np.ndarray](), list[int](), dict[int, str](), 0
    with evaluating([network]):
        for number, part in labeled(
            reader.whole, len(clips), predict, at_once, spec.test_clips, decoders, apart=False
        ):
            if isinstance(part, Labeled):
                rows.append(part.probabilities.astype(np.float32))
                numbers.append(number)
                continue
            ended += 1
            report("computing features", ended, len(clips))
            if part.error:
                errors[number] = part.error
    both = np.stack(rows) if rows else np.empty((0, classes), np.float32)
    return Read(np.array(numbers, np.int64), both[:, classes:], both[:, :classes], errors)


def clip_features(
    model: "Model", clips: Sequence[Given], predictor: str, decoders: int, report: Progress
) -> ClipFeatures:
    """Return the features of clips.

    Args:
        model: the trained networks.
        clips: the clips, each once.
        predictor: name of the network.
        decoders: threads that decode.
        report: called with the current task, the number of items done and the total.

    Raises:
        InputError: the network has no classifier, or gives outputs that are not finite.
    """
    found = read_clips(model, clips, predictor, decoders, report)
    read = [clips[number] for number in found.numbers.tolist()]
    return ClipFeatures(
        features=found.features,
        probabilities=found.probabilities,
        paths=_texts([clip.path for clip in read]),
        starts=np.array([clip.start for clip in read], np.float64),
        ends=np.array([clip.end for clip in read], np.float64),
        labels=_texts([_label(clip, model.classes) for clip in read]),
        classes=_texts(model.classes),
        errors=_texts([f"{clips[number].path}: {reason}" for number, reason in found.errors.items()]),
    )


def _label(clip: Given, classes: Sequence[str]) -> str:
    """Return a clip's own label, or the name of the nearest folder around it that is a class."""
    folders = reversed(Path(clip.file).parts[:-1])
    return clip.label or next((name for name in folders if name in classes), "")


def _texts(values: Sequence[str]) -> np.ndarray:
    return np.array(values, np.str_) if values else np.empty(0, "<U1")
