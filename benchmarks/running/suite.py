"""A suite: algorithms x backbones x datasets x protocols x draws x seeds, and their settings. One YAML file.

An entry of an axis is a name or a mapping of a specification's keys, the axis's own among them, so that one
algorithm can stand in a suite several times:

    algorithms:
      - fixmatch
      - {algorithm: cmpl, networks: {auxiliary: {width: 1.0}}}
"""

import functools
import inspect
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from ssl_video.benchmarks.running.given import specify
from ssl_video.errors import InputError, unknown
from ssl_video.registry import algorithms
from ssl_video.spec import Spec, build, override, read_yaml

Entry = str | Mapping[str, Any]

# The key of a specification that an entry of each axis is a value of.
AXES = {"algorithms": "algorithm", "backbones": "backbone", "datasets": "data", "protocols": "protocol"}
_NUMBERS = {"draws": "draw", "seeds": "seed"}
_KEYS = (*AXES, *_NUMBERS, "match", "settings", "overrides")
_RULE = {"when", "set"}


@dataclass(frozen=True)
class Suite:
    """What a benchmark runs: every combination of the entries of its axes.

    A run's keys come from `settings`, above them the overrides that apply, above these the axes' entries.

    Attributes:
        algorithms: names, or mappings with `algorithm`.
        backbones: names, or mappings with `backbone`; none: that of the settings.
        datasets: values of `data`, or mappings with `data`; `protocols` in one takes the place of the
            suite's. None: that of the settings.
        protocols: partition protocols, or mappings with `protocol`.
        draws: number of draws of labels, counted from 0, each with all seeds. None: each seed draws its own
            labels, unless the settings fix the draw.
        seeds: number of seeds, counted from 0.
        match: what all methods have as much of: "steps", or see `matching.matched`.
        settings: keys of a run's specification, the same for all runs.
        overrides: rules in their order: keys to `set` `when` others have a value, or one of a list.
        commands: `ssl-video index` commands in the file's header, which make its data.
    """

    algorithms: Sequence[Entry] = ()
    backbones: Sequence[Entry] = ()
    datasets: Sequence[Entry] = ()
    protocols: Sequence[Entry] = ("per-class:10",)
    draws: int | None = None
    seeds: int = 3
    match: str = "steps"
    settings: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[Mapping[str, Any]] = ()
    commands: Sequence[str] = ()

    def choose(self, **names: Sequence[str]) -> "Suite":
        """The suite with only these entries of an axis; none: all. A name that it lacks is one of its own.

        Protocols are chosen for data sets with their own, too: of these, or else as for all others.
        """
        chosen = dict[str, Any]()
        for axis, wanted in names.items():
            if wanted:
                chosen[axis] = _chosen(axis, wanted, getattr(self, axis))
        if "protocols" in chosen:
            datasets = chosen.get("datasets", self.datasets)
            chosen["datasets"] = [self._with_protocols(entry, names["protocols"]) for entry in datasets]
        return replace(self, **chosen)

    def with_baseline(self, name: str) -> "Suite":
        """The suite with an algorithm in front, where it is not there already."""
        there = [e for e in self.algorithms if _mapping("algorithms", e)["algorithm"] == name]
        others = [e for e in self.algorithms if e not in there]
        return replace(self, algorithms=[*(there or [name]), *others])

    def specs(self, given: Mapping[str, Any] | None = None, assignments: Sequence[str] = ()) -> list[Spec]:
        """One specification per run; `given` keys go above the suite's, `key=value` assignments above all.

        An assignment to an option or a network goes to the algorithms that have it, or to all if none has,
        so that a misspelled one is not lost.

        Raises:
            InputError: every problem with keys and values, each named once.
        """
        specs, problems = list[Spec](), list[str]()
        names = [_mapping("algorithms", entry)["algorithm"] for entry in self.algorithms]
        concerned = _concerned(names, assignments)
        for cell in self._cells():
            mine = [a for a in assignments if cell["algorithm"] in concerned[a]]
            try:
                specs.append(specify(self.values(merge(cell, given or {}), mine), given or {}, mine))
            except InputError as error:
                problems += error.problems
        if problems:
            raise InputError(*dict.fromkeys(problems))
        return specs

    def values(self, cell: Mapping[str, Any], assignments: Sequence[str] = ()) -> dict[str, Any]:
        """A run's keys: the settings, the overrides that apply, and what is known of the run itself.

        Assignments decide which overrides apply, and are not in what is returned.
        """
        known, values = override(merge(self.settings, cell), assignments), dict(self.settings)
        for rule in self.overrides:
            if all(_is(known, key, wanted) for key, wanted in rule["when"].items()):
                values = merge(values, rule["set"])
        return merge(values, cell)

    def _cells(self) -> Iterator[dict[str, Any]]:
        """What the axes say of each run; all methods of a draw and seed stand together."""
        draws = [{"draw": draw} for draw in range(self.draws)] if self.draws else [{}]
        for dataset in self._axis("datasets"):
            own = dict(dataset)
            protocols = [_mapping("protocols", p) for p in own.pop("protocols", self.protocols)]
            seeds = [{"seed": seed} for seed in range(self.seeds)]
            for parts in itertools.product(
                protocols, draws, seeds, self._axis("backbones"), self._axis("algorithms")
            ):
                yield functools.reduce(merge, parts, own)

    def _with_protocols(self, dataset: Entry, names: Sequence[str]) -> Entry:
        """A data set with these of its own protocols, if it has any."""
        entry = _mapping("datasets", dataset)
        if "protocols" not in entry:
            return entry
        return {**entry, "protocols": _chosen("protocols", names, entry["protocols"], self.protocols)}

    def _axis(self, name: str) -> list[Mapping[str, Any]]:
        """An axis's entries; of one without entries a single one that says nothing."""
        return [_mapping(name, entry) for entry in getattr(self, name)] or [{}]


