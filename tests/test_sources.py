"""Sources of classes that a user defines in a file, a notebook, or at a prompt."""

import hashlib
import linecache
from pathlib import Path
from typing import Any

import pytest

from ssl_video import Algorithm
from ssl_video.errors import InputError
from ssl_video.registry import Registry
from ssl_video.sources import SourceTexts, file_hash, file_text, local_modules

CELL = "class Mine(Base):\n    def loss(self, batch, progress):\n        return {factor} * batch\n"


def defined(text: str, file: str, base: type = Algorithm) -> Any:
    """Return the class that a notebook's cell defines; `file` is the name that the notebook gives it."""
    names: dict[str, Any] = {"Base": base, "__name__": "__main__"}
    exec(compile(text, file, "exec"), names)
    return names["Mine"]


def cell(text: str, file: str) -> Any:
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    return defined(text, file)


def test_a_class_of_a_notebook_has_the_text_of_its_cell() -> None:
    texts = SourceTexts()
    first, again = cell(CELL.format(factor=1), "/nowhere/1.py"), cell(CELL.format(factor=1), "/nowhere/2.py")
    changed = cell(CELL.format(factor=2), "/nowhere/3.py")
    assert texts.is_readable(first)
    assert texts.text(first) == texts.text(again) == CELL.format(factor=1)
    assert texts.text(changed) != texts.text(first)


def test_a_base_class_of_ones_own_counts() -> None:
    texts = SourceTexts()
    bases = [cell(CELL.format(factor=n).replace("Mine", "Mine"), f"/nowhere/base{n}.py") for n in (1, 2)]
    derived = [
        defined("class Mine(Base):\n    '''No code.'''\n    def f(self): pass\n", "/nowhere/1.py", base)
        for base in bases
    ]
    assert texts.text(derived[0]) != texts.text(derived[1])


def test_without_a_source_every_class_is_another() -> None:
    texts = SourceTexts()
    first, second = defined(CELL.format(factor=1), "<stdin>"), defined(CELL.format(factor=1), "<stdin>")
    assert not texts.is_readable(first)
    assert texts.text(first) == texts.text(first) != texts.text(second)


def test_a_class_in_a_file_has_its_own_text_alone() -> None:
    assert SourceTexts().text(test_a_class_in_a_file_has_its_own_text_alone).startswith("def test_a_class")


def test_adopting_names() -> None:
    registry = Registry("algorithm", "ssl_video.algorithms")
    mine = defined(CELL.format(factor=1), "<stdin>")
    assert registry.adopt("fixmatch") == "fixmatch"
    assert registry.adopt(mine) == "Mine"
    assert registry.get("Mine") is mine
    assert not registry.has_source("Mine")
    assert registry.of_session(["Mine", "fixmatch"]) == {"Mine": mine}
    # The cell is run again: the newest definition counts.
    newer = defined(CELL.format(factor=2), "<stdin>")
    assert registry.adopt(newer) == "Mine"
    assert registry.get("Mine") is newer
    taken = type("fixmatch", (Algorithm,), {"__module__": "__main__"})
    with pytest.raises(InputError, match="algorithm 'fixmatch' is defined twice"):
        registry.adopt(taken)


def test_a_class_of_a_file_that_was_loaded_by_path_has_that_name(tmp_path: Path) -> None:
    file = tmp_path / "plugin.py"
    file.write_text(
        "from ssl_video import Algorithm, algorithm\n\n@algorithm('adopted')\n"
        "class Adopted(Algorithm):\n    '''It.'''\n"
    )
    from ssl_video.registry import algorithms

    name = f"{file}:adopted"
    entry = algorithms.get(name)
    assert algorithms.adopt(entry) == name
    assert algorithms.code(name) == file.read_text()


def write(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        file = folder / (name.replace("__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "mine.py"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"mine": "import numpy\nimport other.part"}, []),
        ({"mine": "import helper", "helper": "", "unused": ""}, ["helper.py"]),
        ({"mine": "import a", "a": "from third import x", "third": "import mine"}, ["a.py", "third.py"]),
        ({"mine": "def f():\n    from helper import y as z", "helper": "no python ("}, ["helper.py"]),
        ({"mine": "import json, ssl_video", "json": "", "ssl_video": ""}, []),
        ({"mine": "import p.a", "p__a": "from . import b", "p__b": ""}, ["p/a.py", "p/b.py"]),
        ({"mine": "from parts import a, f", "parts__a": "from ..x import y"}, ["parts/a.py"]),
        ({"mine": "from parts.a import c", "parts__a": "", "parts__b": ""}, ["parts/a.py"]),
    ],
)  # fmt: skip
def test_local_modules_are_those_beside_a_file(
    texts: dict[str, str], expected: list[str], tmp_path: Path
) -> None:
    assert list(local_modules(write(tmp_path, **texts))) == expected


def test_local_modules_of_a_package(tmp_path: Path) -> None:
    """Also by its absolute name, and with the files that make it a package."""
    for package in ("pack", "pack/inner"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    write(tmp_path / "pack", losses="", inner__mine="from ..losses import a\nimport pack.more", more="")
    found = local_modules(tmp_path / "pack" / "inner" / "mine.py")
    assert list(found) == ["../__init__.py", "../losses.py", "../more.py"]


def test_a_changed_module_beside_a_file_is_another_code(tmp_path: Path) -> None:
    file = write(tmp_path, mine="import helper")
    alone = file_text(file), file_hash(file)
    assert alone == ("import helper", hashlib.sha256(b"import helper").hexdigest())
    found = {alone}
    for text in ("a = 1", "a = 2"):
        write(tmp_path, helper=text, unused=text)
        found.add((file_text(file), file_hash(file)))
    assert len({text for text, _ in found}) == len({digest for _, digest in found}) == 3
    write(tmp_path, unused="another")
    assert (file_text(file), file_hash(file)) in found
