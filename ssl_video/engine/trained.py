"""A trained algorithm from its checkpoint, to test on a dataset or to label video files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ssl_video.contract import Task
from ssl_video.data.dataset import Data, short_side
from ssl_video.data.frames.store import FrameStore
from ssl_video.data.index import Index
from ssl_video.data.video.decode import DecodeError
from ssl_video.engine import checkpoint, dynamics
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
    rows, labels = _test_clips(trained, data.index)
    scores = probabilities(
        trained.assembly.predictors(),
        trained.assembly.shape_for,
        data.store,
        rows.tolist(),
        trained.spec,
        trained.device,
    )
    return {name: accuracy(score, labels) for name, score in scores.items()}


def sensitivity(
    trained: Trained, data: Data, progress: Callable[[int, int], None] | None = None
) -> dynamics.Scores:
    """Accuracy of every predictor on a dataset's test clips with their time changed, by every change.

    The classes are matched as in `evaluate`; `progress` is called with the number of clips done and to do.

    Raises:
        InputError: see `check_classes`.
    """
    rows, labels = _test_clips(trained, data.index)
    predictors, shape_for = trained.assembly.predictors(), trained.assembly.shape_for
    # A network on one change's clips counts as a predictor, so that clips are cut once for all of them.
    pairs = {
        f"{name} on {change} clips": (name, change) for name in predictors for change in dynamics.CHANGES
    }

    def changed(pair: str, clips: Tensor, some: Sequence[int]) -> Tensor:
        names = [data.index.ids[row] for row in some]
        return _changed(clips, pairs[pair][1], trained.spec.seed, names)

    scores = probabilities(
        {pair: predictors[name] for pair, (name, _) in pairs.items()},
        lambda pair: shape_for(pairs[pair][0]),
        data.store,
        rows.tolist(),
        trained.spec,
        trained.device,
        progress,
        changed=changed,
    )
    found: dynamics.Scores = {name: {} for name in predictors}
    for pair, (name, change) in pairs.items():
        found[name][change] = accuracy(scores[pair], labels)
    return found


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


def _test_clips(trained: Trained, index: Index) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the test clips, and their class numbers as the checkpoint counts."""
    check_classes(trained, index)
    rows = index.rows("test")
    numbers = np.array([trained.classes.index(name) for name in index.classes])
    return rows, numbers[index.labels[rows]]


def _changed(clips: Tensor, change: str, seed: int, names: Sequence[str]) -> Tensor:
    """Clips of named videos, as many of each, with their frames rearranged; shapes (N, 3, T, H, W)."""
    if change == dynamics.ORIGINAL:
        return clips
    orders = np.stack([dynamics.positions(change, clips.shape[2], seed, name) for name in names])
    places = torch.from_numpy(orders.repeat(len(clips) // len(names), 0)).to(clips.device)
    # (N, 3, T, H, W) -> (N, T, 3, H, W), as indices on both sides of a slice bring their axes to the front
    frames = clips[torch.arange(len(clips), device=clips.device)[:, None], :, places]
    return frames.transpose(1, 2).contiguous(memory_format=torch.channels_last_3d)


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
