"""Checkpoints that stay valid if the process is killed while writing, and load without running code."""

import contextlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ssl_video.errors import DAMAGED, InputError, shortened
from ssl_video.files import open_regular, replacing
from ssl_video.runs import weight_file
from ssl_video.runs.folder import CHECKPOINT, NEXT_CHECKPOINT, PREVIOUS_CHECKPOINT, WEIGHTS

CURRENT, PREVIOUS, NEXT, FINAL = CHECKPOINT, PREVIOUS_CHECKPOINT, NEXT_CHECKPOINT, WEIGHTS
_KEYS = {"algorithm", "spec", "classes", "num_unlabeled"}


def save(state: dict[str, Any], folder: Path) -> None:
    """Write a checkpoint: temporary name, fsync, rename. The one before it remains as `PREVIOUS`.

    Raises:
        InputError: the folder cannot be written; existing checkpoints do not change.
    """
    try:
        with replacing(folder / NEXT) as file:
            torch.save(state, file)
        # If killed between these two renames, the run still has PREVIOUS.
        with contextlib.suppress(FileNotFoundError):
            os.replace(folder / CURRENT, folder / PREVIOUS)
        os.replace(folder / NEXT, folder / CURRENT)
    except (OSError, RuntimeError) as error:
        # torch reports a full disk as a RuntimeError of its file writer, raised while it handles ours.
        cause = error.__context__ if isinstance(error.__context__, OSError) else error
        reason = getattr(cause, "strerror", None) or cause
        raise InputError(
            f"cannot write a checkpoint to {folder}: {reason}; the previous checkpoint is intact, and the "
            "run resumes from it once there is space"
        ) from None


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint, or the weights of a finished run.

    Raises:
        InputError: no such file, not a checkpoint, or a file that would run code when loaded.
    """
    state = weight_file.load(path) if path.suffix == Path(FINAL).suffix else _unpickled(path)
    if not isinstance(state, dict) or not state.keys() >= _KEYS:
        raise InputError(f"{path} is not a checkpoint of ssl-video")
    if problem := _problem(state):
        raise InputError(f"{path} was not written by ssl-video: {problem}")
    return state


def _problem(state: dict[str, Any]) -> str:
    """Return what is wrong with the values of a checkpoint; "" if they are of the kinds that are written."""
    classes, unlabeled, step = state["classes"], state["num_unlabeled"], state.get("step", 0)
    named = isinstance(classes, list | tuple) and all(isinstance(name, str) for name in classes)
    if not named or not classes or len(set(classes)) < len(classes):
        return "its classes are not a list of different names"
    for key, number in (("num_unlabeled", unlabeled), ("step", step)):
        if type(number) is not int or not 0 <= number < 2**63:
            return f"its {key} is {shortened(number)}"
    for key in ("algorithm", "spec", "ema", "calibration", "plugins"):
        if not isinstance(state.get(key, {}), dict):
            return f"its {key} is {shortened(state[key])}"
    return ""


def _unpickled(path: Path) -> Any:
    try:
        # torch does not verify the checksums that it writes, so a flipped bit would go unnoticed.
        with open_regular(path) as file:
            with zipfile.ZipFile(file) as archive:
                if damaged := archive.testzip():
                    raise InputError(f"{path} is damaged: the checksum of its part {damaged} is wrong")
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"there is no checkpoint {path}") from None
    except DAMAGED as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path} is damaged or not a checkpoint: {reason}") from None


def latest(
    folder: Path, fault: Callable[[dict[str, Any]], str] = lambda _: ""
) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the newest usable checkpoint of an unfinished run, and a sentence for each that is not.

    Args:
        folder: the run's folder.
        fault: returns the reason why a checkpoint does not belong to the run; empty: it does.

    Raises:
        InputError: a folder has the name of a checkpoint, so that none can be written.
    """
    unusable = list[str]()
    for name in (CURRENT, PREVIOUS, NEXT):
        if (folder / name).is_dir():
            raise InputError(
                f"{folder / name} is a folder, in the place of a checkpoint: remove or rename it"
            )
    for name in (CURRENT, PREVIOUS):
        if (folder / name).exists():
            try:
                state = load(folder / name)
            except InputError as error:
                unusable.append(str(error))
                continue
            if not (reason := fault(state)):
                return state, unusable
            unusable.append(f"{folder / name} {reason}: it is not used")
    return None, unusable


def clear(folder: Path) -> None:
    """Remove the checkpoints, and temporary files of processes that were killed while writing."""
    for path in (*(folder / name for name in (CURRENT, PREVIOUS, NEXT)), *folder.glob(".*.part")):
        path.unlink(missing_ok=True)


def random_state() -> dict[str, torch.Tensor]:
    """Return the state of torch's generators: CPU and, if used, the current GPU."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: dict[str, torch.Tensor]) -> None:
    """Set the state of torch's generators to one from `random_state`."""
    torch.set_rng_state(state["cpu"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
