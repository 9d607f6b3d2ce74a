"""A run's data: its clips, their labels, and the source of their frames."""

import errno
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssl_video.data import demo, recordings
from ssl_video.data.frames.extent import FILES_OWN, Clock
from ssl_video.data.frames.store import GIB, LONG, FrameStore
from ssl_video.data.importers import absolute, read
from ssl_video.data.importers.label_files import add_labels
from ssl_video.data.importers.to_index import Unsplit
from ssl_video.data.importers.unlabeled import add as add_unlabeled
from ssl_video.data.index import Index
from ssl_video.data.partitions.folds import fold
from ssl_video.data.partitions.partition import Partition, make
from ssl_video.data.paths import cache_dir
from ssl_video.data.progress import CountProgress, Progress
from ssl_video.data.segments import file_of
from ssl_video.data.video import quarantine
from ssl_video.errors import InputError, counted
from ssl_video.spec import AUTO, Spec

# Stored frames are a little larger than the crop (256 for 224, the usual pair), so that a crop smaller than
# the whole frame is not upscaled.
_MARGIN = 8 / 7


# What the protocol `auto` stands for: with and without unlabeled clips.
DEFAULTS = ("all", "per-class:10")
# Reasons that say nothing about the file itself: it was away.
_PASSING = {
    os.strerror(number).lower() for number in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ESTALE)
}


@dataclass(frozen=True)
class Data:
    """An index, its frames, and the quarantined clips, which the index leaves out."""

    index: Index
    store: FrameStore
    broken: dict[str, str]  # id -> reason


def short_side(size: int) -> int:
    """Return the short side of stored frames for crops of `size` pixels."""
    return round(size * _MARGIN)


def clock(spec: Spec) -> Clock:
    """Return the rates at which a run reads files.

    With `fps`, a clip has so many frames per second that frames `stride` apart are 1 / fps seconds apart. A
    network with another stride has another rate.
    """
    return Clock(spec.fps * spec.stride, spec.fps) if spec.fps else FILES_OWN


def read_index(
    spec: Spec,
    progress: Progress | None = None,
    *,
    skip_broken: bool = False,
    unsplit: Unsplit = "hold-out",
    training: bool = True,
) -> Index:
    """Return the clips of a run's data set, without those that are quarantined.

    Nothing is decoded, but missing demo clips are rendered.

    Args:
        spec: the run.
        progress: called while the demo clips are rendered.
        skip_broken: accept missing and empty files; `load` quarantines them and those that cannot be decoded.
        unsplit: the part of labeled clips if no split is given. With folds they are all for training, and
            where a test part would be held out, also with unlabeled clips.
        training: check that the clips can be used for training.

    Raises:
        InputError: the data cannot be read.
    """
    sources = [source(spec), *(absolute(place) for place in spec.unlabeled)]
    faulty = skip_broken or any(quarantine.read(place) for place in sources)
    index = read_all(spec, progress, faulty=faulty, unsplit=unsplit, training=training)
    if spec.folds:
        # First, so that a broken clip that is found later leaves all others in their folds.
        index = fold(index, spec.folds, spec.label_draw)
    listed = _quarantined(spec, index)
    if not listed:
        return index
    left = index.without(np.array(sorted(listed)))
    return replace(left, notes=(*left.notes, _quarantine_note(spec, len(listed))))


def read_all(
    spec: Spec,
    progress: Progress | None = None,
    *,
    faulty: bool = True,
    unsplit: Unsplit = "hold-out",
    training: bool = True,
) -> Index:
    """Return the clips of a run's data set, including those that are quarantined.

    Args:
        spec: the run, of which `data`, `root`, `split`, `unlabeled`, `labels`, `segment`, `keep_classes` and
            `folds` are used, and `fps` for folders of pictures.
        progress: called while the demo clips are rendered, and while unlabeled recordings are cut.
        faulty: accept missing and empty files.
        unsplit: see `read_index`.
        training: see `read_index`.

    Raises:
        InputError: the data cannot be read.
    """
    if spec.data == "demo":
        index = read(demo.prepare(progress=_under("rendering the demo clips", progress)))
    else:
        root = Path(spec.root).expanduser() if spec.root else None
        keep = spec.keep_classes
        if spec.folds or (spec.unlabeled and unsplit == "hold-out"):
            unsplit = "train"
        index = read(
            source(spec),
            root=root,
            split=spec.split,
            faulty=faulty,
            keep_classes=keep,
            unsplit=unsplit,
            training=training,
            labels_follow=bool(spec.labels),
        )
    index = add_unlabeled(index, [absolute(place) for place in spec.unlabeled], faulty=faulty)
    files = [absolute(place) for place in spec.labels]
    index = add_labels(index, files, spec.keep_classes, training=training)
    shown = _under("looking at unlabeled videos", progress)
    return recordings.cut(index, spec.segment, cache_dir() / "frames", clock(spec).pictures, shown)


