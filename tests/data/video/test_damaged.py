"""Damaged files: no crash and no hang, and frames by index are those of a full decode, or there is a reason.

SSL_VIDEO_DAMAGED says how many variants are made (500 take some minutes, most of them for real clips).
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import FIXTURES
from helpers.videos import KINDS, encode

from ssl_video.data.video.container import DecodeError
from ssl_video.data.video.decode import count, decode, read
from ssl_video.data.video.examine import examine
from ssl_video.data.video.probe import Facts, probe

VARIANTS = int(os.environ.get("SSL_VIDEO_DAMAGED", "48"))
MADE = ("h264", "h264, open groups", "h264, transport stream", "mpeg4", "mpeg4, B-frames", "mpeg2", "vp9")
SECONDS = 60.0
DIFFERENT = "frames by index differ from a full decode"


def cut(content: bytes, generator: np.random.Generator) -> bytes:
    return content[: generator.integers(0, len(content))]


def headless(content: bytes, generator: np.random.Generator) -> bytes:
    return content[generator.integers(1, 4096) :]


def flipped(content: bytes, generator: np.random.Generator) -> bytes:
    """With 1 to 30 bits turned around."""
    array = np.frombuffer(content, np.uint8).copy()
    for place in generator.integers(0, len(array), generator.integers(1, 31)):
        array[place] ^= np.uint8(1 << generator.integers(0, 8))
    return array.tobytes()


def zeroed(content: bytes, generator: np.random.Generator) -> bytes:
    """With zeros in up to a fifth of it, as a download leaves that was not finished."""
    start, length = generator.integers(0, len(content)), generator.integers(1, len(content) // 5)
    return content[:start] + bytes(min(length, len(content) - start)) + content[start + length :]


def header_flipped(content: bytes, generator: np.random.Generator) -> bytes:
    """With bits turned around where most containers say what they hold."""
    return flipped(content[:2048], generator) + content[2048:]


DAMAGES = (cut, headless, flipped, zeroed, header_flipped)


def variants(folder: Path) -> Iterator[Path]:
    """Damaged files, as many as are asked for, in turn of every kind of file and damage."""
    files = [encode(folder / f"{number}-{KINDS[kind].name}", KINDS[kind]) for number, kind in enumerate(MADE)]
    if FIXTURES.exists():
        files += sorted(FIXTURES.glob("*.avi")) + sorted(FIXTURES.glob("*.mp4"))
    for number in range(VARIANTS):
        # The numbers of damages and files have no common factor, so that every file meets every damage.
        damage, file = DAMAGES[number % len(DAMAGES)], files[number % len(files)]
        generator = np.random.default_rng(number)
        path = folder / f"{damage.__name__}-{number}-{file.name}"
        path.write_bytes(damage(file.read_bytes(), generator))
        yield path


def compared(path: str) -> Facts:
    """A probe that also reads frames by index, with and without knowing the number of frames."""
    found = probe(path)
    try:
        whole = decode(path, 48)
    except DecodeError as error:
        return found if found.reason and str(error) else Facts(DIFFERENT)
    length = len(whole)
    generator = np.random.default_rng(length)
    for indices in ([length - 1], generator.integers(0, length, 6).tolist(), [length // 2, 0]):
        for known in (0, length):
            if not np.array_equal(read(path, indices, 48, frames=known), whole[indices]):
                return Facts(DIFFERENT)
    same = count(path) == found.frames == length
    return found if same else Facts(DIFFERENT)


@pytest.mark.slow
def test_damaged_files_are_decoded_or_refused(tmp_path: Path) -> None:
    files = list(variants(tmp_path))
    assert len(files) == VARIANTS
    found = {}
    for row, facts in examine(enumerate(map(str, files)), os.cpu_count() or 1, SECONDS, compared):
        found[files[row].name] = facts.reason
    assert found.keys() == {path.name for path in files}
    outcomes = Counter(outcome(reason) for reason in found.values())
    print(*(f"{count:4} {text}" for text, count in outcomes.most_common()), sep="\n")
    bad = {
        name: reason
        for name, reason in found.items()
        if reason.startswith((DIFFERENT, "the decoder crashed", "not decoded within"))
    }
    assert not bad
    # Both happen, or the test says nothing.
    assert 0.1 < outcomes["decoded"] / VARIANTS < 0.9


def outcome(reason: str) -> str:
    """A reason without its numbers."""
    return "".join(letter for letter in reason if not letter.isdigit()).strip() or "decoded"


@pytest.mark.parametrize("kind", MADE)
def test_what_is_compared_is_read_right_when_whole(tmp_path: Path, kind: str) -> None:
    path = encode(tmp_path / KINDS[kind].name, KINDS[kind])
    assert compared(str(path)).reason == ""
