"""Damage to files, drawn by hypothesis: few examples, or as many as SSL_VIDEO_EXAMPLES says."""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FEW = settings(
    max_examples=int(os.environ.get("SSL_VIDEO_EXAMPLES", "40")),
    deadline=None,
    derandomize="SSL_VIDEO_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@st.composite
def damages(draw: st.DrawFn, content: bytes) -> bytes:
    """Content with a bit flipped, cut off, a part lost, doubled or overwritten; never the content itself."""
    place = draw(st.integers(0, len(content) - 1))
    end = draw(st.integers(place + 1, min(len(content), place + 64)))
    part = content[place:end]
    kind = draw(st.sampled_from(["flip", "cut", "lose", "double", "zero", "noise"]))
    if kind == "flip":
        part = bytes([part[0] ^ (1 << draw(st.integers(0, 7)))]) + part[1:]
    if kind == "cut":
        return content[:place]
    replaced = {
        "flip": part,
        "lose": b"",
        "double": part * 2,
        "zero": bytes(len(part)),
        "noise": draw(st.binary(min_size=len(part), max_size=len(part))),
    }[kind]
    found = content[:place] + replaced + content[end:]
    return found if found != content else content[:-1]
