"""Load the trained networks of a run."""

import warnings
from pathlib import Path
from typing import Any

import torch

from ssl_video.contract import Task
from ssl_video.errors import InputError
from ssl_video.inference.calibration import Calibration
from ssl_video.inference.model import Model
from ssl_video.networks import plugins
from ssl_video.networks.assemble import assemble, resolve
from ssl_video.networks.memory_format import place
from ssl_video.runs import checkpoint
from ssl_video.runs.folder import RunFolder
from ssl_video.runs.identity import check_weights, foreign
from ssl_video.spec import build


def load(path: Path, device: torch.device, trust: bool = False) -> Model:
    """Load a run's folder or a checkpoint file.

    Args:
        path: the folder or file.
        device: where to put the networks.
        trust: allow that the code of an algorithm or backbone outside the package is run.

    Raises:
        InputError: no checkpoint there, a damaged one, one that does not fit its own specification, or code
            that is not allowed, see `plugins.check`.
    """
    folder = path if path.is_dir() else path.parent if path.name == checkpoint.FINAL else None
    state = _read(path, folder)
    spec = build(state["spec"])
    plugins.check(spec, state.get("plugins"), trust, path)
    # Options arrive as YAML and JSON hold them; resolving gives them their types again.
    spec = resolve(spec, device)
    assembly = assemble(spec, Task(len(state["classes"]), state["num_unlabeled"]), trained=True)
    try:
        assembly.load(state)
    except (RuntimeError, LookupError) as error:
        raise InputError(
            f"{path} does not fit the networks it names: {str(error).splitlines()[-1].strip()}"
        ) from None
    for part in assembly.parts():
        # Evaluation mode, so that a call of `Model.module` changes no batch-norm statistics.
        place(part, device).eval()
    step = state.get("step", spec.steps)
    unfinished = step if step < spec.steps else None
    names, unlabeled = list(state["classes"]), state["num_unlabeled"]
    return Model(spec, names, assembly, device, unfinished, unlabeled, folder, Calibration.of(state))


def _read(path: Path, folder: Path | None) -> dict[str, Any]:
    """Return the checkpoint in a file, or of a run's folder: the final one, else the newest usable one."""
    if folder is None:
        return checkpoint.load(path)
    run = RunFolder(folder)
    if not path.is_dir() or (path / checkpoint.FINAL).exists():
        file = folder / checkpoint.FINAL
        state = checkpoint.load(file)
        check_weights(file, state, run)
        return state
    found, damaged = checkpoint.latest(path, lambda state: foreign(state, run))
    if found is None:
        missing = f"{path} holds no checkpoint (neither {checkpoint.FINAL} nor {checkpoint.CURRENT})"
        raise InputError(*(damaged or [missing]))
    for sentence in damaged:
        warnings.warn(f"{sentence}; the one before is used", RuntimeWarning, stacklevel=2)
    return found
