"""A specification of which some keys were given on the command line, above a file's or a suite's."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ssl_video.errors import InputError
from ssl_video.registry import algorithms
from ssl_video.spec import NetworkSpec, Spec, build, override


def specify(values: Mapping[str, Any], flags: Collection[str], assignments: Sequence[str]) -> Spec:
    """A specification from values and, above them, `key=value` assignments.

    A key for all networks, such as `frames`, is for those that have no value of their own. Where the first
    network has one, which is the run's, a user who gives the key would have it ignored: that is refused.

    Args:
        values: a file's or a suite's, with those of flags on top.
        flags: the keys that flags gave.
        assignments: see `spec.override`.

    Raises:
        InputError: see `spec.build` and `spec.override`; every flag and assignment without effect.
    """
    spec = build(override(values, assignments))
    assigned = [assignment.partition("=")[0].strip() for assignment in assignments]
    given = {key: f"--{key}" for key in flags} | {key: f"--set {key}" for key in assigned}
    concerned = [key for key in NetworkSpec.model_fields if key in given]
    role = _first_role(spec) if concerned and spec.networks else ""
    network = spec.networks.get(role, NetworkSpec())
    problems = [
        f"{given[key]} does not change networks.{role}.{key} of {spec.algorithm}, which is {own}: "
        f"use --set networks.{role}.{key}={'null' if wanted is None else wanted}"
        for key in concerned
        if (own := getattr(network, key)) not in (None, wanted := getattr(spec, key))
        and f"networks.{role}.{key}" not in assigned
    ]
    if problems:
        raise InputError(*problems)
    return spec


def _first_role(spec: Spec) -> str:
    """The role of the algorithm's first network; "" if the algorithm is none, which is told later."""
    try:
        return next(iter(getattr(algorithms.get(spec.algorithm), "roles", ())), "")
    except InputError:
        return ""
