"""The cache folder, for everything that can be regenerated."""

import os
from pathlib import Path

import platformdirs

CACHE = "SSL_VIDEO_CACHE"


def cache_dir() -> Path:
    """Return the folder of rendered clips and decoded frames: SSL_VIDEO_CACHE or the user's cache folder."""
    given = os.environ.get(CACHE)
    return Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("ssl-video"))
