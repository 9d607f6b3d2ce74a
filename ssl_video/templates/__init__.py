"""Starting files for algorithms and backbones: they work unchanged, and are copied and renamed."""

import keyword
import os
import re
from importlib import resources
from os import PathLike
from pathlib import Path

from ssl_video.errors import InputError
from ssl_video.files import replace_text
from ssl_video.registry import algorithms, backbones

_REGISTRIES = {"algorithm": algorithms, "backbone": backbones}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PLACEHOLDER = "my-method"  # the name in every starting file; also spelled my_method and MyMethod


def new_algorithm(path: str | PathLike[str], name: str | None = None) -> str:
    """Write a commented starting file for an algorithm; it works unchanged.

    Args:
        path: the file to write, which must not exist: my_method.py.
        name: the algorithm's name; None: made from the file's: my_method.py has my-method.

    Returns:
        The full name, "my_method.py:my-method", which every function takes.

    Raises:
        InputError: every problem with the file and the name, at once.
    """
    return f"{path}:{write('algorithm', Path(path), name)}"


def new_backbone(path: str | PathLike[str], name: str | None = None) -> str:
    """Write a commented starting file for a backbone; it works unchanged.

    Args:
        path: the file to write, which must not exist: my_network.py.
        name: the backbone's name; None: made from the file's: my_network.py has my-network.

    Returns:
        The full name, "my_network.py:my-network", which every function takes.

    Raises:
        InputError: every problem with the file and the name, at once.
    """
    return f"{path}:{write('backbone', Path(path), name)}"


def write(kind: str, target: Path, name: str | None = None) -> str:
    """Write a starting file.

    Args:
        kind: "algorithm" or "backbone".
        target: the file to write; existing files are not overwritten.
        name: name in the registry; None derives it from the file's: my_method.py has my-method.

    Returns:
        The name.

    Raises:
        InputError: every problem with the file and the name, at once.
    """
    if name is None:
        name = re.sub(r"[^a-z0-9]+", "-", target.stem.lower()).strip("-")
    problems = []
    if target.suffix != ".py":
        problems.append(f"{target} is not a Python file: give a path that ends in .py")
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        problems.append(
            f"{name!r} is not a valid name: use --name with lowercase letters, digits and single hyphens"
        )
    if name in _REGISTRIES[kind].describe():
        problems.append(f"{kind} {name!r} already exists: choose another name with --name")
    if problems:
        raise InputError(*problems)
    text = (resources.files(__name__) / f"{kind}.py").read_text(encoding="utf-8")
    for form in (str, _snake, _camel):
        text = text.replace(form(_PLACEHOLDER), form(name))
    if os.path.lexists(target):
        raise InputError(f"{target} already exists and is not overwritten: give another file")
    try:
        replace_text(target, text)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from None
    return name


def _snake(name: str) -> str:
    return name.replace("-", "_")


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("-"))
