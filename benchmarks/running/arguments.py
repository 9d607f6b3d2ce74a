"""Turn the arguments of experiments into specifications. Never imports torch."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ssl_video.benchmarks.running import recipe as recipes
from ssl_video.benchmarks.running import suite as suites
from ssl_video.benchmarks.running.specify import specify
from ssl_video.benchmarks.running.suite import Suite
from ssl_video.errors import InputError, unknown
from ssl_video.names import Names, listed
from ssl_video.registry import algorithms as registry
from ssl_video.spec import Spec, build

Method = str | type | Mapping[str, Any]
Function = TypeVar("Function", bound=Callable[..., Any])

# Fields of `training.execution.Execution`, which this module does not import, as it imports torch.
EXECUTION = {
    "device": "auto", "threads": None, "workers": None, "devices": None, "num_nodes": None,
    "strategy": "auto", "compile": False, "activation_checkpointing": False, "evaluate_every": 0,
    "on_nonfinite": "stop", "results": "ssl-video-results", "jobs": None, "executor": "local",
    "executor_options": None, "skip_broken": False, "cache_gib": 20.0, "long_video": 60.0, "logger": (),
}  # fmt: skip
# A benchmark starts every run in its own processes on one device.
TRAIN_ONLY = ("devices", "num_nodes", "strategy")
BENCH_ONLY = ("jobs", "executor", "executor_options")
# Added to tables of probes, whose methods have to beat it.
LOGISTIC = "logistic"
# Those that are fitted at once (`at_once`), and those that need a table of another model's predictions
# (`predictions_from`). Reading these attributes would import torch.
_NOT_IN_ALL = frozenset({LOGISTIC, "propagation", "distill"})
SPEC_KEYS = [key for key in Spec.model_fields if key not in ("algorithm", "match")]


def takes(*names: str, like: Callable[..., Any] | None = None) -> Callable[[Function], Function]:
    """Return a decorator that adds keywords to a function's signature, for editors and `help`.

    Args:
        names: keys of a specification, and keywords of an execution.
        like: a function whose parameters are copied.
    """

    def add(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        known = {p.name for p in own}
        if like:
            own += [p for p in inspect.signature(like).parameters.values() if p.name not in known]
        defaults = {key: field.default for key, field in Spec.model_fields.items()} | EXECUTION
        more = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name])
            for name in names
            if name not in known
        ]
        function.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        return function

    return add


def split(
    keywords: Mapping[str, Any], without: Sequence[str], own: Sequence[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split keywords into the keys of a specification and those of an execution.

    Args:
        keywords: keywords of a function; one whose value is None counts as not given.
        without: keys that the function does not take.
        own: further keywords of the function, which may have been meant.

    Raises:
        InputError: unknown keywords.
    """
    taken = [key for key in (*SPEC_KEYS, *EXECUTION) if key not in without]
    known = (*taken, *own)
    problems = []
    for key in keywords:
        if key not in known:
            hint = f'an option of an algorithm is given as options={{"{key}": ...}}'
            problems.append(f"{unknown('keyword', key, known)}; {hint}")
    if problems:
        raise InputError(*problems)
    given = {key: value for key, value in keywords.items() if key in SPEC_KEYS and value is not None}
    execution = {key: value for key, value in keywords.items() if key in EXECUTION and value is not None}
    return given, {"results": EXECUTION["results"], **execution}


def single(
    values: Mapping[str, Any],
    given: Mapping[str, Any],
    overrides: Mapping[str, Any] | None,
    recipe: str | None = None,
) -> Spec:
    """Return the specification of one run.

    The defaults are the settings of the demo on its clips, and those of the default recipe on other data.

    Args:
        values: keys of a specification, including those of a file.
        given: the keys that the caller gave as keywords.
        overrides: values by dotted key, which override all others.
        recipe: settings that replace the defaults, see `recipe.load`.

    Raises:
        InputError: see `given.specify`; no such recipe; see `recipe.default`.
    """
    overrides = overrides or {}
    on_demo = values.get("data", "demo") == "demo"
    if recipe is None and not on_demo:
        recipe = recipes.default(values, overrides)
    chosen = suites.load("demo") if on_demo else Suite()
    chosen = recipes.added(chosen, recipe) if recipe else chosen
    return specify(chosen.values(values, overrides), given, overrides)


def entry(method: Method) -> dict[str, Any]:
    """Return a method as keys of a specification.

    Raises:
        InputError: a mapping without an algorithm, or a name that is taken.
    """
    if not isinstance(method, Mapping):
        return {"algorithm": registry.adopt(method)}
    if "algorithm" not in method:
        raise InputError(f"a method needs the key 'algorithm', found {dict(method)!r}")
    return {**method, "algorithm": registry.adopt(method["algorithm"])}


def benchmark(
    algorithms: Method | Sequence[Method] | None = None,
    *,
    data: Names | None = None,
    protocols: Names | None = None,
    backbones: Names | None = None,
    draws: int | None = None,
    seeds: int | None = None,
    match: str | None = None,
    suite: str | None = None,
    recipe: str | None = None,
    baseline: str | None,
    overrides: Mapping[str, Any] | None = None,
    **keywords: Any,
) -> tuple[Suite, list[Spec], dict[str, Any]]:
    """Return a benchmark's suite, its specifications, and the keywords of its execution.

    The arguments are those of `ssl_video.bench`.

    Raises:
        InputError: unknown keywords, no such suite, or every problem with keys and values.
    """
    others = (*TRAIN_ONLY, "backbone", "protocol", "seed")
    given, execution = split(keywords, others, own=("backbones", "draws", "protocols", "seeds"))
    chosen = _suite(suite, algorithms, data, protocols, backbones)
    if not (recipe or suite or backbones or _on_demo(data)):
        own = [method for method in _methods(algorithms) if isinstance(method, Mapping)]
        recipe = recipes.default(overrides or {}, given, *own)
    if recipe:
        chosen = recipes.added(chosen, recipe)
    chosen = _counts(chosen, draws, seeds, match, {**chosen.settings, **given, **(overrides or {})})
    if baseline is not None:
        chosen = chosen.with_baseline(baseline)
        more = chosen.with_baseline(LOGISTIC).with_baseline(baseline)
        # A method may have a probe of its own.
        own_specs = [spec for spec in more.specs(given, overrides or {}) if spec.algorithm == LOGISTIC]
        if all(_stores_features(spec) for spec in own_specs):
            chosen = more
    return chosen, chosen.specs(given, overrides or {}), execution


def _stores_features(spec: Spec) -> bool:
    """Return whether all networks of a run are probes whose features are stored."""
    probes = [network.probe or spec.probe for network in spec.networks.values()] or [spec.probe]
    return spec.feature_copies > 0 and "none" not in probes


def _suite(
    name: str | None,
    algorithms: Method | Sequence[Method] | None,
    data: Names | None,
    protocols: Names | None,
    backbones: Names | None,
) -> Suite:
    """Return the suite of a benchmark, with the chosen entries of its axes."""
    chosen = suites.load(name or "demo") if name or _on_demo(data) else Suite(algorithms=["cmpl"])
    chosen = chosen.choose(algorithms=_entries(algorithms))
    return chosen.choose(backbones=listed(backbones), datasets=listed(data), protocols=listed(protocols))


def _on_demo(data: Names | None) -> bool:
    return all(place == "demo" for place in listed(data))


def _entries(algorithms: Method | Sequence[Method] | None) -> list[str | Mapping[str, Any]]:
    """Return methods as entries of a suite: those without settings by name, which may have some there."""
    entries, objects = list[str | Mapping[str, Any]](), dict[str, Any]()
    for method in _methods(algorithms):
        one = entry(method)
        given = method["algorithm"] if isinstance(method, Mapping) else method
        if not isinstance(given, str) and objects.setdefault(one["algorithm"], given) is not given:
            raise InputError(f"two different algorithms are called {one['algorithm']!r}: rename one of them")
        entries.append(one["algorithm"] if one.keys() == {"algorithm"} else one)
    return entries


def _counts(
    chosen: Suite, draws: int | None, seeds: int | None, match: str | None, given: Mapping[str, Any]
) -> Suite:
    """Return a suite with these numbers of draws and seeds.

    Raises:
        InputError: a number below 1, or both a number of draws and a single draw.
    """
    for name, count in (("draws", draws), ("seeds", seeds)):
        if count is not None and (not isinstance(count, int) or count < 1):
            raise InputError(f"{name} must be a number from 1, found {count!r}")
    if folds := build({"folds": given.get("folds", 0)}).folds:
        # Each fold is a draw. One seed for each, as of any other draw in a cross-validation.
        seeds = seeds or 1
        draws = draws or (folds if given.get("draw") is None else None)
    if given.get("draw") is not None:
        if draws:
            raise InputError("--draws counts draws from 0, --draw is a single one: leave out one of them")
        chosen = replace(chosen, draws=None)
    return replace(
        chosen, draws=draws or chosen.draws, seeds=seeds or chosen.seeds, match=match or chosen.match
    )


def _methods(algorithms: Method | Sequence[Method] | None) -> list[Method]:
    """Return the methods as a list, in place of "all" the built-in ones without those of `_NOT_IN_ALL`."""
    if algorithms is None:
        return []
    listed = [algorithms] if isinstance(algorithms, str | type | Mapping) else list(algorithms)
    if "all" not in listed:
        return listed
    every = [name for name in registry.builtin() if name not in _NOT_IN_ALL]
    return [*every, *(one for one in listed if one != "all" and one not in every)]
