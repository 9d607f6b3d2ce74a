"""Names of clips without folders and extension, column-wise, and their hashes."""

import re

import numpy as np
import pyarrow.compute as pc

from ssl_video.data.columns import Strings
from ssl_video.data.names import EXTENSIONS

_AROUND = rf"(?s)^.*/|(?i:{'|'.join(map(re.escape, sorted(EXTENSIONS)))})$"
_MASKS = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)  # for the first bytes of a word
_CHUNK = 1 << 18  # strings at a time, so that intermediate results fit into the processor's cache


def stems(paths: Strings) -> Strings:
    """Return `names.stem` of each path."""
    return Strings(pc.replace_substring_regex(paths.values, _AROUND, ""))


def hashes(texts: Strings, seeds: np.ndarray) -> np.ndarray:
    """Hash each string to a number, the same on every machine and in every version of every library.

    The string's bytes are read as little-endian words of eight, the last one padded with zeros. The number
    starts as mix(seed xor bytes) and becomes mix(number xor word) for each word, where mix is the
    output function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).

    Args:
        texts: (N,) strings.
        seeds: (N,) uint64.

    Returns:
        (N,) uint64.
    """
    numbers = np.empty(len(texts), np.uint64)
    for first in range(0, len(texts), _CHUNK):
        part = slice(first, first + _CHUNK)
        numbers[part] = _hashes(*_bytes(texts[part]), seeds[part])
    return numbers


def _hashes(words: np.ndarray, starts: np.ndarray, lengths: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    numbers = _mix(seeds ^ lengths.astype(np.uint64))
    for done in range(0, int(lengths.max(initial=0)), 8):
        rows = np.flatnonzero(lengths > done)
        mask = _MASKS[np.minimum(lengths[rows] - done, 8)]
        numbers[rows] = _mix(numbers[rows] ^ (words[starts[rows] + done] & mask))
    return numbers


def _bytes(texts: Strings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the word that starts at each byte of the text, and the starts and lengths of strings."""
    values = texts.values
    _, offsets, text = values.buffers()
    ends = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    content = np.frombuffer(text, np.uint8)[ends[0] : ends[-1]] if text is not None else np.empty(0, np.uint8)
    padded = np.concatenate([content, np.zeros(8, np.uint8)])
    words: np.ndarray = np.ndarray(len(padded) - 7, "<u8", padded, strides=(1,))
    return words, ends[:-1] - ends[0], np.diff(ends)


def _mix(numbers: np.ndarray) -> np.ndarray:
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = numbers ^ (numbers >> np.uint64(31))
    return mixed
