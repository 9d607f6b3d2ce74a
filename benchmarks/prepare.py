"""From specifications to plans: everything that can be wrong is found before anything is trained."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from ssl_video.data import partition
from ssl_video.data.dataset import Data, Progress, load
from ssl_video.engine import assemble
from ssl_video.engine.run import Plan, plan
from ssl_video.errors import InputError
from ssl_video.spec import Spec, configuration

Made = TypeVar("Made")


def plans(
    specs: Sequence[Spec],
    device: torch.device,
    *,
    skip_broken: bool = False,
    cache_gib: float = 20.0,
    progress: Progress | None = None,
) -> list[Plan]:
    """Resolve specifications, open their data and draw their labels.

    Args:
        specs: the runs.
        device: where they will run.
        skip_broken: leave broken videos out instead of stopping.
        cache_gib: bound of the frame cache.
        progress: called while data is prepared.

    Raises:
        InputError: all problems with names, options and protocols at once, before any video is opened;
            after that, all problems with the data.
    """
    resolved = _collect(specs, lambda spec: _names(spec, device))
    # A backbone is built for a number of classes; one that cannot be built cannot for any number.
    distinct = {configuration(spec): spec for spec in resolved}
    _collect(list(distinct.values()), lambda spec: assemble.check(spec, num_classes=2))
    opened: dict[tuple[object, ...], Data] = {}
    for spec in resolved:
        key = _data_key(spec)
        if key not in opened:
            opened[key] = load(spec, skip_broken=skip_broken, cache_gib=cache_gib, progress=progress)
    return _collect(resolved, lambda spec: plan(spec, opened[_data_key(spec)], device))


def check_writable(results: Path) -> None:
    """Make the results folder, or say why it cannot be.

    Raises:
        InputError: it cannot be made or written.
    """
    probe = results / f".probe-{id(results)}"
    try:
        (results / "runs").mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"cannot write to the results folder {results}: {error.strerror}; choose another --results"
        ) from None


def _names(spec: Spec, device: torch.device) -> Spec:
    """Resolve one specification; its protocol is looked at, too."""
    problems = partition.check(spec.protocol)
    try:
        spec = assemble.resolve(spec, device)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(*problems)
    return spec


def _data_key(spec: Spec) -> tuple[object, ...]:
    return spec.data, spec.root, spec.split, spec.size


def _collect(specs: Sequence[Spec], make: Callable[[Spec], Made]) -> list[Made]:
    """Apply `make` to all, raising all problems at once, each named once."""
    made, problems = list[Made](), list[str]()
    for spec in specs:
        try:
            made.append(make(spec))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*dict.fromkeys(problems))
    return made
