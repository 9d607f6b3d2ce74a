"""The folder of stored clips: its entries, its size limit, and the removal of old clips.

    files/ab/<path, size, mtime>       a link whose target is text: "<content> <frames> <seconds> <checksum>"
    times/cd/<content>.npz             time stamps and key frames, of long videos and where times are needed
    raw-128-ffmpeg62/cd/<content>      a video's frames; format, short side, decoder, digest of the video
    raw-128-ffmpeg62/cd/<content>-7    frames 448 to 511 of a long video
    runs/<any name>                    locked by a process that uses the cache, for as long as it lives
    used                               bytes of all stored clips; its lock guards reservation and removal

A clip is named by the content of its video file. So a data set that is copied or mounted elsewhere finds its
frames: its files are read once, not decoded. Every entry carries its source and checksums. One that is
damaged or in the place of another is rebuilt.

When the cache is full, the least recently used clips are removed. Clips used since the oldest living process
began are never removed, because that process may rely on them. If that leaves no room, nothing more is
stored. A process reserves room before it writes. A process that is killed meanwhile has reserved too much,
which is corrected when room gets scarce.
"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import time
import uuid
import warnings
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from ssl_video.data.damage import DamagedError, OutdatedError
from ssl_video.data.frames.formats import FORMATS, StoredClip, pack
from ssl_video.errors import InputError
from ssl_video.files import open_regular, read_bytes, replacing

# Seconds after which an incomplete file is taken to be the remains of a killed process.
_STALE = 24 * 3600
# Seconds until a process that found no room looks for some again: runs end, but searching takes a while.
_PATIENCE = 600.0
# Fraction of the limit to free at once, because every search visits all clips.
_SPARE = 0.05


class CacheFile(NamedTuple):
    """One stored clip's file."""

    used: float  # seconds since 1970
    size: int
    path: Path

    @property
    def setting(self) -> str:
        """Format, short side and decoder, for example "raw-128-ffmpeg62"."""
        return self.path.parts[-3]

    @property
    def content(self) -> str:
        """Digest of the video; the name of a long video's block has its number after it."""
        return self.path.name.partition("-")[0]


class CacheFiles(NamedTuple):
    """Number, bytes and last use of the stored clips of one setting."""

    clips: int
    size: int
    used: float


