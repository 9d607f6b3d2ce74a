"""A suite: which algorithms, under which protocols, with which seeds and settings. One YAML file."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ssl_video.errors import InputError, unknown
from ssl_video.registry import algorithms
from ssl_video.spec import Spec, build, override, read_yaml

_KEYS = ("algorithms", "protocols", "seeds", "settings", "overrides")


@dataclass(frozen=True)
class Suite:
    """What a benchmark runs.

    Attributes:
        algorithms: names; the baseline is added by the caller.
        protocols: partition protocols.
        seeds: number of seeds, counted from 0; each also draws its own labels, unless settings fix the draw.
        settings: keys of a run's specification, the same for all runs.
        overrides: further keys by algorithm.
    """

    algorithms: list[str] = field(default_factory=list)
    protocols: list[str] = field(default_factory=lambda: ["per-class:10"])
    seeds: int = 3
    settings: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)

    def specs(self, assignments: Sequence[str] = ()) -> list[Spec]:
        """One specification per run, `key=value` assignments applied last.

        An assignment to an option or a network goes to the algorithms that have it, or to all if none has,
        so that a misspelled one is not lost.

        Raises:
            InputError: every problem with keys and values, each named once.
        """
        specs, problems = list[Spec](), list[str]()
        concerned = {
            a: [n for n in self.algorithms if _concerns(n, a)] or self.algorithms for a in assignments
        }
        for protocol in self.protocols:
            for seed in range(self.seeds):
                for algorithm in self.algorithms:
                    values = merge(self.settings, self.overrides.get(algorithm, {}))
                    values |= {"algorithm": algorithm, "protocol": protocol, "seed": seed}
                    try:
                        mine = [a for a in assignments if algorithm in concerned[a]]
                        specs.append(build(override(values, mine)))
                    except InputError as error:
                        problems += error.problems
        if problems:
            raise InputError(*dict.fromkeys(problems))
        return specs


def names() -> list[str]:
    """The suites that come with the package."""
    folder = resources.files("ssl_video.benchmarks") / "suites"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load(name: str) -> Suite:
    """A suite by name or from a YAML file.

    Raises:
        InputError: no such suite, or keys that a suite does not have.
    """
    if name in names():
        with resources.as_file(resources.files("ssl_video.benchmarks") / "suites" / f"{name}.yaml") as path:
            values = read_yaml(path)
    elif name.endswith((".yaml", ".yml")):
        values = read_yaml(Path(name))
    else:
        raise InputError(unknown("suite", name, names()) + " (or give the path of a YAML file)")
    problems = [unknown("key", key, _KEYS) + f" (in {name})" for key in values if key not in _KEYS]
    problems += [
        f"{name}: {key} must be a list" for key in _KEYS[:2] if not isinstance(values.get(key, []), list)
    ]
    if not isinstance(values.get("seeds", 1), int):
        problems.append(f"{name}: seeds must be a number, found {values['seeds']!r}")
    problems += [
        f"{name}: {key} must hold 'key: value' lines"
        for key in _KEYS[3:]
        if not isinstance(values.get(key, {}), dict)
    ]
    if problems:
        raise InputError(*problems)
    return Suite(**values)


def with_demo_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """A run's values on top of the demo's settings for its algorithm, where it is on the demo's clips."""
    if values.get("data", "demo") != "demo":
        return dict(values)
    demo = load("demo")
    return merge(merge(demo.settings, demo.overrides.get(values.get("algorithm", ""), {})), values)


def merge(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    """Values with others on top; mappings inside are merged, too."""
    result = dict(outer)
    for key, value in inner.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else value
    return result


def _concerns(algorithm: str, assignment: str) -> bool:
    """Whether an assignment is to something that an algorithm has."""
    outer, _, inner = assignment.partition("=")[0].strip().partition(".")
    try:
        constructor = algorithms.get(algorithm)
    except InputError:
        return True  # told later, with everything else that is wrong
    if outer == "options":
        return inner in inspect.signature(constructor).parameters
    return outer != "networks" or inner.split(".")[0] in getattr(constructor, "roles", ())
