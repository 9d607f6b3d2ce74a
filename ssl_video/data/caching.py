"""Fill, survey and clear the caches of frames and features: the calls behind `ssl-video data cache`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssl_video.data.dataset import read_index, short_side
from ssl_video.data.features import store as features
from ssl_video.data.frames import cache, video_facts
from ssl_video.data.frames.store import GIB, LONG, FrameStore
from ssl_video.data.index import Index
from ssl_video.data.paths import cache_dir
from ssl_video.data.progress import Progress
from ssl_video.data.segments import file_of
from ssl_video.errors import InputError
from ssl_video.names import Place
from ssl_video.observer import Observer, observer
from ssl_video.spec import build

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Filled:
    """The clips of a data set in the cache, after it was filled.

    Attributes:
        folder: the cache folder.
        clips: number of clips of the data set.
        long: number of those of long videos, whose frames are stored when they are first used.
        stored: number of those that are stored.
        complete: whether all decodable clips are stored; otherwise the size limit left no room.
        bytes: size of these on the disk; equal videos are stored once.
        bytes_of_all: estimated size of all clips.
        frame_format: "raw" or "jpeg".
        short_side: shorter side of the stored frames, in pixels.
        broken: the reason for each clip that cannot be decoded, by its id.
    """

    folder: Path
    clips: int
    long: int
    stored: int
    complete: bool
    bytes: int
    bytes_of_all: float
    frame_format: str
    short_side: int
    broken: dict[str, str]


@dataclass(frozen=True)
class StoredFrames:
    """The stored clips of one setting.

    Attributes:
        setting: format, short side and decoder, for example "raw-128-ffmpeg62".
        clips: number of clips.
        bytes: their size on the disk.
        used: time of the last use, in seconds since 1970.
    """

    setting: str
    clips: int
    bytes: int
    used: float


@dataclass(frozen=True)
class StoredFeatures:
    """The stored features of one frozen network for one kind of clip.

    Attributes:
        folder: their folder.
        network: name of the backbone.
        features: "pooled" or "tokens".
        view: name of the augmentation, or "test".
        frames: frames per clip.
        size: side of the crop in pixels.
        clips: number of clips; each copy of a video is one.
        bytes: their size on the disk.
        used: time of the last use, in seconds since 1970.
    """

    folder: Path
    network: str
    features: str
    view: str
    frames: int
    size: int
    clips: int
    bytes: int
    used: float


@dataclass(frozen=True)
class CacheContents:
    """The stored clips of one data set, or of all.

    Attributes:
        folder: the cache folder.
        settings: the stored clips by setting.
    """

    folder: Path
    settings: Sequence[StoredFrames]

    @property
    def clips(self) -> int:
        """The number of clips, of all settings."""
        return sum(found.clips for found in self.settings)

    @property
    def bytes(self) -> int:
        """The size of the clips on the disk."""
        return sum(found.bytes for found in self.settings)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per setting; columns: the attributes of `StoredFrames`."""
        import pandas as pd  # takes half a second

        return pd.DataFrame([asdict(found) for found in self.settings])


def fill_cache(
    data: Place,
    root: Place | None = None,
    split: str | None = None,
    *,
    size: int = 64,
    frame_format: str = "raw",
    cache_gib: float = 20.0,
    long_video: float = LONG,
    decoders: int | None = None,
    progress: bool | Observer | None = None,
) -> Filled:
    """Decode every clip of a data set into the frame cache ahead of the first run.

    Runs find the clips if they have the same size, frame format, bound of the cache and `long_video`.

    Args:
        data: "demo", a folder of class folders, a manifest (CSV), or an index file.
        root: the folder that the manifest's paths start from.
        split: the manifest's column that says train or test; None: "split".
        size: side of the crop of the planned runs, in pixels.
        frame_format: "raw": exact; "jpeg": lossy, a tenth of the size, ten times slower to read.
        cache_gib: bound of the whole cache, in GiB.
        long_video: seconds above which a video is not decoded as a whole.
        decoders: number of videos decoded at a time; None: the number of cores.
        progress: True, False, or an observer; None: shown where there is a terminal or a notebook.

    Raises:
        InputError: the data cannot be read, or the cache folder cannot be written.
    """
    with observer(progress).preparing() as report:
        index = _index(data, root, split, report)
        limit = int(cache_gib * GIB)
        store = FrameStore(index.paths, short_side(size), limit, _folder(), frame_format, long_video)
        rows = index.used.tolist()
        broken = store.fill(rows, lambda done, total: report("decoding", done, total), decoders)
    # Long videos are stored as they are used.
    videos = [video_facts.find(store.folder, file_of(store.paths[row])) for row in rows]
    contents = [video.content for video in videos if video and not store.is_long(video)]
    sizes = {e.content: e.size for e in cache.entries(store.folder) if e.setting == store.setting}
    # Equal files are stored once.
    distinct = set(contents)
    stored = [sizes[content] for content in distinct if content in sizes]
    return Filled(
        folder=store.folder,
        clips=len(rows),
        long=sum(bool(video and store.is_long(video)) for video in videos),
        stored=sum(content in sizes for content in contents),
        complete=len(stored) == len(distinct),
        bytes=sum(stored),
        bytes_of_all=sum(stored) / len(stored) * len(distinct) if stored else 0.0,
        frame_format=frame_format,
        short_side=store.short_side,
        broken={index.ids[row]: reason for row, reason in broken.items()},
    )


