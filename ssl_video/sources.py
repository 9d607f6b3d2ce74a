"""The source of classes and functions, which distinguishes runs of a user's own code."""

import inspect
import linecache
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any


def file_text(entry: Callable[..., Any]) -> str:
    """Return the text of the file that defines an entry."""
    return Path(inspect.getfile(entry)).read_text(encoding="utf-8")


class SourceTexts:
    """Sources of the classes and functions of this Python session.

    The source of a class includes its base classes in user code. In a notebook it is the text of the cell.
    Functions that a class calls are not included.
    """

    def __init__(self) -> None:
        self._tokens: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

    def text(self, entry: Callable[..., Any]) -> str:
        """Return the source; if it cannot be read, a text that is unique to this session and entry."""
        texts = [_text(part) for part in _parts(entry)]
        known = [text for text in texts if text is not None]
        if len(known) == len(texts):
            return "\0".join(known)
        return self._tokens.setdefault(entry, uuid.uuid4().hex)

    def is_readable(self, entry: Callable[..., Any]) -> bool:
        """Return whether the source can be read; that of code piped into Python cannot."""
        return all(_text(part) is not None for part in _parts(entry))


def _parts(entry: Callable[..., Any]) -> list[Any]:
    """Return an entry and its base classes in user code."""
    if not inspect.isclass(entry):
        return [entry]
    return [
        cls for cls in entry.__mro__ if cls.__module__.split(".")[0] not in ("ssl_video", "torch", "builtins")
    ]


def _text(part: Any) -> str | None:
    try:
        return inspect.getsource(part)
    except (OSError, TypeError):
        pass
    # Up to Python 3.12, inspect searches the file of a class's module, and a notebook has none. The code
    # objects of its methods name the cell.
    own = vars(part).values() if inspect.isclass(part) else [part]
    files = {code.co_filename for value in own if (code := getattr(inspect.unwrap(value), "__code__", None))}
    lines = [line for file in sorted(files) for line in linecache.getlines(file)]
    return "".join(lines) or None
