"""Compare a planned run with the folder of another, and name the settings that differ.

A run's name is its identity, see `training.run.Plan`.
"""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssl_video.errors import InputError
from ssl_video.runs.folder import RunFolder, run_folders
from ssl_video.spec import Spec, flat, plain

# The location of the data is not part of a run's identity; its content is, and has its own fingerprint.
_PLACES = ("data", "root", "split", "unlabeled", "labels", "keep_classes", "lists")
_CONTENT = (
    "the data set's clips or labels, a plugin's code, or the content of a file of weights; or its "
    "specification was edited, from which the settings are read"
)


def check_same(name: str, spec: Spec, folder: RunFolder) -> None:
    """Check that a planned run is the one in a folder.

    Raises:
        InputError: it is another run; the message names the settings that differ.
    """
    if name != folder.name:
        raise InputError(
            f"{folder.path} cannot be resumed with other settings: {differences(spec, folder)}. That is "
            f"another run, with another schedule from its first step; without --resume it starts from scratch"
        )


def unfinished(name: str, spec: Spec, results: Path) -> list[str]:
    """Return a sentence for each unfinished run that the user may have meant to resume.

    These have the same algorithm, data set, protocol and seed.
    """
    folders = {folder.name: folder for folder in run_folders(results)}
    if name in folders:
        return []
    found = list[str]()
    for other, folder in folders.items():
        alike = other.rpartition("-")[0] == name.rpartition("-")[0]
        if alike and folder.has_checkpoint and not folder.finished():
            with contextlib.suppress(InputError):  # a damaged specification is not this run's problem
                differ = differences(spec, folder)
                found.append(
                    f"{folder.path} is not finished, but differs: {differ}; this run starts from scratch"
                )
    return found


def same_settings(some: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Return whether two specifications, as plain values, are equal but for the places of their data."""
    return _without_places(some) == _without_places(others)


def check_weights(path: Path, state: Mapping[str, Any], folder: RunFolder) -> None:
    """Check that weights in a run's folder are those of the run.

    Raises:
        InputError: they are of another run, or the run's specification is damaged.
    """
    if fault := foreign(state, folder):
        raise InputError(
            f"{path} {fault}, not of the run {folder.name} whose folder it is in: put the run's own file "
            "back, or give the checkpoint itself from a folder of its own"
        )


def foreign(state: Mapping[str, Any], folder: RunFolder) -> str:
    """Return the reason why weights are not those of the run of a folder; empty: they are.

    A folder without result and specification, to which somebody copied weights, is not one of a run.
    """
    run, result = state.get("run"), folder.finished()
    known = result.run if result else folder.name if folder.in_results and folder.exists else None
    if run and known:
        return "" if run == known else f"is of the run {run}"
    if not result and not folder.exists:
        return ""
    spec = result.spec if result else plain(folder.spec)
    same = same_settings(state["spec"], spec) and (not result or len(state["classes"]) == result.classes)
    return "" if same else "is of a run with other settings or classes"


def _without_places(values: Mapping[str, Any]) -> dict[str, Any]:
    plain_values = json.loads(json.dumps({k: v for k, v in values.items() if k not in _PLACES}))
    return dict(plain_values)


def differences(spec: Spec, folder: RunFolder) -> str:
    """Return the settings in which a folder differs from a planned run: "steps 400, now 800"."""
    there, here = flat(plain(folder.spec)), flat(plain(spec))
    changed = [
        f"{key} {there.get(key, 'not set')}, now {here.get(key, 'not set')}"
        for key in dict.fromkeys([*there, *here])
        if key.split(".")[0] not in _PLACES and there.get(key) != here.get(key)
    ]
    return "; ".join(changed) or _CONTENT
