"""Arguments that take one name or several."""

from collections.abc import Sequence

Names = str | Sequence[str]


def listed(names: Names | None) -> list[str]:
    """Return names as a list; None: an empty one."""
    return [names] if isinstance(names, str) else list(names or ())
