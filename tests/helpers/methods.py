"""Names of algorithms by what they do."""

from ssl_video.registry import algorithms


def by_steps() -> list[str]:
    """Return the built-in algorithms that train by steps of an optimizer."""
    return [name for name in algorithms.builtin() if not algorithms.get(name).at_once]  # type: ignore[attr-defined]
