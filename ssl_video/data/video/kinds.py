"""Kinds of files that are opened as videos, and those that often stand under a video's name.

FFmpeg also opens playlists, lists of files, scripts and addresses, which name further files or never end.
Only containers that hold their video themselves are on this list.
"""

import os
import stat
from pathlib import Path

# FFmpeg's names of the formats that may be opened.
FORMATS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "asf", "flv", "live_flv", "ogg"),
    *(
        "mpeg",
        "mpegts",
        "mpegtsraw",
        "mpegvideo",
        "mxf",
        "nut",
        "nsv",
        "rm",
        "dv",
        "wtv",
        "ivf",
        "gif",
        "gxf",
    ),
    *("h261", "h263", "h264", "hevc", "vvc", "av1", "obu", "m4v", "mjpeg", "mjpeg_2000", "vc1", "vc1test"),
    *("apng", "yuv4mpegpipe", "amv", "ifv", "dhav", "swf", "pva", "smjpeg", "mpjpeg", "avs", "nuv", "dnxhd"),
    *("dirac", "cavsvideo", "avs2", "avs3", "flic", "film_cpk", "bink", "smk", "roq", "mlv", "cine", "ser"),
)
# The first bytes of other files, such as a page that says "not found".
_OTHERS = {
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"<smoothstreamingmedia": "a list of streams (Smooth Streaming)",
    b"<mpd": "a playlist (DASH)",
    b"<?xml": "XML",
    b"#extm3u": "a playlist (HLS)",
    b"[playlist]": "a playlist",
    b"ffconcat": "a list of files (concat)",
    b"v=0": "a description of a stream (SDP)",
    b"{": "JSON",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x89png": "a PNG picture",
    b"pk\x03\x04": "a ZIP archive",
    b"rar!": "a RAR archive",
    b"\x1f\x8b": "a gzip archive",
    b"%pdf": "a PDF document",
    b"version https://git-lfs": "a Git LFS pointer",
}
_HEAD = 4096


def not_a_file(path: str | Path) -> str:
    """Return why a path is no file with an end, such as a pipe or a device; "" if it is one, or absent."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return ""  # FFmpeg names the reason
    return "" if stat.S_ISREG(mode) else "not a file: a folder, a pipe or a device"


def real_kind(path: str | Path, reason: str) -> str:
    """Return a reason, extended by the file's real kind if its first bytes reveal it."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return reason
    if head and not head.strip(b"\0"):
        return f"begins with {len(head)} zero bytes: {reason}"
    # XML says in its first line that it is XML, and only then of which kind.
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"<?xml") and b"<mpd" in start:
        start = b"<mpd"
    for first, kind in _OTHERS.items():
        if start.startswith(first):
            return f"no video, but {kind}: {reason}"
    return reason
