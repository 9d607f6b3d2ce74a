"""A trained algorithm from its checkpoint, to test on a dataset or to label video files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ssl_video.contract import Task
from ssl_video.data.dataset import Data, short_side
from ssl_video.data.frames.store import FrameStore
from ssl_video.data.index import Index
from ssl_video.data.video.decode import DecodeError
from ssl_video.engine import checkpoint
from ssl_video.engine.assemble import Assembly, assemble, resolve
from ssl_video.engine.evaluate import accuracy, probabilities
from ssl_video.engine.layout import place
from ssl_video.errors import InputError, unknown
from ssl_video.spec import Spec, build


@dataclass(frozen=True)
class Trained:
    """A checkpoint, loaded."""

    spec: Spec
    classes: list[str]
    assembly: Assembly
    device: torch.device

    def predictor(self, name: str | None) -> dict[str, nn.Module]:
        """One predictor by name; None is the headline.

        Raises:
            InputError: no predictor of that name.
        """
        predictors = self.assembly.predictors()
        name = name or next(iter(predictors))
        if name not in predictors:
            raise InputError(unknown("predictor", name, predictors))
        return {name: predictors[name]}


def load(path: Path, device: torch.device) -> Trained:
    """Load a run's folder or a checkpoint file.

    Raises:
        InputError: no checkpoint there, a damaged one, or one that does not fit its own specification.
    """
    state = _read(path)
    # Options arrive as YAML and JSON hold them; resolving gives them their types again.
    spec = resolve(build(state["spec"]), device)
    assembly = assemble(spec, Task(len(state["classes"]), state["num_unlabeled"]), trained=True)
    try:
        assembly.load(state)
    except (RuntimeError, LookupError) as error:
        raise InputError(
            f"{path} does not fit the networks it names: {str(error).splitlines()[-1].strip()}"
        ) from None
    for part in assembly.parts():
        place(part, device)
    return Trained(spec, list(state["classes"]), assembly, device)


def check_classes(trained: Trained, index: Index) -> None:
    """Whether a dataset can be tested on.

    Raises:
        InputError: it has classes that the checkpoint does not know, or no test clip.
    """
    strange = [name for name in index.classes if name not in trained.classes]
    if strange:
        raise InputError(
            f"the checkpoint knows {len(trained.classes)} classes, {index.name} has {len(index.classes)}, "
            f"and {len(strange)} of those the checkpoint does not know: "
            f"{', '.join(strange[:5])}{', …' if len(strange) > 5 else ''}"
        )
    if not len(index.rows("test")):
        raise InputError(f"{index.name} has no test clip")


def evaluate(trained: Trained, data: Data) -> dict[str, dict[str, float]]:
    """Accuracy of every predictor on a dataset's test clips.

    The dataset's classes are matched by name; it may have fewer than the checkpoint.

    Raises:
        InputError: see `check_classes`.
    """
    check_classes(trained, data.index)
    rows = data.index.rows("test")
    numbers = np.array([trained.classes.index(name) for name in data.index.classes])
    labels = numbers[data.index.labels[rows]]
    scores = probabilities(
        trained.assembly.predictors(),
        trained.assembly.shape_for,
        data.store,
        rows.tolist(),
        trained.spec,
        trained.device,
    )
    return {name: accuracy(score, labels) for name, score in scores.items()}


def label_files(
    trained: Trained, files: list[Path], predictor: str | None = None
) -> tuple[dict[Path, np.ndarray], dict[Path, str]]:
    """Class probabilities of video files, (classes,) each, and the reasons why others could not be read."""
    store = FrameStore(
        [str(f) for f in files],
        short_side(trained.spec.size),
        limit=0,
        frame_format=trained.spec.frame_format,
    )
    found, broken = dict[Path, np.ndarray](), dict[Path, str]()
    for row, file in enumerate(files):
        try:
            store.count(row)  # the reason alone, where it cannot be read
            (scores,) = probabilities(
                trained.predictor(predictor),
                trained.assembly.shape_for,
                store,
                [row],
                trained.spec,
                trained.device,
            ).values()
            found[file] = scores[0]
        except DecodeError as error:
            broken[file] = str(error)
    return found, broken


def _read(path: Path) -> dict[str, Any]:
    """The checkpoint in a file, or of a run's folder: the final one, else the newest that can be read."""
    if not path.is_dir():
        return checkpoint.load(path)
    if (path / checkpoint.FINAL).exists():
        return checkpoint.load(path / checkpoint.FINAL)
    state, damaged = checkpoint.latest(path)
    if state is None:
        missing = f"{path} holds no checkpoint (neither {checkpoint.FINAL} nor {checkpoint.CURRENT})"
        raise InputError(*(damaged or [missing]))
    return state
