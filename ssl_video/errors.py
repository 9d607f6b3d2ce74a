"""Errors that are the user's to mend: they are shown without a traceback."""

import difflib
import pickle
import struct
import zipfile
from collections.abc import Iterable, Sequence

# What torch.load and zipfile were seen to raise on some thousands of damaged files.
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


class InputError(Exception):
    """Something the user gave cannot be used. Holds every problem found, not only the first one."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """A sentence for a name that does not exist, with the nearest names that do."""
    known = sorted(known)
    near = nearest(name, known)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known) or 'none'}"
    return f"unknown {kind} {name!r}; {hint}"


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Up to three known names that may have been meant, the likeliest first."""
    return difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)


def some(names: Sequence[str] | Sequence[int], limit: int = 5) -> str:
    """The first few of many names, for a message."""
    first = ", ".join(repr(name) for name in names[:limit])
    return first + (f", ... ({len(names)} in all)" if len(names) > limit else "")
