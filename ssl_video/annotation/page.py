"""The page on which people give labels to clips: a file that a browser opens from the disk.

It needs no server and no network. Labels are kept by the browser, and saved as a table of the same form as
the one that the page was made from.
"""

import base64
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from ssl_video.annotation import moving_pictures
from ssl_video.annotation.columns import COLUMNS, QUALITY
from ssl_video.annotation.moving_pictures import SHEET, STILL, MovingPicture
from ssl_video.data.frames.extent import PICTURE_RATE
from ssl_video.data.importers.labels import NO_LABEL, UNLABELED
from ssl_video.data.progress import Progress
from ssl_video.data.video.container import stop_with
from ssl_video.errors import InputError, counted
from ssl_video.files import replace_text

CLIPS, PAGE = "clips", "index.html"
_THREADS = 8
_SCRIPTS = ("labels.js", "player.js", "page.js", "actions.js")


def write_page(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    report: Progress,
    pictures: float = PICTURE_RATE,
) -> Path:
    """Write a page that asks for the labels of clips, and their moving pictures, and return its path.

    If a row has a label, the page asks whether the labels are right. A clip that cannot be decoded is on the
    page with the reason.

    Args:
        folder: the folder of the page; it is created. An older page in it is replaced.
        rows: a clip each, by column: COLUMNS, and QUALITY if the first row has it; others are not used.
            Start and end are seconds in the file; None and NaN are empty.
        classes: names of the classes.
        report: called with the number of clips done and the total.
        pictures: pictures per second of folders of pictures.

    Raises:
        InputError: there is no row, or the folder cannot be written.
    """
    if not rows:
        raise InputError("there is no clip to label")
    with _refused(folder):
        (folder / CLIPS).mkdir(parents=True, exist_ok=True)
        # It would show the new pictures beside the old names.
        (folder / PAGE).unlink(missing_ok=True)
        names = _names(len(rows))
        _remove_pictures(folder / CLIPS)
        films = list[MovingPicture]()
        for film in _films(folder / CLIPS, names, rows, pictures):
            films.append(film)
            report("drawing clips", len(films), len(rows))
        replace_text(folder / PAGE, html(rows, classes, names, films))
    return folder / PAGE


def html(
    rows: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    names: Sequence[str],
    films: Sequence[MovingPicture],
) -> str:
    """Return the page as HTML.

    Args:
        rows: see `write_page`.
        classes: see `write_page`.
        names: the names of the files of the moving pictures, without their endings.
        films: the moving pictures.
    """
    columns = [*COLUMNS, *([QUALITY] if QUALITY in rows[0] else [])]
    content: dict[str, Any] = {
        "columns": columns,
        "rows": [[_cell(row[column]) for column in columns] for row in rows],
        "classes": list(classes),
    }
    # The browser keeps labels under this key: a page of other clips or classes begins without any.
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
    content |= {
        "key": f"ssl-video labels {key}",
        "refused": sorted(NO_LABEL - set(classes)),
        "removed": next((word for word in (*UNLABELED, *sorted(NO_LABEL)) if word not in classes), ""),
        "sheet_columns": moving_pictures.COLUMNS,
        "films": [
            film._asdict() | {"sheet": f"{CLIPS}/{name}{SHEET}", "still": f"{CLIPS}/{name}{STILL}"}
            for name, film in zip(names, films, strict=True)
        ],
    }
    checked = any(_cell(row["label"]) for row in rows)
    title = f"Check {counted(len(rows), 'label')}" if checked else f"Label {counted(len(rows), 'clip')}"
    style, script = _file("page.css"), "".join(map(_file, _SCRIPTS))
    values = {"title": title, "policy": _policy(style, script), "style": style, "script": script}
    # In JSON, `<` can only be in texts, where no name can end the element around it.
    data = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    return Template(_file("page.html")).substitute(values, data=data)


def _policy(style: str, script: str) -> str:
    """Return the policy that allows the page's own style, script and pictures, and nothing else."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    style_hash, script_hash = (f"'sha256-{value}'" for value in hashes)
    # Browsers do not agree on whether 'self' includes files beside a page from the disk.
    return (
        f"default-src 'none'; style-src {style_hash}; script-src {script_hash}; img-src 'self' file:; "
        "base-uri 'none'; form-action 'none'"
    )


def _cell(value: Any) -> str:
    """Return a value as the text that a CSV file has for it; a number has up to six decimals."""
    if pd.isna(value):
        return ""
    return value if isinstance(value, str) else f"{value:.6f}".rstrip("0").rstrip(".")


def _names(number: int) -> list[str]:
    """Return the names of the files of clips, without their endings: 0001, 0002, ..."""
    return [f"{place:0{max(4, len(str(number)))}}" for place in range(1, number + 1)]


def _films(
    folder: Path, names: Sequence[str], rows: Sequence[Mapping[str, Any]], pictures: float
) -> Iterator[MovingPicture]:
    """Yield the moving pictures of clips, after they are written."""

    def draw(name: str, row: Mapping[str, Any]) -> MovingPicture:
        start, end = (None if pd.isna(row[edge]) else float(row[edge]) for edge in ("start", "end"))
        return moving_pictures.write(folder / name, row["path"], start, end, pictures)

    # PyAV and Pillow work outside Python's global lock.
    stop = threading.Event()
    threads = min(_THREADS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads, initializer=stop_with, initargs=(stop,))
    try:
        yield from pool.map(draw, names, rows)
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _remove_pictures(folder: Path) -> None:
    """Remove the pictures of an older page."""
    for file in folder.iterdir():
        if file.suffix in (SHEET, STILL) and file.stem.isdecimal():
            file.unlink()


@contextmanager
def _refused(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write {folder}: {error.strerror or error}; give another folder with -o"
        ) from None


def _file(name: str) -> str:
    return (resources.files("ssl_video.annotation") / name).read_text(encoding="utf-8")
