"""Known facts of video files: a digest of their content, and their number of frames.

They are stored in files/ of the frame cache, as links whose target is text: "<content> <frames>". Links are
named by path, size and modification time, so that a lookup costs no more than one stat call.
"""

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Video(NamedTuple):
    """The digest of a video file's content, and the number of its frames."""

    content: str
    frames: int


def find(folder: Path, path: str) -> Video | None:
    """Return the known facts of a video file, if its path, size and modification time are unchanged."""
    with contextlib.suppress(OSError, ValueError):
        content, frames = os.readlink(_link(folder, path)).split()
        return Video(content, int(frames))
    return None


def contents(folder: Path, paths: Iterable[str]) -> list[str]:
    """Return the content digests of those video files that are known."""
    return [video.content for path in paths if (video := find(folder, path))]


def note(folder: Path, path: str, video: Video) -> None:
    """Store the facts of a video file; if that fails, they are determined again next time."""
    with contextlib.suppress(OSError):
        link = _link(folder, path)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        # Creating a link is atomic, and a target of up to 59 bytes takes no block of the disk.
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
    """Return the digest of a file's content: 32 hex digits.

    Raises:
        OSError: the file cannot be read.
    """
    content = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            content.update(block)
    return content.hexdigest()[:32]
