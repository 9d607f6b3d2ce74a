"""Make an index from sources of any kind, with files found by name, for `ssl-video data index`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.compute as pc

from ssl_video.data.columns import Strings
from ssl_video.data.importers.folder import from_folder
from ssl_video.data.importers.label_files import add_labels
from ssl_video.data.importers.locate import at_their_paths, by_name, leave_out_missing
from ssl_video.data.importers.plain_lists import from_lists
from ssl_video.data.importers.raw_index import RawIndex, home, reading
from ssl_video.data.importers.source_kinds import FOLDER, KINDS, MANIFEST, check_sources, recognise
from ssl_video.data.importers.to_index import Unsplit, to_index
from ssl_video.data.importers.unlabeled import add
from ssl_video.data.index import Index
from ssl_video.data.names import VIDEO
from ssl_video.data.progress import Progress
from ssl_video.errors import InputError, some

_HINT = (
    "give the folder that they lie in as --videos, or leave clips out whose files are missing by "
    "--skip-missing"
)


@dataclass(frozen=True)
class IndexRequest:
    """A request to index sources. All paths are absolute and exist; `videos` need not if `check` is False.

    Attributes:
        sources: folders and files of one kind.
        lists: published lists by part ("train", "val", "test"), in place of sources.
        classes: a file of class names for these lists.
        kind: a name in `KINDS`; None: recognised automatically.
        videos: the folder of the files, if it is not the source's folder.
        skip_missing: leave out missing files; otherwise they are an error.
        check: look for the files.
        unlabeled: further sources of unlabeled clips, see `unlabeled.add`.
        labels: files of corrected and additional labels, see `label_files.add_labels`.
        keep_classes: classes whose names would otherwise stand for "no label".
    """

    sources: Sequence[Path] = ()
    lists: dict[str, Sequence[Path]] = field(default_factory=dict)
    classes: Path | None = None
    kind: str | None = None
    videos: Path | None = None
    skip_missing: bool = False
    check: bool = True
    unlabeled: Sequence[Path] = ()
    labels: Sequence[Path] = ()
    keep_classes: Collection[str] = ()

    def recognised(self) -> "IndexRequest":
        """Return the request with its kind, unless it is for lists.

        Raises:
            InputError: sources are of an unknown kind, of several kinds, or unsuitable for the given kind.
        """
        if self.lists:
            return self
        with reading():
            kinds = [self.kind] if self.kind else [recognise(source) for source in self.sources]
        if len(set(kinds)) > 1:
            pairs = zip(self.sources, kinds, strict=True)
            found = ", ".join(f"{source} ({KINDS[kind].title})" for source, kind in pairs)
            raise InputError(f"the sources are of several kinds: {found}; index them one by one")
        check_sources(kinds[0], self.sources)
        if kinds[0] == FOLDER and self.videos:
            raise InputError(
                f"{self.sources[0]} looks like class folders, which contain the videos: leave "
                "--videos out, or name the format by --kind"
            )
        return replace(self, kind=kinds[0])

    @property
    def title(self) -> str:
        """A name of the sources for messages."""
        return KINDS[self.kind].title if self.kind else "lists of clips"


def make(request: IndexRequest, name: str, progress: Progress | None = None) -> Index:
    """Return the index of the requested sources.

    Args:
        request: see `IndexRequest`.
        name: the dataset's name.
        progress: called with the current task, the number of items done and the total.

    Raises:
        InputError: every problem found.
    """
    request = request.recognised()
    with reading():
        raw = _read(request)
        raw.name = name
        if request.kind != FOLDER:
            _locate(raw, request, progress)
    if not len(raw.ids):
        raise InputError(*(f"{raw.source}: {problem}" for problem in raw.problems or ["there are no clips"]))
    with reading():
        unsplit: Unsplit = "train" if request.unlabeled else "hold-out"
        index = to_index(raw, request.keep_classes, unsplit, labels_follow=bool(request.labels))
        return add_labels(add(index, request.unlabeled), request.labels, request.keep_classes)


def _read(request: IndexRequest) -> RawIndex:
    if request.kind == FOLDER:
        return from_folder(request.sources[0], request.keep_classes, flat=bool(request.labels))
    if request.kind:
        return KINDS[request.kind].read(request.sources)
    return from_lists(request.lists, request.classes)


def _locate(raw: RawIndex, request: IndexRequest, progress: Progress | None) -> None:
    first = (
        request.sources[0] if request.sources else next(files[0] for files in request.lists.values() if files)
    )
    folder = request.videos or home(first)
    if request.check and (request.videos or request.kind != MANIFEST):
        tried = by_name(raw, folder, progress)
    else:
        bases = [folder] if request.videos or request.kind != MANIFEST else [folder, folder.parent]
        tried = at_their_paths(raw, bases, check=request.check, progress=progress)
    leave_out_missing(raw, tried, _HINT, allowed=request.skip_missing)
    videos = pc.match_substring_regex(raw.ids, VIDEO)
    if not request.check and not pc.all(videos).as_py():
        others = Strings(raw.ids.filter(pc.invert(videos)))
        raw.problems.append(
            f"{len(others)} paths are not those of videos: {some(others)}; let the videos be looked for, by "
            "--videos and without --no-check"
        )
