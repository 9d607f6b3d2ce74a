"""A file system of a few MiB, for what happens when a disk is full."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_PAGE = 4096


@contextlib.contextmanager
def small_disk(folder: Path, size: int = 2**25) -> Iterator[None]:
    """Mount a file system of `size` bytes in a folder; the test is skipped where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform != "linux" or shutil.which("mount") is None:
        pytest.skip("there is no tmpfs here")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting needs rights that this user does not have")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, room: int) -> Path:
    """Fill the disk of a folder but for some bytes, and return the file that fills it."""
    other = folder / "other-data"
    disk = os.statvfs(folder)
    other.write_bytes(bytes(disk.f_bavail * disk.f_frsize - room))
    disk = os.statvfs(folder)
    assert disk.f_bavail * disk.f_frsize <= room + _PAGE
    return other