def cache_contents(
    data: Place | None = None, root: Place | None = None, split: str | None = None
) -> CacheContents:
    """Return the clips of a data set, or of all, that are stored in the frame cache.

    Args:
        data: the data set; None: all.
        root: the folder that the manifest's paths start from.
        split: the manifest's column that says train or test; None: "split".

    Raises:
        InputError: the data cannot be read, or `root` or `split` without data.
    """
    return _summary(_found(_chosen(data, root, split)))


def clear_cache(
    data: Place | None = None, root: Place | None = None, split: str | None = None
) -> CacheContents:
    """Remove the stored clips of a data set, or all; runs that read them decode them again.

    Args:
        data: the data set; None: all.
        root: the folder that the manifest's paths start from.
        split: the manifest's column that says train or test; None: "split".

    Returns:
        The removed clips.

    Raises:
        InputError: the data cannot be read, or `root` or `split` without data.
    """
    index = _chosen(data, root, split)
    found = _found(index)
    if found:
        cache.clear(_folder(), {entry.content for entry in found} if index else None)
    return _summary(found)


def feature_sets() -> list[StoredFeatures]:
    """Return the stored features of frozen networks, the most recently used first."""
    return [_set(found) for found in features.survey(feature_folder())]


def clear_features() -> list[StoredFeatures]:
    """Remove the stored features that no run uses, and return them; later runs compute them again."""
    return [_set(found) for found in features.clear(feature_folder())]


def feature_folder() -> Path:
    """Return the folder of the features of frozen networks."""
    return cache_dir() / "features"


def _set(found: features.SetFiles) -> StoredFeatures:
    about, view = found.about, found.about["view"]
    return StoredFeatures(
        folder=found.folder,
        network=str(about["network"]),
        features=str(about["features"]),
        view=str(view["augmentation"]),
        frames=int(view["frames"]),
        size=int(about["size"]),
        clips=found.items,
        bytes=found.size,
        used=found.used,
    )


def cache_size() -> int:
    """Return the size of the frame cache in bytes, as counted by the processes that write to it."""
    return cache.used(_folder())


def _folder() -> Path:
    return cache_dir() / "frames"


def _index(data: Place, root: Place | None, split: str | None, report: Progress | None = None) -> Index:
    given = {"data": data, "root": root, "split": split, "segment": 0}
    spec = build({name: value for name, value in given.items() if value is not None})
    return read_index(spec, report, training=False)


def _chosen(data: Place | None, root: Place | None, split: str | None) -> Index | None:
    """Return the index of a data set; None without one, which stands for all."""
    if data is None and (root or split):
        raise InputError("root and split are those of a data set: give data, too")
    return None if data is None else _index(data, root, split)


def _found(index: Index | None) -> list[cache.CacheFile]:
    """Return the stored clips of a data set, or all."""
    found = list(cache.entries(_folder()))
    if index is None:
        return found
    contents = set(video_facts.contents(_folder(), map(file_of, index.paths)))
    return [entry for entry in found if entry.content in contents]


def _summary(found: Sequence[cache.CacheFile]) -> CacheContents:
    settings = cache.survey(found).items()
    return CacheContents(
        _folder(),
        [StoredFrames(name, summary.clips, summary.size, summary.used) for name, summary in settings],
    )
