"""Turn specifications into plans, and report every problem before anything is trained."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock

from ssl_video.contract import Algorithm
from ssl_video.data import dataset
from ssl_video.data.dataset import Data, draw, load, read_index, with_protocol
from ssl_video.data.importers import predictions
from ssl_video.data.index import Index
from ssl_video.data.partitions import partition
from ssl_video.data.partitions.partition import Partition
from ssl_video.data.paths import cache_dir
from ssl_video.data.progress import Progress
from ssl_video.errors import InputError
from ssl_video.networks import assemble
from ssl_video.spec import Spec, configuration
from ssl_video.training.execution import Execution
from ssl_video.training.preflight import check_clips, check_networks, check_shards
from ssl_video.training.run import Plan, run_name

Item = TypeVar("Item")
Made = TypeVar("Made")

_ALONE = Execution()


def plans(
    specs: Sequence[Spec],
    execution: Execution = _ALONE,
    progress: Progress | None = None,
    *,
    compared: bool = False,
) -> list[Plan]:
    """Resolve specifications, open their data and draw their labels.

    Args:
        specs: the runs.
        execution: execution settings of the runs.
        progress: called while data is prepared.
        compared: see `check`.

    Raises:
        InputError: all problems with names, options and protocols at once; then all with the labels that
            the protocols request; both before any video is decoded; then all broken videos.
    """
    checked = check(resolve(specs, execution.torch_device), execution, progress, compared=compared)
    indexes = {dataset.index_key(found.spec): found.index for found in checked}
    opened = dict[tuple[object, ...], Data]()
    for spec in (found.spec for found in checked):
        if dataset.frames_key(spec) not in opened:
            opened[dataset.frames_key(spec)] = load(
                spec,
                indexes[dataset.index_key(spec)],
                skip_broken=execution.skip_broken,
                cache_gib=execution.cache_gib,
                long_video=execution.long_video,
                progress=progress,
            )

    def planned(found: Checked) -> Plan:
        data = opened[dataset.frames_key(found.spec)]
        # Clips that turned out to be broken are not in the index any more, and others get their labels.
        partition = found.partition if data.index is found.index else draw(found.spec, data.index)
        return Plan(found.spec, data, partition)

    return _collect(checked, planned)


@dataclass(frozen=True)
class Checked:
    """A run that passed all checks, with the index and the labels of its data."""

    spec: Spec
    index: Index
    partition: Partition

    @property
    def name(self) -> str:
        """The name that the plan of the run will have."""
        configured = assemble.configured(self.spec)
        return run_name(self.spec, configured, self.index, self.partition)


def check(
    specs: Sequence[Spec],
    execution: Execution = _ALONE,
    progress: Progress | None = None,
    *,
    compared: bool = False,
) -> list[Checked]:
    """Check resolved specifications as far as possible without decoding a video.

    Args:
        specs: the runs.
        execution: execution settings of the runs.
        progress: called while the demo clips are rendered.
        compared: whether the runs are made to compare their accuracies, which needs test clips.

    Raises:
        InputError: all problems with algorithms, networks and batches at once; then data that cannot be read;
            then all problems with labels and test clips.
    """
    built = check_methods(specs, execution)
    indexes = dict[tuple[object, ...], Index]()
    for spec in specs:
        if dataset.index_key(spec) not in indexes:
            indexes[dataset.index_key(spec)] = read_index(spec, progress, skip_broken=execution.skip_broken)
    drawn, read = dict[tuple[object, ...], Partition](), set[tuple[object, ...]]()

    def checked(spec: Spec) -> Checked:
        index = indexes[dataset.index_key(spec)]
        if compared and not len(index.rows("test")):
            raise InputError(
                f"{index.name}: there is no test part to compare methods on: --folds 5 tests every labeled "
                "clip once, or give test clips"
            )
        spec = with_protocol(spec, index)
        key = _partition_key(spec)
        if key not in drawn:
            drawn[key] = draw(spec, index)
        algorithm = built[configuration(spec)]
        check_clips(spec, algorithm, drawn[key], execution)
        if (table := (predictions.file_of(algorithm), *key)) not in read:
            predictions.predictions_for(algorithm, index, drawn[key].unlabeled)
            read.add(table)
        return Checked(spec, index, drawn[key])

    return _collect(specs, checked)


def check_methods(specs: Sequence[Spec], execution: Execution = _ALONE) -> dict[str, Algorithm]:
    """Check resolved specifications as far as possible without their data.

    Returns:
        An instance of each method, without weights, by `spec.configuration`.

    Raises:
        InputError: all problems with algorithms, networks and batches.
    """
    distinct, known = {configuration(spec): spec for spec in specs}, dict[str, Any]()
    algorithms = _collect(list(distinct.values()), lambda spec: _build(spec, execution, known))
    return dict(zip(distinct, algorithms, strict=True))


def resolve(specs: Sequence[Spec], device: torch.device) -> list[Spec]:
    """Fill in all values of specifications that their algorithms and the device determine.

    Raises:
        InputError: all problems with names, options and protocols, each named once.
    """
    return _collect(specs, lambda spec: _names(spec, device))


@contextmanager
def in_turn() -> Iterator[None]:
    """Let the processes of a machine prepare data one after the other: the first does it for all."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(cache_dir() / "preparing.lock"):
        yield


def check_writable(results: Path) -> None:
    """Create the results folder, and check that it is writable.

    Raises:
        InputError: it cannot be created or written to.
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
    """Resolve one specification, and check its protocol."""
    # Absolute, as a run's records are read from any directory.
    places = {"data": None if spec.data == "demo" else spec.data, "root": spec.root, "lists": spec.lists}
    absolute = {key: str(Path(place).expanduser().absolute()) for key, place in places.items() if place}
    several = {
        key: tuple(str(Path(place).expanduser().absolute()) for place in getattr(spec, key))
        for key in ("unlabeled", "labels")
    }
    spec = spec.model_copy(update={**absolute, **several})
    problems = partition.check(spec.protocol, lists=Path(spec.lists) if spec.lists else None)
    try:
        spec = assemble.resolve(spec, device)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(*problems)
    return assemble.with_absolute_predictions(spec)


def _build(spec: Spec, execution: Execution, known: dict[str, Any]) -> Algorithm:
    # A backbone that cannot be built for two classes cannot be built for any other number.
    algorithm = assemble.check(spec, num_classes=2, known=known)
    if problem := predictions.missing(algorithm):
        raise InputError(problem)
    check_shards(spec, algorithm, execution.processes)
    check_networks(spec, algorithm, execution)
    return algorithm


def _partition_key(spec: Spec) -> tuple[object, ...]:
    own = spec.protocol, spec.label_draw, spec.labeled_in_unlabeled, spec.validation, spec.lists
    return *dataset.index_key(spec), *own


def _collect(items: Sequence[Item], make: Callable[[Item], Made]) -> list[Made]:
    """Apply `make` to all items, and raise all problems at once, each named once."""
    made, problems = list[Made](), list[str]()
    for item in items:
        try:
            made.append(make(item))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*dict.fromkeys(problems))
    return made
