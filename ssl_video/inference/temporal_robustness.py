"""Temporal robustness: the accuracy of a run's networks on test clips whose frames are reordered.

A change maps each place of a clip with T frames to one of its frames, positions (T,) in [0, T). It is applied
directly before a network, so every network sees the same change of its own clip, for any clip length and
frame rate. A slowed clip shows the middle of the clip's window, each frame several times, in the same number
of frames: motion has half or a quarter of its speed, in jumps. A frozen clip is the slowest one.

Frozen and slowed clips measure the contribution of motion to an accuracy, reversed and shuffled clips that of
the order of the frames. A network without any notion of time loses nothing by the latter.

Reading the results does not import torch.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ssl_video.errors import InputError
from ssl_video.files import read_bytes, replace_text
from ssl_video.runs.folder import DYNAMICS
from ssl_video.runs.result import Environment, Result

if TYPE_CHECKING:
    from ssl_video.data.views.sampling import Stream

ORIGINAL = "original"

Scores = dict[str, dict[str, dict[str, float | None]]]
"""Accuracies ("top1", "top5", "mean_class") by predictor and change."""


def slowed(frames: int, factor: int) -> np.ndarray:
    """Return the middle frames, each `factor` times, enough to fill the clip; of two middles the earlier."""
    needed = -(-frames // factor)
    return (frames - needed) // 2 + np.arange(frames) // factor


CHANGES: dict[str, Callable[[int, "Stream"], np.ndarray]] = {
    ORIGINAL: lambda frames, _: np.arange(frames),
    "slowed": lambda frames, _: slowed(frames, 2),
    "slowed4": lambda frames, _: slowed(frames, 4),
    "frozen": lambda frames, _: slowed(frames, frames),
    "reversed": lambda frames, _: np.arange(frames)[::-1].copy(),
    "shuffled": lambda frames, stream: stream.permutation(frames),
}


def positions(change: str, frames: int, seed: int, clip: str) -> np.ndarray:
    """Return the frame at each place of a changed clip, (T,).

    Args:
        change: one of CHANGES.
        frames: T.
        seed: the run's seed; with the clip's name it determines the order of shuffled frames, so that all
            networks with clips of one length see the same order.
        clip: name of the test clip.
    """
    from ssl_video.data.views.sampling import Stream

    return CHANGES[change](frames, Stream(seed, f"dynamics/{change}/{clip}"))


def top1(scores: Scores, predictor: str, change: str) -> float:
    """Return the top-1 accuracy of a predictor on changed clips, which every test has."""
    found = scores[predictor][change]["top1"]
    assert found is not None
    return found


def differences(scores: Scores, result: Result) -> list[str]:
    """Return a sentence for every predictor whose accuracy on the original clips differs from its record."""
    return [
        f"{name} has top-1 {100 * top1(scores, name, ORIGINAL):.2f} % on the original clips, but "
        f"{100 * result.predictors[name].top1:.2f} % in its record: "
        "the clips, the machine or the versions differ"
        for name in scores
        if name in result.predictors and scores[name][ORIGINAL] != result.predictors[name].model_dump()
    ]


def write(folder: Path, scores: Scores, environment: Environment) -> None:
    """Write the accuracies to a run's folder, with the environment that produced them.

    Raises:
        InputError: the folder cannot be written.
    """
    path = folder / DYNAMICS
    try:
        replace_text(
            path, json.dumps({"predictors": scores, "environment": environment.model_dump()}, indent=1) + "\n"
        )
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def read(folder: Path) -> Scores:
    """Return the accuracies that `ssl-video analyze dynamics` has written to a run's folder.

    Raises:
        InputError: there are none, or the file is damaged.
    """
    path = folder / DYNAMICS
    try:
        found = json.loads(read_bytes(path))["predictors"]
        return {
            str(name): {
                change: {
                    "top1": float(scores[change]["top1"]),
                    "top5": None if (top5 := scores[change]["top5"]) is None else float(top5),
                    "mean_class": float(scores[change]["mean_class"]),
                }
                for change in CHANGES
            }
            for name, scores in found.items()
        }
    except FileNotFoundError:
        raise InputError(f"there is no {path}: ssl-video analyze dynamics {folder} creates it") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is damaged ({error}): ssl-video analyze dynamics {folder} --again recreates it"
        ) from None