def unsplit_in_training(spec: Spec, num_unlabeled: int) -> Unsplit:
    """Return the part that labeled clips without a split had in a run, even if unlabeled ones are gone.

    Args:
        spec: the resolved specification of the run.
        num_unlabeled: number of its unlabeled clips.
    """
    # Where every label is used, unlabeled clips have none, and no clip was held out beside them.
    every_label = spec.protocol == DEFAULTS[0] and not spec.labeled_in_unlabeled
    return "train" if spec.unlabeled or (every_label and num_unlabeled) else "hold-out"


def index_key(spec: Spec) -> tuple[object, ...]:
    """Return the settings that determine the index of a run: runs with an equal key share one."""
    fold = (spec.folds, spec.label_draw) if spec.folds else ()
    # The duration of a folder of pictures depends on their rate.
    more = spec.unlabeled, spec.labels, spec.segment, spec.keep_classes
    return spec.data, spec.root, spec.split, *more, spec.fps, *fold


def frames_key(spec: Spec) -> tuple[object, ...]:
    """Return the settings that determine the index of a run and the frames of its clips."""
    return *index_key(spec), spec.size, spec.frame_format, clock(spec)


def source(spec: Spec) -> Path:
    """Return the folder, manifest or index file that a run reads; its quarantine list lies beside it."""
    return cache_dir() / "demo" if spec.data == "demo" else Path(spec.data).expanduser()


def load(
    spec: Spec,
    index: Index | None = None,
    *,
    skip_broken: bool = False,
    cache_gib: float = 20.0,
    long_video: float = LONG,
    progress: Progress | None = None,
) -> Data:
    """Open a run's data: decode every clip whose length is not known yet, and stop if one is broken.

    Args:
        spec: the run; its crop size decides the size of stored frames.
        index: its clips, if already read.
        skip_broken: quarantine broken clips instead of stopping.
        cache_gib: size limit of the frame cache in GiB; 0: no cache.
        long_video: seconds above which a video is not decoded as a whole.
        progress: called with the current task, the number of items done and the total.

    Raises:
        InputError: the data cannot be read, or clips are broken and `skip_broken` is not set.
    """
    if cache_gib < 0:
        raise InputError(f"cache_gib must be a number from 0, found {cache_gib}")
    index = index or read_index(spec, progress, skip_broken=skip_broken)
    check_present(index)
    listed = {index.ids[row]: reason for row, reason in _quarantined(spec, index).items()}
    store = FrameStore(
        index.paths,
        short_side(spec.size),
        int(cache_gib * GIB),
        frame_format=spec.frame_format,
        long=long_video,
        clock=clock(spec),
    )
    used = index.used
    reasons = store.prepare(used.tolist(), _under("checking the videos", progress))
    if not reasons:
        return Data(index, store, listed)
    broken = _by_file(index, reasons)
    if not skip_broken:
        raise InputError(_complaint(broken, len(used), spec))
    for place, some in _by_source(spec, index, broken).items():
        quarantine.add(place, some)
    return Data(index.without(np.array(sorted(reasons))), store, listed | broken)


def with_protocol(spec: Spec, index: Index) -> Spec:
    """Return a specification whose protocol does not depend on the data any more."""
    if spec.protocol != AUTO:
        return spec
    everything, some = DEFAULTS
    chosen = everything if len(index.rows("unlabeled")) or spec.folds else some
    return spec.model_copy(update={"protocol": chosen})


