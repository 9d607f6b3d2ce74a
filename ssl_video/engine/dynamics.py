"""Changes of a test clip's time, and what they cost each network of a run: its sensitivity to dynamics.

A change says which of a clip's T frames stand at each of its places, positions (T,) in [0, T). It is made
just before a network, so every network sees the same change of its own clip, whatever that clip's length and
frame rate are. Slowing shows the middle of the clip's window, each frame several times, in as many frames as
before: what moves, moves at half or a quarter of its speed, in jumps; a frozen clip is the slowest one.

Frozen and slowed clips say how much of an accuracy comes from motion, reversed and shuffled ones how much
comes from the order of the frames. A network without any notion of time loses nothing by the latter.

Never imports torch to read what was measured.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_video.errors import InputError
from ssl_video.files import replace_text

if TYPE_CHECKING:
    from ssl_video.data.views.sampling import Stream

DYNAMICS = "dynamics.json"
ORIGINAL = "original"

Scores = dict[str, dict[str, dict[str, float]]]
"""Accuracies ("top1", "top5", "mean_class") by predictor and change."""


def slowed(frames: int, factor: int) -> np.ndarray:
    """The middle frames, as many as fill the clip at `factor` times each; of two middles the earlier."""
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
    """Which frame stands at each place of a changed clip, (T,).

    Args:
        change: one of CHANGES.
        frames: T.
        seed: the run's; with the clip's name it decides the order of shuffled frames, so that all networks
            with clips of one length see the same order.
        clip: name of the test clip.
    """
    from ssl_video.data.views.sampling import Stream

    return CHANGES[change](frames, Stream(seed, f"dynamics/{change}/{clip}"))


def differences(scores: Scores, recorded: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A sentence for every predictor whose accuracy on the original clips is not the one in its record."""
    return [
        f"{name} has top-1 {100 * scores[name][ORIGINAL]['top1']:.2f} % on the original clips, and "
        f"{100 * recorded[name]['top1']:.2f} % in its record: other clips, another machine or other versions"
        for name in scores
        if name in recorded and scores[name][ORIGINAL] != recorded[name]
    ]


def write(folder: Path, scores: Scores, environment: Mapping[str, Any]) -> None:
    """Keep them in a run's folder, with what they were made with.

    Raises:
        InputError: the folder cannot be written.
    """
    path = folder / DYNAMICS
    try:
        replace_text(path, json.dumps({"predictors": scores, "environment": environment}, indent=1) + "\n")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def read(folder: Path) -> Scores:
    """What `ssl-video dynamics` has written to a run's folder.

    Raises:
        InputError: it has not, or the file is damaged.
    """
    path = folder / DYNAMICS
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["predictors"]
        return {
            str(name): {
                change: {key: float(scores[change][key]) for key in ("top1", "top5", "mean_class")}
                for change in CHANGES
            }
            for name, scores in found.items()
        }
    except FileNotFoundError:
        raise InputError(f"there is no {path}: ssl-video dynamics {folder} makes it") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is damaged ({error}): ssl-video dynamics {folder} --again makes it anew"
        ) from None
