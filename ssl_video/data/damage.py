"""The error of a stored file that was changed after it was written."""


class DamagedError(Exception):
    """A stored file with invalid content, which counts as not stored."""


class OutdatedError(DamagedError):
    """A stored file of an older version, which had no checksums; it counts as not stored."""
