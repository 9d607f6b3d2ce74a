"""The error of a stored file that was changed after it was written, and findings about such files."""

from pathlib import Path
from typing import NamedTuple


class DamagedError(Exception):
    """A stored file with invalid content, which counts as not stored."""


class OutdatedError(DamagedError):
    """A stored file of an older version, which had no checksums; it counts as not stored."""


class Finding(NamedTuple):
    """A damaged file.

    Attributes:
        path: the file.
        reason: the damage.
        remedy: the consequence, and how the file is rebuilt.
    """

    path: Path
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}; {self.remedy}"
