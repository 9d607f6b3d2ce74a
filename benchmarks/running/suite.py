"""A suite: algorithms x backbones x data sets x protocols x draws x seeds, and their settings. One YAML file.

An entry of an axis is a name, or a mapping of a specification's keys that includes the axis's own. So a suite
can contain one algorithm several times:

    algorithms:
      - fixmatch
      - {algorithm: cmpl, networks: {auxiliary: {width: 1.0}}}
"""

import functools
import inspect
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from ssl_video.benchmarks.running.specify import specify
from ssl_video.errors import InputError, shortened, unknown
from ssl_video.registry import algorithms
from ssl_video.spec import AUTO, Spec, build, override, read_yaml

Entry = str | Mapping[str, Any]

# The key of a specification that the entries of each axis set.
AXES = {"algorithms": "algorithm", "backbones": "backbone", "datasets": "data", "protocols": "protocol"}
_NUMBERS = {"draws": "draw", "seeds": "seed"}
_KEYS = ("description", "commands", *AXES, *_NUMBERS, "match", "settings", "overrides")
_RULE = {"when", "set"}


@dataclass(frozen=True)
class Suite:
    """The runs of a benchmark: every combination of the entries of its axes.

    A run's keys come from `settings`, then the overrides that apply, then the axes' entries; the last wins.

    Attributes:
        algorithms: names, or mappings with `algorithm`.
        backbones: names, or mappings with `backbone`; none: that of the settings.
        datasets: values of `data`, or mappings with `data`; `protocols` in a mapping replace the
            suite's. None: that of the settings.
        protocols: partition protocols, or mappings with `protocol`.
        draws: number of draws of labels, counted from 0, each with all seeds. None: each seed draws its own
            labels, unless the settings fix the draw.
        seeds: number of seeds, counted from 0.
        match: quantity that is equal for all methods: "steps", or see `matching.matched`.
        settings: keys of a run's specification, the same for all runs.
        overrides: rules in order: keys to `set` `when` others have a value, or one of a list.
        description: the suite in one sentence.
        commands: commands that make its data, and that run it.
    """

    algorithms: Sequence[Entry] = ()
    backbones: Sequence[Entry] = ()
    datasets: Sequence[Entry] = ()
    protocols: Sequence[Entry] = (AUTO,)
    draws: int | None = None
    seeds: int = 3
    match: str = "steps"
    settings: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[Mapping[str, Any]] = ()
    description: str = ""
    commands: Sequence[str] = ()

    @property
    def data_commands(self) -> list[str]:
        """The commands that make its data."""
        return [command for command in self.commands if " index " in command]

    def choose(self, **names: Sequence[Entry]) -> "Suite":
        """Return the suite with only these entries of an axis; none: all.

        Unknown names, and mappings, become new entries.

        Protocols are also chosen for data sets with their own: among these, or else as for all others.
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
        """Return the suite with an algorithm in front, added if it is missing."""
        there = [e for e in self.algorithms if _mapping("algorithms", e)["algorithm"] == name]
        others = [e for e in self.algorithms if e not in there]
        return replace(self, algorithms=[*(there or [name]), *others])

    def specs(
        self, given: Mapping[str, Any] | None = None, assignments: Mapping[str, Any] | None = None
    ) -> list[Spec]:
        """Return one specification per run; `given` keys override the suite's, assignments override both.

        An assignment to an option or a network applies to the algorithms that have it, or to all if none has,
        so that a misspelled one is reported.

        Raises:
            InputError: every problem with keys and values, each named once.
        """
        specs, problems = list[Spec](), list[str]()
        names = [_mapping("algorithms", entry)["algorithm"] for entry in self.algorithms]
        concerned, given = _concerned(names, assignments or {}), given or {}
        for cell in self._cells():
            mine = {
                key: value
                for key, value in (assignments or {}).items()
                if cell["algorithm"] in concerned[key]
            }
            try:
                specs.append(specify(self.values(merge(cell, given), mine), given, mine))
            except InputError as error:
                problems += error.problems
        if problems:
            raise InputError(*dict.fromkeys(problems))
        return specs

    def values(self, cell: Mapping[str, Any], assignments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return a run's keys: the settings, the overrides that apply, and the keys of the run itself.

        Assignments help to decide which overrides apply, but are not in the result.
        """
        known, values = override(merge(self.settings, cell), assignments or {}), dict(self.settings)
        for rule in self.overrides:
            if all(_is(known, key, wanted) for key, wanted in rule["when"].items()):
                values = merge(values, rule["set"])
        return merge(values, cell)

    def _cells(self) -> Iterator[dict[str, Any]]:
        """Yield the keys that the axes set for each run; all methods of a draw and seed are adjacent."""
        draws = [{"draw": draw} for draw in range(self.draws)] if self.draws else [{}]
        for dataset in self._axis("datasets"):
            own = dict(dataset)
            protocols = [_mapping("protocols", p) for p in own.pop("protocols", self.protocols)]
            seeds = [{"seed": seed} for seed in range(self.seeds)]
            for parts in itertools.product(
                protocols, draws, seeds, self._axis("backbones"), self._axis("algorithms")
            ):
                yield functools.reduce(merge, parts, own)

    def _with_protocols(self, dataset: Entry, names: Sequence[Entry]) -> Entry:
        """Return a data set with these of its own protocols, if it has any."""
        entry = _mapping("datasets", dataset)
        if "protocols" not in entry:
            return entry
        return {**entry, "protocols": _chosen("protocols", names, entry["protocols"], self.protocols)}

    def _axis(self, name: str) -> list[Mapping[str, Any]]:
        """Return an axis's entries as mappings; for an empty axis, a single mapping without keys."""
        return [_mapping(name, entry) for entry in getattr(self, name)] or [{}]


