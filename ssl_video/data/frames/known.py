"""What is known of video files: a digest of their content, and how many frames they have.

It is kept in files/ of the frame cache, as links whose target is text: "<content> <frames>". They are named
by path, size and time of change, so that a look costs no more than finding out whether the file changed.
"""

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Video(NamedTuple):
    """What is known of a video file: the digest of its content, and the number of its frames."""

    content: str
    frames: int


def find(folder: Path, path: str) -> Video | None:
    """What is known of a video file, if it is still the same by path, size and time of change."""
    with contextlib.suppress(OSError, ValueError):
        content, frames = os.readlink(_link(folder, path)).split()
        return Video(content, int(frames))
    return None


def contents(folder: Path, paths: Iterable[str]) -> list[str]:
    """Digests of the content of those video files that are known."""
    return [video.content for path in paths if (video := find(folder, path))]


def note(folder: Path, path: str, video: Video) -> None:
    """Keep what is known of a video file; where that fails it is found out again next time."""
    with contextlib.suppress(OSError):
        link = _link(folder, path)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        # A link is made whole or not at all, and up to 59 bytes take no block of the disk.
        new = f"{link}.{uuid.uuid4().hex}"
        os.symlink(f"{video.content} {video.frames}", new)
        os.replace(new, link)


def _link(folder: Path, path: str) -> str:
    # Strings, because path objects take several times as long, and data sets are large.
    status = os.stat(path)
    text = f"{os.path.abspath(path)}|{status.st_size}|{status.st_mtime_ns}"
    name = hashlib.sha256(os.fsencode(text)).hexdigest()[:32]
    return f"{folder}/files/{name[:2]}/{name}"


def digest(path: str) -> str:
    """Digest of a file's content: 32 hex digits.

    Raises:
        OSError: it cannot be read.
    """
    content = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            content.update(block)
    return content.hexdigest()[:32]
