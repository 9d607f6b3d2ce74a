"""Rows of a table of clips to label, and pages with pictures that cost nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ssl_video.annotation import page
from ssl_video.annotation.moving_pictures import COLUMNS, MovingPicture

CLASSES = ("bow", "jump", "wave")
# Names that end an element, a field or a row, turn the text around, or are formulas of a spreadsheet.
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    'a "quoted", name',
    "two\nlines\r\nand more",
    "carriage\rreturn",
    "=cmd|' /C calc'!A0",
    "clip 🦊 \U0001f1e9\U0001f1ea.avi",
    "\u202egpj.exe, שלום",
    "line\u2028separator & 'apostrophe' \\ backslash",
    " spaces \t",
    "$title ${data} &lt;b&gt;",
)


def row(
    path: str, label: str = "", predicted: str = "bow", second: str = "jump", **values: Any
) -> dict[str, Any]:
    """A row, of a clip that the model is not sure of."""
    return {
        "path": path,
        "start": None,
        "end": None,
        "label": label,
        "predicted_label": predicted,
        "probability": 0.512345,
        "second_label": second,
        "second_probability": 1e-05,
        "margin": 0.1,
    } | values


def write(
    folder: Path,
    rows: list[dict[str, Any]],
    classes: tuple[str, ...] = CLASSES,
    films: Sequence[MovingPicture] = (),
) -> str:
    """Write a page whose clips are all one small picture, and return its address.

    Args:
        folder: the page's folder.
        rows: the clips.
        classes: the classes.
        films: other sizes of the moving pictures, which still show that one.
    """
    (folder / page.CLIPS).mkdir()
    names = [f"{number:04}" for number in range(1, len(rows) + 1)]
    sheet = Image.new("RGB", (COLUMNS * 16, 16 * 4))
    for number in range(24):
        sheet.paste((10 * number, 0, 0), (number % COLUMNS * 16, number // COLUMNS * 16, 1000, 1000))
    sheet.save(folder / page.CLIPS / "sheet.webp", lossless=True)
    for name in names:
        for ending in (page.SHEET, page.STILL):
            (folder / page.CLIPS / f"{name}{ending}").hardlink_to(folder / page.CLIPS / "sheet.webp")
    films = films or [MovingPicture(24, 16, 16, 2.5)] * len(rows)
    target = folder / page.PAGE
    target.write_text(page.html(rows, classes, names, films), encoding="utf-8")
    return target.as_uri()