class FrameCache:
    """Stored clips of one setting, within a size limit for all settings together.

    Args:
        folder: the cache folder, created when needed.
        frame_format: name in FORMATS.
        setting: everything else that determines the pixels, as a part of a folder's name.
        limit: largest size of all stored clips in bytes; 0: nothing is stored. Processes that write at the
            same time may exceed it by the clips that they are writing.
    """

    def __init__(self, folder: Path, frame_format: str, setting: str, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._format, self.setting = FORMATS[frame_format], f"{frame_format}-{setting}"
        self._no_room_until = 0.0
        self._claim: BinaryIO | None = None
        self._told = False

    @property
    def full(self) -> bool:
        """True while it is of no use to offer further clips."""
        return self.limit == 0 or time.monotonic() < self._no_room_until

    def claim(self) -> None:
        """Protect clips used from now on from removal, as long as this process or a fork of it lives.

        A folder that can only be read is used as it is, which is said.

        Raises:
            InputError: there is no such folder, and it cannot be made.
        """
        if self._claim or not self.limit:
            return
        try:
            with self._used():
                runs = self.folder / "runs"
                runs.mkdir(exist_ok=True)
                _oldest_claim(self.folder)  # removes the claims of ended processes
                self._claim = (runs / uuid.uuid4().hex).open("wb")
                fcntl.flock(self._claim, fcntl.LOCK_EX)
        except OSError as error:
            if self.folder.is_dir() and os.access(self.folder, os.R_OK | os.X_OK):
                warnings.warn(
                    f"the frame cache {self.folder} cannot be written ({error.strerror or error}): stored "
                    "clips are read, and others are decoded whenever they are needed; set SSL_VIDEO_CACHE to "
                    "another folder to store them",
                    RuntimeWarning,
                    stacklevel=2,
                )
                self._no_room_until = float("inf")
                return
            raise InputError(
                f"cannot write the frame cache {self.folder}: {error.strerror or error}; set "
                "SSL_VIDEO_CACHE to another folder, or use --cache-gib 0 to decode without a cache"
            ) from None

    def open(self, content: str) -> StoredClip | None:
        """Return a stored clip, or None."""
        try:
            return StoredClip(self._path(content), self._format, f"{self.setting}/{content}")
        except DamagedError as error:
            self._drop(content, error)
        except OSError:
            pass
        return None

    def read(self, content: str, indices: np.ndarray) -> np.ndarray | None:
        """Return frames of a stored clip; None: it is not stored, or was damaged and has been removed.

        A clip that has fewer frames than are wanted is a damaged one.
        """
        clip = self.open(content)
        if clip is None:
            return None
        try:
            with clip:
                return clip.read(indices)
        except (DamagedError, IndexError) as error:
            self._drop(content, error)
        return None

    def _drop(self, content: str, error: Exception) -> None:
        """Remove a clip that cannot be used, and say so once."""
        if not (self._told or isinstance(error, OutdatedError)):
            warnings.warn(
                f"{self._path(content)} in the frame cache is damaged ({error}): it is removed and its video "
                "decoded again, and so are others that are; if there are many, check the disk",
                RuntimeWarning,
                stacklevel=3,
            )
            self._told = True
        self.remove(content)

    def touch(self, content: str) -> bool:
        """Record that a clip is used, and return True if it is stored."""
        path = self._path(content)
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        except OSError:
            # A read-only cache is useful, too.
            return os.path.exists(path)
        return True

    def put(self, content: str, frames: np.ndarray) -> bool:
        """Store a clip's frames, (F, H, W, 3), if there is room, and return True if they are stored.

        A cache that cannot be written any more is no reason to stop: it is reported once.
        """
        if self.full:
            return False
        if self.touch(content):
            return True
        parts = pack(self._format, frames, f"{self.setting}/{content}")
        size = sum(part.nbytes for part in parts)
        try:
            if not self._reserve(size):
                return False
            target = Path(self._path(content))
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                # Durable: otherwise, after a power cut, a file might have its length but not its content.
                with replacing(target) as file:
                    file.writelines(parts)
            except BaseException:
                self._reserve(-size)
                raise
        except OSError as error:
            reason = "no space left" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error
            warnings.warn(
                f"the frame cache {self.folder} stores no more clips ({reason}); they are decoded as needed",
                RuntimeWarning,
                stacklevel=2,
            )
            self._no_room_until = float("inf")
            return False
        return True

    def remove(self, content: str) -> int:
        """Remove a clip from this setting and return the number of bytes freed. Open readers stay valid."""
        path, freed = Path(self._path(content)), 0
        with contextlib.suppress(OSError), self._used() as used:
            freed = path.stat().st_size
            path.unlink()
            used.write(max(used.read() - freed, 0))
        return freed

    def _path(self, content: str) -> str:
        return f"{self.folder}/{self.setting}/{content[:2]}/{content}"

    def _reserve(self, size: int) -> bool:
        with self._used() as used:
            total = used.read()
            if total + size > self.limit and size > 0:
                total = _make_room(self.folder, self.limit, size)
                used.write(total)
                if total + size > self.limit:
                    self._no_room_until = time.monotonic() + _PATIENCE
                    return False
            used.write(max(total + size, 0))
        return True

    def _used(self) -> "contextlib.AbstractContextManager[_Used]":
        self.folder.mkdir(parents=True, exist_ok=True)
        return _locked(self.folder)


class _Used:
    """The bytes of all stored clips, in a file that this process has locked."""

    def __init__(self, file: BinaryIO, folder: Path) -> None:
        self._file, self._folder = file, folder

    def read(self) -> int:
        self._file.seek(0)
        text = self._file.read()
        # New, or truncated by a power cut.
        return int(text) if text.isdigit() else sum(entry.size for entry in entries(self._folder))

    def write(self, size: int) -> None:
        self._file.seek(0)
        # Always the same length, so that no reader sees the rest of a longer number.
        self._file.write(b"%020d" % size)
        self._file.flush()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[_Used]:
    with open_regular(folder / "used", "w+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield _Used(file, folder)


def used(folder: Path) -> int:
    """Return the bytes of all stored clips, as counted by their writers."""
    with contextlib.suppress(OSError, ValueError):
        return int(read_bytes(folder / "used", 64))
    return 0


def entries(folder: Path, *, tidy: bool = True) -> Iterator[CacheFile]:
    """Yield every stored clip of every setting.

    Args:
        folder: the cache folder.
        tidy: remove the incomplete files of killed processes.
    """
    for setting in _listed(folder):
        if re.fullmatch(rf"({'|'.join(FORMATS)})-.+", setting.name):
            for part in _listed(setting.path):
                for file in _listed(part.path):
                    # Another process may have renamed or removed it by now.
                    with contextlib.suppress(OSError):
                        status = file.stat()
                        if not file.name.endswith(".part"):
                            yield CacheFile(status.st_mtime, status.st_size, Path(file.path))
                        elif tidy and time.time() - status.st_mtime > _STALE:
                            os.unlink(file.path)


def survey(found: Iterable[CacheFile]) -> dict[str, CacheFiles]:
    """Summarize the stored clips by setting."""
    summaries: dict[str, CacheFiles] = {}
    for entry in found:
        clips, size, used = summaries.get(entry.setting, CacheFiles(0, 0, 0.0))
        summaries[entry.setting] = CacheFiles(clips + 1, size + entry.size, max(used, entry.used))
    return dict(sorted(summaries.items()))


def clear(folder: Path, contents: Container[str] | None = None) -> None:
    """Remove stored clips of all settings; runs that read them continue, and decode them again.

    Args:
        folder: the cache folder.
        contents: digests of the videos whose clips to remove; None removes all, and the facts about videos.
    """
    if folder.is_dir():
        with _locked(folder) as used:
            found = list(entries(folder))
            gone = [entry for entry in found if contents is None or entry.content in contents]
            total = sum(entry.size for entry in found)
            used.write(_remove(gone, total, float("inf"), goal=-1))
            if contents is None:
                for facts in ("files", "times"):
                    shutil.rmtree(folder / facts, ignore_errors=True)


def _make_room(folder: Path, limit: int, size: int) -> int:
    """Count the stored bytes, remove clips as far as allowed and needed, and return the bytes that remain."""
    found = list(entries(folder))
    total = sum(entry.size for entry in found)
    if total + size <= limit or size > limit:
        return total
    return _remove(found, total, _oldest_claim(folder), goal=limit - max(size, int(_SPARE * limit)))


def _remove(found: list[CacheFile], total: int, before: float, goal: int) -> int:
    for entry in sorted(found):
        if total <= goal or entry.used >= before:
            break
        with contextlib.suppress(OSError):
            entry.path.unlink()
        total -= entry.size
    return total


def _oldest_claim(folder: Path) -> float:
    """Return the time of the oldest claim of a living process, and remove the claims of ended ones."""
    began = float("inf")
    for claim in _listed(folder / "runs"):
        with contextlib.suppress(OSError), open_regular(claim.path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                began = min(began, os.fstat(file.fileno()).st_mtime)
            else:
                os.unlink(claim.path)
    return began


def _listed(folder: str | Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    """Return what is in a folder; nothing if there is none."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []
