"""Keep the registries of algorithms and backbones as they are."""

import contextlib
import sys
from collections.abc import Iterator

from ssl_video.registry import algorithms, backbones


@contextlib.contextmanager
def unchanged_registries() -> Iterator[None]:
    """Remove what is registered meanwhile, so that the next may use its names, and files are read again."""
    before = [(known, dict(known._entries), dict(known._origins)) for known in (algorithms, backbones)]
    modules = set(sys.modules)
    yield
    for known, entries, origins in before:
        ours = set(known.builtin())  # their modules are imported once
        for name in set(known._entries) - set(entries) - ours:
            del known._entries[name]
        for name in set(known._origins) - set(origins) - ours:
            del known._origins[name]
    for name in set(sys.modules) - modules:
        if name.startswith("ssl_video_plugin_"):
            del sys.modules[name]
