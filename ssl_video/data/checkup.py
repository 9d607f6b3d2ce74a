"""Check the caches of frames and features without changing them: damaged files are rebuilt when used."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from ssl_video.data.damage import DamagedError, Finding, OutdatedError
from ssl_video.data.features import store as features
from ssl_video.data.features.pack import Pack
from ssl_video.data.frames import cache, timeline, video_facts
from ssl_video.data.frames.cache import CacheFile
from ssl_video.data.frames.formats import FORMATS, StoredClip
from ssl_video.data.progress import Progress
from ssl_video.files import read_bytes

_CLIP = "it is removed and its video decoded again when it is next read"
_FACTS = "they are determined again when the video is next used"
_TIMES = "the video is scanned again when they are next used"
_FEATURES = "they are removed and computed again when they are next used"
_ABOUT = "it is written again when the features are next used"


def check(folder: Path, progress: Progress = lambda *_: None) -> tuple[int, list[Finding]]:
    """Read the whole cache; files of older versions, which are rebuilt in any case, are no findings.

    Args:
        folder: the cache folder, of frames and features.
        progress: called with the work, and the number of files done and in total.

    Returns:
        The number of files, and those that are damaged.
    """
    frames, found, number = folder / "frames", list[Finding](), 0
    clips = list(cache.entries(frames, tidy=False))
    for done, clip in enumerate(clips, 1):
        found += _clip(clip)
        progress("stored clips", done, len(clips))
    sets = sorted(path for path in (folder / "features").glob("*") if path.is_dir())
    for done, path in enumerate(sets, 1):
        count, damaged = _set(path)
        number, found = number + count, found + damaged
        progress("stored features", done, len(sets))
    for kind, look in (("files", _facts), ("times", _times)):
        paths = [path for path in (frames / kind).glob("*/*") if not path.name.startswith(".")]
        number += len(paths)
        for done, path in enumerate(paths, 1):
            found += look(path)
            progress("facts of videos", done, len(paths))
    return number + len(clips), found


def _clip(clip: CacheFile) -> Iterator[Finding]:
    format_, name = FORMATS[clip.setting.partition("-")[0]], f"{clip.setting}/{clip.path.name}"
    # Another process may remove it meanwhile.
    with contextlib.suppress(FileNotFoundError, OutdatedError):
        try:
            with StoredClip(clip.path, format_, name) as opened:
                opened.check()
        except OutdatedError:
            raise
        except (DamagedError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            yield Finding(clip.path, str(getattr(error, "strerror", None) or error), _CLIP)


def _facts(path: Path) -> Iterator[Finding]:
    # A link that is being written has another name for a moment.
    if video_facts.read(str(path)) is None and len(path.name) == 32 and os.path.lexists(path):
        yield Finding(path, "the facts of a video are damaged", _FACTS)


def _times(path: Path) -> Iterator[Finding]:
    if timeline.read(path, path.stem) is None and os.path.lexists(path):
        yield Finding(path, "the time stamps of a video are damaged", _TIMES)


def _set(folder: Path) -> tuple[int, list[Finding]]:
    """Return the number of stored packs of a set of features, and what is damaged of it."""
    about = folder / features.ABOUT
    try:
        content = read_bytes(about)
    except FileNotFoundError:
        return 0, []  # it is being made, or removed
    except OSError as error:
        return 1, [Finding(about, str(error.strerror or error), _ABOUT)]
    if hashlib.sha256(content).hexdigest()[:16] != folder.name:
        return 1, [Finding(about, "it is not what its folder is named by", _ABOUT)]
    shape = tuple(json.loads(content)["shape"])
    packs, found = sorted(folder.glob(f"*{features.ITEMS}")), list[Finding]()
    for path in packs:
        with contextlib.suppress(FileNotFoundError):
            found += _pack(path, shape)
    return len(packs), found


def _pack(path: Path, shape: tuple[int, ...]) -> Iterator[Finding]:
    items = features.read_items(path)
    if items is None:
        yield Finding(path, "its items are not those that it is named by", _FEATURES)
        return
    array = path.with_suffix(features.ARRAY)
    if not array.exists():
        return  # it is being computed
    try:
        Pack(array, shape, len(items), (path.parent.name, path.stem)).check()
    except OutdatedError:
        pass
    except DamagedError as error:
        yield Finding(array, str(error), _FEATURES)
