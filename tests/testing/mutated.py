"""Wrong versions of the built-in methods: a copy of the algorithms folder in which one place is changed."""

import importlib
import multiprocessing
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ssl_video.registry import algorithms
from ssl_video.testing import results

FOLDER = Path(__file__).parents[2] / "algorithms"
# A process with a GPU that has gone backward leaves its children unable to.
POSSIBLE = "fork" in multiprocessing.get_all_start_methods() and not torch.cuda.is_available()


class Mutation(NamedTuple):
    """One wrong change.

    Attributes:
        file: of the algorithms folder.
        old: a text that stands in it once.
        new: what replaces it.
        breaks: what is wrong then.
        algorithms: methods that use it; the file's own one where none is named.
    """

    file: str
    old: str
    new: str
    breaks: str
    algorithms: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return self.algorithms or (Path(self.file).stem,)


def inside(mutation: Mutation, work: Callable[[], Any]) -> Any:
    """What `work` returns in a process in which `ssl_video.algorithms` is the changed copy."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "algorithms"
        shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
        file = copy / mutation.file
        text = file.read_text(encoding="utf-8")
        assert text.count(mutation.old) == 1, (
            f"{mutation.file} has {mutation.old!r} {text.count(mutation.old)} times"
        )
        file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=lambda: theirs.send(_instead(copy, work)))
        process.start()
        theirs.close()
        try:
            return ours.recv()
        finally:
            process.join()


def _instead(copy: Path, work: Callable[[], Any]) -> Any:
    sys.dont_write_bytecode = True
    for name in [name for name in sys.modules if name.startswith("ssl_video.algorithms")]:
        del sys.modules[name]
    package = importlib.import_module("ssl_video.algorithms")
    assert package.__spec__ is not None
    package.__path__ = package.__spec__.submodule_search_locations = [str(copy)]
    # What the registry read from the checkout.
    algorithms.__init__(algorithms.kind, algorithms.package)  # type: ignore[misc]
    vars(algorithms).pop("_builtin", None)
    return work()


def failures(mutation: Mutation, *checks: str, first: bool = False) -> dict[str, str]:
    """What each check that fails finds, by `method: check`; with `first`, of the first one alone."""

    def look() -> dict[str, str]:
        found: dict[str, str] = {}
        for name in mutation.names:
            for result in results(name, *checks):
                if result.outcome == "fail":
                    found[f"{name}: {result.check.name}"] = result.found
                    if first:
                        return found
        return found

    found: dict[str, str] = inside(mutation, look)
    return found
