"""Known facts of video files: a digest of their content, and their number of frames.

They are stored in files/ of the frame cache, as links whose target is text: "<content> <frames> <seconds>
<checksum>". Links are named by path, size and modification time, so that a lookup costs no more than one stat
call. The checksum is that of name and facts, so a link that is damaged or in another's place is not used.
"""

import contextlib
import errno
import hashlib
import math
import os
import re
import stat
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ssl_video.data.names import is_picture

_CONTENT = re.compile("[0-9a-f]{32}")


class VideoFacts(NamedTuple):
    """Known facts of a video file.

    Attributes:
        content: digest of its content.
        frames: number of its frames.
        seconds: the duration that it states, rounded to milliseconds; 0: it states none.
    """

    content: str
    frames: int
    seconds: float = 0.0


def find(folder: Path, path: str) -> VideoFacts | None:
    """Return the known facts of a video file, if its path, size and modification time are unchanged."""
    with contextlib.suppress(OSError):
        return read(_link(folder, path))
    return None


def read(link: str) -> VideoFacts | None:
    """Return the facts that a link holds; None: it is absent, damaged, or in the place of another."""
    with contextlib.suppress(OSError, ValueError):
        facts, _, checksum = os.readlink(link).rpartition(" ")
        content, frames, seconds = facts.split(" ")
        # The content becomes a part of paths. Nothing outside of the cache, which may be shared, is touched.
        if checksum == _checksum(link, facts) and _CONTENT.fullmatch(content):
            video = VideoFacts(content, int(frames), float(seconds))
            if video.frames > 0 and 0 <= video.seconds < math.inf:
                return video
    return None


def contents(folder: Path, paths: Iterable[str]) -> list[str]:
    """Return the content digests of those video files that are known."""
    return [video.content for path in paths if (video := find(folder, path))]


def note(folder: Path, path: str, video: VideoFacts) -> None:
    """Store the facts of a video file; if that fails, they are determined again next time."""
    with contextlib.suppress(OSError):
        link = _link(folder, path)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        # Creating a link is atomic, and a target of up to 59 bytes takes no block of the disk.
        new = f"{link}.{uuid.uuid4().hex}"
        facts = f"{video.content} {video.frames} {video.seconds:.3f}"
        os.symlink(f"{facts} {_checksum(link, facts)}", new)
        os.replace(new, link)


def _checksum(link: str, facts: str) -> str:
    name = os.path.basename(link)
    return hashlib.sha256(os.fsencode(f"{name} {facts}")).hexdigest()[:8]


def _link(folder: Path, path: str) -> str:
    # Strings, because path objects take several times as long, and data sets are large.
    size, changed = stamp(path)
    text = f"{os.path.abspath(path)}|{size}|{changed}"
    name = hashlib.sha256(os.fsencode(text)).hexdigest()[:32]
    return f"{folder}/files/{name[:2]}/{name}"


def stamp(path: str) -> tuple[int, int]:
    """Return numbers that change with a file or a folder of pictures: size in bytes, and time in nanoseconds.

    Raises:
        OSError: it cannot be read.
    """
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        files = _pictures(path).values()
        return sum(file.st_size for file in files), max(file.st_mtime_ns for file in files)
    return status.st_size, status.st_mtime_ns


def digest(path: str) -> str:
    """Return the digest of a file's content, or of the pictures in a folder: 32 hex digits.

    Raises:
        OSError: a file cannot be read.
    """
    content = hashlib.sha256()
    if os.path.isdir(path):
        for name in sorted(_pictures(path)):
            content.update(os.fsencode(f"{name}|{digest(os.path.join(path, name))}\n"))
        return content.hexdigest()[:32]
    with open(path, "rb") as file:
        while block := file.read(2**20):
            content.update(block)
    return content.hexdigest()[:32]


def _pictures(folder: str) -> dict[str, os.stat_result]:
    """Return the pictures of a folder.

    Raises:
        OSError: it cannot be read, or has none.
    """
    with os.scandir(folder) as entries:
        found = {entry.name: entry.stat() for entry in entries if is_picture(entry.name)}
    if not found:
        raise OSError(errno.ENOENT, "no pictures in this folder", folder)
    return found
