"""Recipes: settings of networks and training that go together. One YAML file each."""

from importlib import resources
from pathlib import Path
from typing import Any

from ssl_video.errors import InputError, unknown
from ssl_video.spec import build, read_yaml

_KEYS = ("description", "settings")


def describe() -> dict[str, str]:
    """Return the recipes that come with the package, each with its description."""
    return {name: str(read_yaml(path)["description"]) for name, path in _files().items()}


def load(name: str) -> dict[str, Any]:
    """Return the settings of a recipe by name or from a YAML file: keys of a specification.

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
        problems.append(f"settings must be keys of a specification, found {settings!r}")
    if problems:
        raise InputError(*(f"{name}: {problem}" for problem in problems))
    return dict(values["settings"])


def _files() -> dict[str, Path]:
    folder = resources.files("ssl_video.benchmarks") / "recipes"
    return {path.stem: path for path in sorted(Path(str(entry)) for entry in folder.iterdir())}
