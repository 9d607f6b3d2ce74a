"""List algorithms, backbones, data, protocols and suites by name. Never imports torch."""

import fnmatch
from collections.abc import Mapping

from ssl_video.registry import algorithms, backbones

_DATA = {
    "demo": "800 clips of moving shapes in ten classes, rendered at first use",
    "FOLDER": "a folder of class folders, or of train/ and test/ folders with class folders inside",
    "MANIFEST.csv": "columns path,label and, where known, group and split (train or test)",
    "NAME.arrow": "an index file, made by ssl-video data index from folders, manifests or published lists",
}


def list_algorithms(pattern: str = "*", *, builtin: bool = False) -> dict[str, str]:
    """Return every algorithm whose name matches a pattern, with a one-line description.

    Args:
        pattern: as for files: * stands for any characters, ? for one. "*match*" matches fixmatch.
        builtin: whether to leave out those that other packages or this program added.
    """
    known, own = algorithms.describe(), algorithms.builtin()
    return _matching({name: known[name] for name in own} if builtin else known, pattern)


def list_backbones(pattern: str = "*") -> dict[str, str]:
    """Return every backbone whose name matches a pattern, with a one-line description.

    Backbones of timm and transformers are named library/model and are not listed one by one.

    Args:
        pattern: as for files: * stands for any characters, ? for one. "x3d*" matches x3d_s.
    """
    return _matching(backbones.describe(), pattern)


def list_data() -> dict[str, str]:
    """Return every form that a data set can have, with a one-line description."""
    return dict(_DATA)


def list_protocols() -> dict[str, str]:
    """Return every form of a partition protocol, with a one-line description.

    Names that begin with spaces are words that are added to the protocol above them. The published protocols
    are listed by `ssl_video.data.list_published`.
    """
    from ssl_video.data.partitions import protocols

    return protocols.describe()


def list_suites() -> dict[str, str]:
    """Return every benchmark suite that comes with the package, with a one-line description."""
    from ssl_video.benchmarks.running import suite  # imports numpy

    return suite.describe()


def list_recipes() -> dict[str, str]:
    """Return every recipe that comes with the package, with a one-line description."""
    from ssl_video.benchmarks.running import recipe

    return recipe.describe()


def list_file(path: str) -> dict[str, dict[str, str]]:
    """Return a Python file's entries: {"algorithms": {"path:name": description}, "backbones": {...}}.

    The file is not imported.

    Args:
        path: the file.

    Raises:
        InputError: there is no such file, or it is not Python.
    """
    return {"algorithms": algorithms.in_file(path), "backbones": backbones.in_file(path)}


def find_algorithm(name: str) -> str:
    """Return the full name of an algorithm, without importing it.

    Args:
        name: a name; "path/to/file.py:name"; or a file that defines one algorithm.

    Returns:
        The name; for a file, "path/to/file.py:name".

    Raises:
        InputError: no such name, with the nearest names that exist; or no such file.
    """
    name = algorithms.full_name(name)
    algorithms.check(name)
    return name


def _matching(entries: Mapping[str, str], pattern: str) -> dict[str, str]:
    return {name: text for name, text in entries.items() if fnmatch.fnmatchcase(name, pattern)}
