"""Build specifications from a user's keys and those of a file or suite, and check the names in them."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_video.data.partitions import partition
from ssl_video.errors import InputError
from ssl_video.registry import algorithms, backbones
from ssl_video.spec import NetworkSpec, Spec, build, override


def specify(values: Mapping[str, Any], flags: Collection[str], assignments: Mapping[str, Any]) -> Spec:
    """Build a specification from values, which assignments override.

    A run-wide key, such as `frames`, applies to networks without a value of their own. If the first network
    has one, that is the run's: the user's key would be silently ignored, so it is rejected.

    Args:
        values: values of a file or a suite, overridden by those of flags.
        flags: the keys that were given as flags or keywords.
        assignments: see `spec.override`.

    Raises:
        InputError: see `spec.build` and `spec.override`; every flag and assignment without effect.
    """
    spec = build(override(values, assignments))
    given = {key: f"--{key}" for key in flags} | {key: f"--set {key}" for key in assignments}
    concerned = [key for key in NetworkSpec.model_fields if key in given]
    role = _first_role(spec) if concerned and spec.networks else ""
    network = spec.networks.get(role, NetworkSpec())
    problems = [
        f"{given[key]} does not change networks.{role}.{key} of {spec.algorithm}, which is {own}: "
        f"use --set networks.{role}.{key}={'null' if wanted is None else wanted}"
        for key in concerned
        if (own := getattr(network, key)) not in (None, wanted := getattr(spec, key))
        and f"networks.{role}.{key}" not in assignments
    ]
    if problems:
        raise InputError(*problems)
    return spec


def check_names(specs: Sequence[Spec], *, data: bool = True, commands: Sequence[str] = ()) -> None:
    """Check names of algorithms, backbones and protocols, and that files exist.

    Nothing heavy is imported: torch alone takes seconds, and a misspelled name should be reported at once.

    Args:
        specs: the runs.
        data: whether to check that the data exists.
        commands: commands that make the data, shown where it is missing.

    Raises:
        InputError: every problem, each named once.
    """
    problems = list[str]()
    named = [(algorithms, spec.algorithm) for spec in specs]
    named += [(backbones, entry) for spec in specs for entry in _backbone_entries(spec)]
    for registry, name in dict.fromkeys(named):
        try:
            registry.check(name)
        except InputError as error:
            problems += error.problems
    for protocol, lists in dict.fromkeys((spec.protocol, spec.lists) for spec in specs):
        problems += partition.check(protocol, lists=Path(lists) if lists else None)
    absent = [spec.data for spec in specs if not _is_present(spec.data)] if data else []
    problems += [
        f"there is no file or folder {name}: give the location of the data as --data" for name in absent
    ]
    if absent:
        problems += [f"the suite's command to make it: {command}" for command in commands]
    if problems:
        raise InputError(*dict.fromkeys(problems))


def _backbone_entries(spec: Spec) -> list[str]:
    """Return the registered names of a specification's backbones: "timm" of "timm/resnet50"."""
    named = [spec.backbone, *(network.backbone for network in spec.networks.values())]
    return [
        name if name.endswith(".py") or ".py:" in name else name.partition("/")[0] for name in named if name
    ]


def _is_present(data: str) -> bool:
    return data == "demo" or Path(data).expanduser().exists()


def _first_role(spec: Spec) -> str:
    """Return the role of the algorithm's first network; "" if the algorithm is unknown, reported later."""
    try:
        return next(iter(getattr(algorithms.get(spec.algorithm), "roles", ())), "")
    except InputError:
        return ""
