"""Whether two runs are one: a run's folder is its identity, and what tells it from another can be named."""

from pathlib import Path

from ssl_video.engine import checkpoint, record
from ssl_video.engine.run import Plan
from ssl_video.errors import InputError
from ssl_video.spec import flat, plain, read_yaml

# Where the data lies is no part of a run; what it holds is, and has a fingerprint of its own.
_PLACES = ("data", "root", "split", "lists")
_CONTENT = "the data set's clips or labels, a plugin's code, or the content of a file of weights"


def check_same(plan: Plan, folder: Path) -> None:
    """Whether a plan is the run in a folder.

    Raises:
        InputError: it is another one; says in what they differ.
    """
    if plan.name != folder.name:
        raise InputError(
            f"{folder} cannot be resumed with other settings: {differences(plan, folder)}. That is another "
            f"run, with another schedule from its first step; without --resume it starts anew"
        )


def unfinished(plan: Plan, runs: Path) -> list[str]:
    """A sentence for each run under way that a new run may have been meant to go on with.

    Those have the same algorithm, data set, protocol and seed.
    """
    if (runs / plan.name).exists():
        return []
    return [
        f"{folder} is not finished, and differs: {differences(plan, folder)}; this run starts anew"
        for folder in sorted(runs.glob(plan.name.rsplit("-", 1)[0] + "-*"))
        if (folder / checkpoint.CURRENT).exists() and record.read_result(folder) is None
    ]


def differences(plan: Plan, folder: Path) -> str:
    """What a run's folder says otherwise than a plan: "steps 400, now 800"."""
    there, here = flat(read_yaml(folder / record.SPEC)), flat(plain(plan.spec))
    changed = [
        f"{key} {there.get(key, 'not set')}, now {here.get(key, 'not set')}"
        for key in dict.fromkeys([*there, *here])
        if key.split(".")[0] not in _PLACES and there.get(key) != here.get(key)
    ]
    return "; ".join(changed) or _CONTENT