def describe() -> dict[str, str]:
    """Return the suites that come with the package, each with its description."""
    files = (Path(str(entry)) for entry in (resources.files("ssl_video.benchmarks") / "suites").iterdir())
    return {
        file.stem: str(read_yaml(file)["description"]) for file in sorted(files) if file.suffix == ".yaml"
    }


def load(name: str) -> Suite:
    """Load a suite by name or from a YAML file.

    Raises:
        InputError: no such suite, or every invalid key and value in it.
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
        f"{key} must be a number from 1, found {shortened(values[key])}"
        for key in _NUMBERS
        if not _is_count(values.get(key, 1))
    ]
    if not isinstance(values.get("description", ""), str):
        problems.append(f"description must be text, found {shortened(values['description'])}")
    commands = values.get("commands", [])
    if not isinstance(commands, list) or not all(isinstance(command, str) for command in commands):
        problems.append(f"commands must be a list of commands, found {shortened(commands)}")
    if not isinstance(values.get("match", ""), str):
        problems.append(f"match must be a word such as clips, found {shortened(values['match'])}")
    problems += _setting_problems(values)
    problems += problems_of(values.get("overrides", []), _names(values.get("algorithms", [])))
    if problems:
        raise InputError(*(f"{name}: {problem}" for problem in problems))
    return Suite(**values)


def merge(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested values recursively; `inner` overrides `outer`."""
    result = dict(outer)
    for key, value in inner.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else value
    return result


def _mapping(axis: str, entry: Entry) -> Mapping[str, Any]:
    return {AXES[axis]: entry} if isinstance(entry, str) else entry


def _chosen(axis: str, names: Sequence[Entry], *lists: Sequence[Entry]) -> list[Entry]:
    """Return for each name its entries in the first list that has any; else the name or mapping itself."""
    key, chosen = AXES[axis], list[Entry]()
    for name in names:
        theirs = ([e for e in entries if _mapping(axis, e)[key] == name] for entries in lists)
        chosen += next(filter(None, theirs), [name])
    return chosen


