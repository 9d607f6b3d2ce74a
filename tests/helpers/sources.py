"""Small made-up sources of data sets. Clips are files of one byte: nothing here is decoded."""

from pathlib import Path

import pytest
from helpers.paths import LISTS

from ssl_video.data.index import Index

needs_lists = pytest.mark.skipif(not LISTS.is_dir(), reason="needs the published lists")

ROWS = (
    "path,label,split,extra",
    "b/1.mp4,B,train,1",
    "a/1.mp4,A,train,0",
    "a/2.mp4,A,test,",
    "b/2.mp4,B,test,x",
    "b/3.mp4,B,,0",
)
FILES = ("a/1.mp4", "a/2.mp4", "b/1.mp4", "b/2.mp4", "b/3.mp4")


def touch(root: Path, *names: str, content: bytes = b"x") -> None:
    """Files with their folders."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def manifest(folder: Path, *lines: str, name: str = "manifest.csv") -> Path:
    """A text file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def parts(index: Index) -> dict[str, str]:
    """The part of each clip."""
    return dict(zip(index.ids.tolist(), index.splits.tolist(), strict=True))
