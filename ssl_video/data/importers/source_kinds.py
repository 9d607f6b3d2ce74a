"""The kinds of sources, and their recognition."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ssl_video.data.importers import hmdb51, kinetics, something_something, ucf101
from ssl_video.data.importers.folder import from_folder
from ssl_video.data.importers.manifest import from_manifest
from ssl_video.data.importers.raw_index import RawIndex
from ssl_video.errors import InputError, some


class SourceKind(NamedTuple):
    """A kind of source.

    Attributes:
        title: a name for messages.
        read: function from absolute paths of sources to a raw index.
    """

    title: str
    read: Callable[[Sequence[Path]], RawIndex]


def _files(sources: Sequence[Path], ending: str) -> list[Path]:
    """Return the sources, with each folder replaced by its files."""
    found = [sorted(source.glob(f"*.{ending}")) if source.is_dir() else [source] for source in sources]
    return [file for files in found for file in files]


def _kinetics(sources: Sequence[Path]) -> RawIndex:
    files = [file for file in _files(sources, "csv") if file in sources or kinetics.recognises(file)]
    return kinetics.from_kinetics(files)


FOLDER, MANIFEST = "folder", "manifest"
KINDS = {
    FOLDER: SourceKind("class folders", lambda sources: from_folder(sources[0])),
    MANIFEST: SourceKind("a manifest", lambda sources: from_manifest(sources[0], "split")),
    "ucf101": SourceKind("UCF-101's official lists", lambda sources: ucf101.from_ucf101(sources[0])),
    "hmdb51": SourceKind("HMDB-51's official lists", lambda sources: hmdb51.from_hmdb51(sources[0])),
    "kinetics": SourceKind("Kinetics' CSV files", _kinetics),
    "something-something": SourceKind(
        "Something-Something v2's JSON files",
        lambda sources: something_something.from_something_something(_files(sources, "json")),
    ),
}
_SEVERAL = ("kinetics", "something-something")  # kinds that may be given file by file
_FOLDERS = (FOLDER, "ucf101", "hmdb51")


def recognise(source: Path) -> str:
    """Return the kind of an existing source.

    Raises:
        InputError: the source is a file of no known kind.
    """
    if source.is_dir():
        names = sorted(file.name for file in source.iterdir())
        if ucf101.recognises(names):
            return "ucf101"
        if hmdb51.recognises(names):
            return "hmdb51"
        if something_something.recognises(names):
            return "something-something"
        tables = [source / name for name in names if name.endswith(".csv")]
        return "kinetics" if any(map(kinetics.recognises, tables)) else FOLDER
    if source.suffix == ".json":
        return "something-something"
    if source.suffix in (".csv", ".tsv"):
        return "kinetics" if kinetics.recognises(source) else MANIFEST
    raise InputError(
        f"{source} is of no known kind: expected a folder of class folders or official lists, .csv, .tsv or "
        ".json; lists of clips are given as --train LIST --test LIST"
    )


def check_sources(kind: str, sources: Sequence[Path]) -> None:
    """Check that the number and the form of sources suit their kind.

    Raises:
        InputError: they do not.
    """
    problems = []
    if len(sources) > 1 and kind not in _SEVERAL:
        names = some([str(source) for source in sources])
        problems.append(f"{KINDS[kind].title}: expected one source, found {len(sources)}: {names}")
    for source in sources:
        if source.is_dir() if kind == MANIFEST else kind in _FOLDERS and not source.is_dir():
            wanted = "file" if kind == MANIFEST else "folder"
            problems.append(f"{KINDS[kind].title}: expected a {wanted}, but {source} is not one")
    if problems:
        raise InputError(*problems)