def draw(spec: Spec, index: Index) -> Partition:
    """Return the partition of an index that a specification asks for.

    Raises:
        InputError: see `partition.make`.
    """
    try:
        return make(
            index,
            with_protocol(spec, index).protocol,
            draw=spec.label_draw,
            labeled_in_unlabeled=spec.labeled_in_unlabeled,
            validation=spec.validation,
            lists=Path(spec.lists) if spec.lists else None,
        )
    except InputError as error:
        # Clips that are wanted may be there, but quarantined.
        listed = _quarantined(spec, index)
        raise InputError(
            *error.problems, *([_quarantine_note(spec, len(listed))] if listed else [])
        ) from None


def check_present(index: Index, looks: int = 50) -> None:
    """Check that some files exist; if none does, the folder is wrong or not mounted.

    Args:
        index: the clips; only the files of those in use are looked for.
        looks: number of files to look for, evenly spaced.

    Raises:
        InputError: none of them exists.
    """
    used = index.used
    rows = used[sorted({len(used) * n // looks for n in range(looks)})]
    if not any(os.path.exists(file_of(index.paths[row])) for row in rows):
        first = file_of(index.paths[rows[0]])
        raise InputError(
            f"{index.name}: none of {counted(len(rows), 'file')} looked for exists, the first being "
            f"{first}: is the disk mounted? If the videos lie elsewhere, give their folder as --root"
        )


def _quarantined(spec: Spec, index: Index) -> dict[int, str]:
    """Return the quarantine reason of each quarantined clip, by row."""
    sources = {"": source(spec), **{part: Path(folder) for part, folder in index.elsewhere.items()}}
    listed = {
        f"{part}/{name}" if part else name: reason
        for part, place in sources.items()
        for name, reason in quarantine.read(place).items()
    }
    if not listed:
        return {}
    # A file that cannot be read is listed once for all of its segments.
    found = {
        row: listed.get(name) or listed[file_of(name)]
        for row, name in enumerate(index.ids)
        if name in listed or ("#" in name and file_of(name) in listed)
    }
    # A file that could not be opened once may be back.
    return {
        row: reason
        for row, reason in found.items()
        if reason not in _PASSING or not os.access(file_of(index.paths[row]), os.R_OK)
    }


def _quarantine_note(spec: Spec, clips: int) -> str:
    return f"{counted(clips, 'clip', 'are')} quarantined ({quarantine.place(source(spec))})"


def _by_file(index: Index, reasons: Mapping[int, str]) -> dict[str, str]:
    """Return the reason for each broken clip by id, or once by file if it holds for all clips of the file."""
    files = {file_of(index.ids[row]) for row in reasons}
    clips = defaultdict[str, list[int]](list)
    for row in index.used.tolist():
        if (file := file_of(index.ids[row])) in files:
            clips[file].append(row)
    broken = dict[str, str]()
    for file, rows in clips.items():
        found = {reasons.get(row, "") for row in rows}
        if len(rows) > 1 and len(found) == 1:
            broken[file] = found.pop()
        else:
            broken |= {index.ids[row]: reasons[row] for row in rows if row in reasons}
    return broken


def _by_source(spec: Spec, index: Index, broken: Mapping[str, str]) -> dict[Path, dict[str, str]]:
    """Return broken clips by the source that has a quarantine list for them, with their ids there."""
    found = dict[Path, dict[str, str]]()
    for name, reason in broken.items():
        first, _, rest = name.partition("/")
        there = first in index.elsewhere
        place, own = (Path(index.elsewhere[first]), rest) if there else (source(spec), name)
        found.setdefault(place, {})[own] = reason
    return found


def _under(text: str, progress: Progress | None) -> CountProgress | None:
    """Return a callback (done, total) that reports progress under a heading."""
    return (lambda done, total: progress(text, done, total)) if progress else None


def _complaint(broken: dict[str, str], total: int, spec: Spec, shown: int = 10) -> str:
    lines = [f"{len(broken)} of {counted(total, 'video')} cannot be decoded:"]
    lines += [f"  {clip}: {reason}" for clip, reason in list(broken.items())[:shown]]
    if len(broken) > shown:
        lines.append(f"  and {len(broken) - shown} more")
    lines.append(
        f"replace them, or quarantine them, so that all runs leave them out: --skip-broken, or "
        f"ssl-video data doctor {spec.data}, which decodes every file"
    )
    return "\n".join(lines)
