"""Information in the names of video files and their folders."""

import functools
import os
import re

# Of the containers that FFmpeg opens, those that hold videos.
EXTENSIONS = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".asf", ".flv", ".f4v"),
        *(".ts", ".mts", ".m2ts", ".3gp", ".3g2", ".ogv", ".vob", ".mxf", ".divx", ".gif", ".y4m", ".mjpeg"),
    }
)
ENDING = "|".join(map(re.escape, sorted(EXTENSIONS)))  # for regular expressions
VIDEO = rf"(?i:{ENDING})$"  # the end of a video's name
# A folder of such files is a clip.
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
# UCF-101 and its relatives: v_<class>_g<source video>_c<clip>
UCF_NAME = r"(?P<group>v_(?P<label>[^/]+)_g\d+)_c\d+"


@functools.cache
def key(name: str) -> str:
    """Return a key that is equal for variants of a name.

    Kinetics' "air drumming" is also "air_drumming", UCF's "HandstandPushups" also "HandStandPushups".
    """
    return re.sub(r"[\W_]", "", name).casefold()


def is_video(name: str) -> bool:
    """Return whether a file's name is that of a video."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def is_picture(name: str) -> bool:
    """Return whether a file's name is that of a picture; hidden files are none."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in PICTURES


def folder(path: str) -> str:
    """Return the name of a file's folder; empty if there is none."""
    return path.split("/")[-2] if "/" in path else ""


def stem(path: str) -> str:
    """Return a file's name without the extension of a video."""
    name = path.rsplit("/", 1)[-1]
    start, extension = os.path.splitext(name)
    return start if extension.lower() in EXTENSIONS else name
