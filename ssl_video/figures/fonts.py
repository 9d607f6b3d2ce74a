"""Fonts of this machine, and the one of them that has a character."""

import os
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

# Names of files, the best first: their widths are those that charts leave room for.
PREFERRED = ("arial", "liberationsans-regular", "dejavusans", "notosans-regular", "helvetica")
_ENDINGS = (".ttf", ".otf", ".ttc")
_TABLES = {"OS/2", "cmap", "head", "hhea", "hmtx", "maxp", "name", "post"}  # read to embed a font
_RESTRICTED = 2  # in a font's table OS/2: it must not be embedded


def folders() -> list[Path]:
    """Return the folders in which systems keep fonts."""
    home = Path.home()
    if sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA", home / "AppData/Local"))
        return [Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts", local / "Microsoft/Windows/Fonts"]
    if sys.platform == "darwin":
        return [home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts")]
    own = os.environ.get("XDG_DATA_HOME") or str(home / ".local/share")
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return [home / ".fonts", *(Path(place, "fonts") for place in (own, *shared.split(":")) if place)]


@lru_cache
def installed(places: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the fonts in folders, `PREFERRED` ones first, then upright ones of sans-serif faces."""
    files = [
        Path(place, name)
        for folder in places
        for place, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(_ENDINGS)
    ]
    return tuple(sorted(files, key=_rank))


def _rank(path: Path) -> tuple[int, int, str]:
    name = path.stem.lower()
    known = PREFERRED.index(name) if name in PREFERRED else len(PREFERRED)
    odd = sum(word in name for word in ("bold", "italic", "oblique", "serif", "mono", "condensed", "light"))
    return known, odd, str(path)


@lru_cache(maxsize=4096)
def characters(font: Path) -> frozenset[int]:
    """Return the code points that a font has outlines for; none: it cannot be read or embedded.

    Of a collection (.ttc) the first font counts.
    """
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(font, lazy=True, fontNumber=0) as opened:
            outlines = "glyf" in opened or "CFF " in opened  # others hold pictures, such as emoji
            if not outlines or not {*opened.keys()} >= _TABLES or opened["OS/2"].fsType & 0xF == _RESTRICTED:
                return frozenset()
            return frozenset(opened.getBestCmap() or ())
    except (TTLibError, OSError, KeyError, ValueError, AssertionError):
        return frozenset()


def text_font(fonts: Iterable[Path]) -> Path | None:
    """Return the first font with letters, digits, a space, and the minus of charts."""
    needed = frozenset(map(ord, " AZaz09±−·×…%"))
    return next((font for font in fonts if needed <= characters(font)), None)


def covering(text: str, main: Path, fonts: Iterable[Path]) -> dict[str, Path]:
    """Return a font for each character of a text that one of the fonts has: the main one where it has it."""
    missing = {one for one in text if ord(one) not in characters(main)}
    chosen = {one: main for one in text if one not in missing}
    for font in fonts:
        if not missing:
            break
        here = {one for one in missing if ord(one) in characters(font)}
        chosen |= dict.fromkeys(sorted(here), font)
        missing -= here
    return chosen