def describe() -> dict[str, str]:
    """The suites that come with the package, each with the first line of its file."""
    files = (Path(str(entry)) for entry in (resources.files("ssl_video.benchmarks") / "suites").iterdir())
    return {
        file.stem: file.read_text("utf-8").split("\n")[0].lstrip("# ")
        for file in sorted(files)
        if file.suffix == ".yaml"
    }


def load(name: str) -> Suite:
    """A suite by name or from a YAML file.

    Raises:
        InputError: no such suite, or everything in it that a suite cannot have.
    """
    if name in describe():
        path = Path(str(resources.files("ssl_video.benchmarks") / "suites" / f"{name}.yaml"))
    elif name.endswith((".yaml", ".yml")):
        path = Path(name)
    else:
        raise InputError(unknown("suite", name, describe()) + " (or give the path of a YAML file)")
    values = read_yaml(path)
    problems = [unknown("key", key, _KEYS) for key in values if key not in _KEYS]
    for axis in AXES:
        problems += _axis_problems(axis, values.get(axis, ["one"]))
    for dataset in values["datasets"] if isinstance(values.get("datasets"), list) else []:
        if isinstance(dataset, dict) and "protocols" in dataset:
            problems += [f"datasets: {p}" for p in _axis_problems("protocols", dataset["protocols"])]
    problems += [
        f"{key} must be a number from 1, found {values[key]!r}"
        for key in _NUMBERS
        if not _is_count(values.get(key, 1))
    ]
    if not isinstance(values.get("match", ""), str):
        problems.append(f"match must be a word such as clips, found {values['match']!r}")
    problems += _setting_problems(values)
    problems += _rule_problems(values.get("overrides", []), _names(values.get("algorithms", [])))
    if problems:
        raise InputError(*(f"{name}: {problem}" for problem in problems))
    return Suite(**values, commands=re.findall(r"^#\s+(ssl-video index .*)$", path.read_text("utf-8"), re.M))


def with_demo_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """A run's values on top of the demo's settings for its algorithm, where it is on the demo's clips."""
    return load("demo").values(values) if values.get("data", "demo") == "demo" else dict(values)


def merge(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    """Values with others on top; mappings inside are merged, too."""
    result = dict(outer)
    for key, value in inner.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else value
    return result


def _mapping(axis: str, entry: Entry) -> Mapping[str, Any]:
    return {AXES[axis]: entry} if isinstance(entry, str) else entry


def _chosen(axis: str, names: Sequence[str], *lists: Sequence[Entry]) -> list[Entry]:
    """For each name its entries in the first list that has any; else the name itself."""
    key, chosen = AXES[axis], list[Entry]()
    for name in names:
        theirs = ([e for e in entries if _mapping(axis, e)[key] == name] for entries in lists)
        chosen += next(filter(None, theirs), [name])
    return chosen


def _is(known: Mapping[str, Any], key: str, wanted: Any) -> bool:
    """Whether a run's key has a value, or one of a list."""
    value = _typed(key, known.get(key, Spec.model_fields[key].default))
    return value in [_typed(key, one) for one in (wanted if isinstance(wanted, list) else [wanted])]


def _typed(key: str, value: Any) -> Any:
    """A value of the key's type, since flags come as text; as it is where it has none: that is told later."""
    try:
        return getattr(build({key: value}), key)
    except InputError:
        return value


def _names(entries: Any) -> set[str]:
    """The algorithms that entries are of, as far as these are what they should be."""
    if not isinstance(entries, list):
        return set()
    own = (entry.get("algorithm") if isinstance(entry, dict) else entry for entry in entries)
    return {name for name in own if isinstance(name, str)}


def _axis_problems(axis: str, entries: Any) -> list[str]:
    key = AXES[axis]
    if not isinstance(entries, list) or not entries:
        return [f"{axis} must be a list of names, found {entries!r}"]
    return [
        f"{axis}: expected a name, or keys of a specification with {key!r} among them, found {entry!r}"
        for entry in entries
        if not (isinstance(entry, str) or (isinstance(entry, dict) and isinstance(entry.get(key), str)))
    ]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _setting_problems(values: Mapping[str, Any]) -> list[str]:
    """What stands in the settings without effect, because an axis decides it."""
    settings = values.get("settings", {})
    if not isinstance(settings, dict):
        return [f"settings must hold 'key: value' lines, found {settings!r}"]
    always = ("algorithms", "protocols", "seeds", "match")
    return [
        f"settings.{key} has no effect beside {axis}: leave it out"
        for axis, key in (AXES | _NUMBERS | {"match": "match"}).items()
        if key in settings and (axis in values or axis in always)
    ]


def _rule_problems(rules: Any, names: Collection[str]) -> list[str]:
    """What is wrong with overrides; `names`: the suite's own algorithms."""
    shape = "overrides must be a list of {when: {KEY: VALUE}, set: {KEY: VALUE}}"
    if not isinstance(rules, list):
        return [f"{shape}, found {rules!r}"]
    problems = list[str]()
    for rule in rules:
        whole = isinstance(rule, dict) and set(rule) == _RULE
        if not whole or not all(isinstance(part, dict) for part in rule.values()):
            problems.append(f"{shape}, found {rule!r} among them")
            continue
        known = Spec.model_fields
        problems += [unknown("key", key, known) + " (in when)" for key in rule["when"] if key not in known]
        problems += _absent(rule["when"], names)
    return problems


def _absent(when: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """Algorithms that no run can have, so that a misspelled rule is not lost; `names`: the suite's own."""
    wanted = when.get("algorithm", [])
    known = {*names, *algorithms.describe()}
    return [
        unknown("algorithm", str(name), known) + " (in when)"
        for name in (wanted if isinstance(wanted, list) else [wanted])
        if name not in known and ".py" not in str(name)  # a file may come with --algo
    ]


def _concerned(names: Sequence[str], assignments: Sequence[str]) -> dict[str, Sequence[str]]:
    """Return for each assignment the algorithms that have what it is to; all, if none has it."""
    try:
        for name in names:
            algorithms.check(name)
        return {a: [name for name in names if _concerns(name, a)] or names for a in assignments}
    except InputError:
        return dict.fromkeys(assignments, names)  # reported later, with everything else that is wrong


def _concerns(algorithm: str, assignment: str) -> bool:
    """Check whether an assignment is to something that an algorithm has."""
    outer, _, inner = assignment.partition("=")[0].strip().partition(".")
    if outer not in ("options", "networks"):
        return True  # nothing that an algorithm decides, so that none is imported
    constructor = algorithms.get(algorithm)
    if outer == "options":
        return inner in inspect.signature(constructor).parameters
    return inner.split(".")[0] in getattr(constructor, "roles", ())
