"""What a frame store is asked for, what it keeps, and what it has to decode for that."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssl_video.data.frames import store
from ssl_video.data.frames.cache import entries

SIZE = 10 * 16 * 16 * 3 + 56 + 40  # of a clip of the fixture `videos`, with header and checksums
EVERY = np.arange(10)
SOME = np.array([7, 0, 0, 9])


class Spy:
    """What the store had decoded, by the names of files: whole, in part, or only to count frames."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: dict[str, list[str]] = {}
        for name in ("decode", "read", "count"):
            self.calls[name] = []
            patch.setattr(store.decode, name, self._noting(name, getattr(store.decode, name)))

    def _noting(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        def noted(path: str, *arguments: object, **named: object) -> object:
            self.calls[name].append(Path(path).stem)
            return call(path, *arguments, **named)

        return noted

    def seen(self) -> dict[str, str]:
        """Names by kind of call, sorted; calls are forgotten."""
        found = {name: "".join(sorted(paths)) for name, paths in self.calls.items() if paths}
        for paths in self.calls.values():
            paths.clear()
        return found


def stored(folder: Path) -> list[Path]:
    """Files of the clips in a cache's folder."""
    return sorted(entry.path for entry in entries(folder))
