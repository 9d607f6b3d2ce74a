"""Load the public names of a package on first use, so that importing the package takes no time."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the functions `__getattr__` and `__dir__` of a package.

    Args:
        package: its `__name__`.
        homes: by public name the module of ssl_video that defines it; "": the name is a package of ssl_video.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if homes[name]:
            value = getattr(importlib.import_module(f"ssl_video.{homes[name]}"), name)
        else:
            value = importlib.import_module(f"ssl_video.{name}")
        # A function takes the place of a module of the same name, which the import has put there.
        setattr(sys.modules[package], name, value)
        return value

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, listed
