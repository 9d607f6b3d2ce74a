"""JSON-lines log with one record per step; on resume it is truncated to the last checkpoint."""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ssl_video.files import replace_text


class ResumableLines:
    """A file of JSON lines, each an object with a "step".

    A resumed run drops the lines from its first step on, so the file ends up as in an uninterrupted run.

    Args:
        path: the file; created by the first write.
        start: the first step to write.
        main: whether this process writes; the others do nothing.
    """

    def __init__(self, path: Path, start: int, main: bool) -> None:
        self.path, self.main = path, main
        if main and path.exists():
            replace_text(path, "".join(_before(start, path)))

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows, and wait until they are on the disk."""
        if self.main:
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
                file.flush()
                os.fsync(file.fileno())


def _before(start: int, path: Path) -> list[str]:
    """Return the lines of steps before `start`, without a line truncated by a killed writer."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        with contextlib.suppress(ValueError):
            if json.loads(line)["step"] < start:
                kept.append(line)
    return kept