def _is(known: Mapping[str, Any], key: str, wanted: Any) -> bool:
    """Return whether a run's key has a value, or one of a list."""
    value = _typed(key, known.get(key, Spec.model_fields[key].default))
    return value in [_typed(key, one) for one in (wanted if isinstance(wanted, list) else [wanted])]


def _typed(key: str, value: Any) -> Any:
    """Convert a value, which flags give as text, to its key's type; an invalid one is reported later."""
    try:
        return getattr(build({key: value}), key)
    except InputError:
        return value


def _names(entries: Any) -> set[str]:
    """Return the algorithms of entries, without those of invalid entries."""
    if not isinstance(entries, list):
        return set()
    own = (entry.get("algorithm") if isinstance(entry, dict) else entry for entry in entries)
    return {name for name in own if isinstance(name, str)}


def _axis_problems(axis: str, entries: Any) -> list[str]:
    key = AXES[axis]
    if not isinstance(entries, list) or not entries:
        return [f"{axis} must be a list of names, found {shortened(entries)}"]
    return [
        f"{axis}: expected a name, or keys of a specification with {key!r} among them, found "
        f"{shortened(entry)}"
        for entry in entries
        if not (isinstance(entry, str) or (isinstance(entry, dict) and isinstance(entry.get(key), str)))
    ]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _setting_problems(values: Mapping[str, Any]) -> list[str]:
    """Return a problem for each key of the settings that has no effect, because an axis decides it."""
    settings = values.get("settings", {})
    if not isinstance(settings, dict):
        return [f"settings must hold 'key: value' lines, found {shortened(settings)}"]
    always = ("algorithms", "protocols", "seeds", "match")
    return [
        f"settings.{key} has no effect beside {axis}: leave it out"
        for axis, key in (AXES | _NUMBERS | {"match": "match"}).items()
        if key in settings and (axis in values or axis in always)
    ]


def problems_of(rules: Any, names: Collection[str] = ()) -> list[str]:
    """Return the problems of overrides; `names`: the suite's own algorithms."""
    shape = "overrides must be a list of {when: {KEY: VALUE}, set: {KEY: VALUE}}"
    if not isinstance(rules, list):
        return [f"{shape}, found {shortened(rules)}"]
    problems = list[str]()
    for rule in rules:
        whole = isinstance(rule, dict) and set(rule) == _RULE
        if not whole or not all(isinstance(part, dict) for part in rule.values()):
            problems.append(f"{shape}, found {shortened(rule)} among them")
            continue
        known = Spec.model_fields
        problems += [unknown("key", key, known) + " (in when)" for key in rule["when"] if key not in known]
        problems += _absent(rule["when"], names)
    return problems


def _absent(when: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """Return a problem for each algorithm that no run can have; `names`: the suite's own."""
    wanted = when.get("algorithm", [])
    known = {*names, *algorithms.describe()}
    return [
        unknown("algorithm", str(name), known) + " (in when)"
        for name in (wanted if isinstance(wanted, list) else [wanted])
        if name not in known and ".py" not in str(name)  # a file may come with --algo
    ]


def _concerned(names: Sequence[str], assignments: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Return for each assignment the algorithms that have its key; all, if none has it."""
    try:
        for name in names:
            algorithms.check(name)
        return {key: [name for name in names if _concerns(name, key)] or names for key in assignments}
    except InputError:
        return dict.fromkeys(assignments, names)  # reported later, with everything else that is wrong


def _concerns(algorithm: str, key: str) -> bool:
    """Return whether an algorithm has an assignment's key."""
    outer, _, inner = key.partition(".")
    if outer not in ("options", "networks"):
        return True  # independent of the algorithm, so that none is imported
    constructor = algorithms.get(algorithm)
    if outer == "options":
        return inner in inspect.signature(constructor).parameters
    return inner.split(".")[0] in getattr(constructor, "roles", ())
