"""Types of arguments that are names or places, one or several."""

import os
from collections.abc import Sequence

# A file or a folder.
Place = str | os.PathLike[str]
Names = Place | Sequence[Place]


def listed(names: Names | None) -> list[str]:
    """Return names as a list of texts; None: an empty one."""
    if names is None:
        return []
    return [os.fspath(name) for name in ([names] if isinstance(names, str | os.PathLike) else names)]
