"""Atomic replacement of files, and reading of text files."""

import errno
import json
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from ssl_video.errors import InputError

_FLAGS = {
    "rb": os.O_RDONLY,
    "r+b": os.O_RDWR,
    "w+b": os.O_RDWR | os.O_CREAT,
    "ab": os.O_WRONLY | os.O_APPEND | os.O_CREAT,
}
_DEEPEST = 100
_DEEP = f"it is nested more than {_DEEPEST} times"


@contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` once it is complete.

    A reader sees the old content or the new one, never a part; an error leaves the old one.

    Args:
        path: the file to replace; its folder must exist.
        durable: wait until the content is on the disk, so that it also survives a power cut.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_text(path: Path, text: str) -> None:
    """Replace a text file in one step."""
    with replacing(path) as file:
        file.write(text.encode())


def read_bytes(path: Path, limit: int = 2**30) -> bytes:
    """Return the content of a file that anybody may have put there: a pipe in its place is not waited for.

    Raises:
        OSError: it cannot be read, is no regular file, or has more than `limit` bytes.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise OSError(errno.EFBIG, f"larger than {limit:,} bytes", str(path))
        return file.read()


def open_regular(path: str | os.PathLike[str], mode: str = "rb") -> BinaryIO:
    """Open a file that anybody may have put there.

    Args:
        path: the file.
        mode: "rb"; "r+b"; "w+b" to change a file or create it, without removing its content; "ab".

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    file = open(regular_descriptor(path, _FLAGS[mode]), mode.replace("w", "r"))  # noqa: SIM115 - returned
    return cast(BinaryIO, file)


def regular_descriptor(path: str | os.PathLike[str], flags: int = os.O_RDONLY) -> int:
    """Open a file that anybody may have put there, with flags of `os.open`, and return its descriptor.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    # Opening a pipe would wait for its other end.
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0), 0o666)
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise OSError(errno.EINVAL, "not a file: a folder, a pipe or a device", str(path))
    return descriptor


@contextmanager
def named_in_utf8(path: str | os.PathLike[str]) -> Iterator[str]:
    """Hold a regular file open, and give a name of it in UTF-8: safetensors opens no other.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    with open_regular(path) as file:
        name = os.fspath(path)
        # Only systems that have /dev/fd have such names.
        yield name if is_utf8(name) else f"/dev/fd/{file.fileno()}"


def is_utf8(name: str) -> bool:
    """Return whether the name of a file can be written as UTF-8; those that `os` gives for others cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse_json(content: bytes | str) -> Any:
    """Return the value of a JSON text, which may come from anybody.

    Raises:
        ValueError: it is not JSON, or nested more than 100 times; other code goes through values recursively.
    """
    try:
        value = json.loads(content)
    except RecursionError:
        raise ValueError(_DEEP) from None
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return value
    raise ValueError(_DEEP)


def read_text(path: Path) -> str:
    """Return a text file's contents, without a byte-order mark.

    Raises:
        InputError: the file is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not a text file in UTF-8 (byte {error.start}): save it as UTF-8"
        ) from error
