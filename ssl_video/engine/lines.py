"""Lines of JSON, one a step, in a file that a killed run cuts back to where its checkpoint was made."""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ssl_video.files import replace_text


class Lines:
    """A file of lines, each an object with a "step".

    A resumed run drops the lines of later steps, so that the file ends up as if it had never stopped.

    Args:
        path: the file; made when it is first written to.
        start: the first step that will be written.
        main: whether this process writes; the others do nothing.
    """

    def __init__(self, path: Path, start: int, main: bool) -> None:
        self.path, self.main = path, main
        if main and path.exists():
            replace_text(path, "".join(_before(start, path)))

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows, and wait until they are on the disk."""
        if self.main:
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
                file.flush()
                os.fsync(file.fileno())


def _before(start: int, path: Path) -> list[str]:
    """The lines of steps before `start`, without one that was cut off when its writer was killed."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        with contextlib.suppress(ValueError):
            if json.loads(line)["step"] < start:
                kept.append(line)
    return kept
