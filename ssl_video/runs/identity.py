"""Compare a planned run with the folder of another, and name the settings that differ.

A run's name is its identity, see `training.run.Plan`.
"""

from pathlib import Path

from ssl_video.errors import InputError
from ssl_video.runs.folder import RunFolder, run_folders
from ssl_video.spec import Spec, flat, plain

# The location of the data is not part of a run's identity; its content is, and has its own fingerprint.
_PLACES = ("data", "root", "split", "unlabeled", "labels", "keep_classes", "lists")
_CONTENT = "the data set's clips or labels, a plugin's code, or the content of a file of weights"


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
    return [
        f"{folder.path} is not finished, but differs: {differences(spec, folder)}; this run starts from "
        "scratch"
        for other, folder in folders.items()
        if other.rpartition("-")[0] == name.rpartition("-")[0]
        and folder.has_checkpoint
        and not folder.finished()
    ]


def differences(spec: Spec, folder: RunFolder) -> str:
    """Return the settings in which a folder differs from a planned run: "steps 400, now 800"."""
    there, here = flat(plain(folder.spec)), flat(plain(spec))
    changed = [
        f"{key} {there.get(key, 'not set')}, now {here.get(key, 'not set')}"
        for key in dict.fromkeys([*there, *here])
        if key.split(".")[0] not in _PLACES and there.get(key) != here.get(key)
    ]
    return "; ".join(changed) or _CONTENT
