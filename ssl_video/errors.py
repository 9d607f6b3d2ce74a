"""User-fixable errors, shown without a traceback."""

import difflib
import pickle
import reprlib
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence

_LONGEST = 200  # characters of a name that may have been meant as another
# Writes a few items of a few levels of containers, which may hold themselves or each other many times.
_WRITER = reprlib.Repr()
_WRITER.maxlevel, _WRITER.maxlist, _WRITER.maxtuple, _WRITER.maxdict, _WRITER.maxset = 3, 6, 6, 6, 6
_WRITER.maxstring = _WRITER.maxother = _WRITER.maxlong = 1000

# Exceptions that torch.load and zipfile raised on some thousands of damaged files.
DAMAGED = (
    OSError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)
# Besides these, those of numpy for damaged arrays and their headers.
DAMAGED_ARRAYS = (*DAMAGED, zlib.error, NotImplementedError, tokenize.TokenError, SyntaxError, MemoryError)


class InputError(Exception):
    """Unusable input from the user. Holds every problem found, not only the first one."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    @classmethod
    def unknown(cls, kind: str, name: str, known: Iterable[str]) -> "InputError":
        """Return the error for a name that does not exist; it says the nearest names that do."""
        return cls(unknown(kind, name, known))


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Return a message for a name that does not exist, with the nearest names that do."""
    known = sorted(known)
    near = nearest(name, known)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known) or 'none'}"
    return f"unknown {kind} {shortened(name)}; {hint}"


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three known names that may have been meant, the likeliest first."""
    if len(name) > _LONGEST:
        return []  # comparing takes time that grows with the square of the length
    return difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)


def counted(number: int, noun: str, verb: str = "") -> str:
    """Return a number with its noun, and a verb that agrees: "1 run", "1 class has", "2 classes have"."""
    if number != 1:
        noun += "es" if noun.endswith("s") else "s"
    elif verb:
        verb = {"have": "has", "are": "is"}.get(verb, f"{verb}s")
    return f"{number:,} {noun} {verb}".rstrip()


def shortened(value: object, limit: int = 100) -> str:
    """Return a value as Python writes it, cut off for a message; no large container is written out."""
    text = value[: limit + 1] if isinstance(value, str | bytes) else value
    if isinstance(value, int) and value.bit_length() > 4 * limit:
        return f"a number of about {round(value.bit_length() * 0.30103):,} digits"  # log10(2)
    shown = _WRITER.repr(text)
    return shown if len(shown) <= limit else f"{shown[:limit]}…"


def some(names: Sequence[str] | Sequence[int], limit: int = 5) -> str:
    """Return the first few of many names, for a message."""
    first = ", ".join(repr(name) for name in names[:limit])
    return first + (f", ... ({len(names)} in all)" if len(names) > limit else "")


def left_out(reasons: Mapping[str, str]) -> list[str]:
    """Return a sentence for each reason, with all files that were left out for it.

    Args:
        reasons: the reason of each file, by its name.
    """
    files = dict[str, list[str]]()
    for name, reason in reasons.items():
        files.setdefault(reason, []).append(name)
    return [f"{_these(names)} left out: {reason}" for reason, names in files.items()]


def _these(files: Sequence[str]) -> str:
    """Return files as the subject of a sentence: "a is", "a and b are", "a and 9 others are"."""
    first, *others = files
    if not others:
        return f"{first} is"
    return f"{first} and {others[0] if len(others) == 1 else f'{len(others)} others'} are"
