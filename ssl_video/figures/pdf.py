"""Charts as PDF, drawn by fpdf2 from SVG that stands alone: texts stay texts, fonts are embedded.

Publishers ask for embedded fonts, so they come from this machine. A character that the text font lacks is
drawn in another font that has it; one that none has becomes "?" and is reported.
"""

import importlib.util
import unicodedata
from datetime import datetime, timezone
from pathlib import Path
from xml.etree import ElementTree as ET

from ssl_video.figures import fonts
from ssl_video.figures.paper import SVG

_EXTRA = "pip install 'ssl-video[figures]'"
_STAND_IN = "?"
# Blocks whose letters join or move (of India to Sri Lanka, Tibet and Myanmar, Cambodia): fpdf2 draws the
# texts of an SVG letter by letter, from left to right.
_JOINED = (range(0x0900, 0x0E00), range(0x0F00, 0x10A0), range(0x1780, 0x1800))


def missing() -> str:
    """Return the missing needs of PDF files, as the end of a sentence; "" if there are none."""
    if not importlib.util.find_spec("fpdf"):
        return f"a .pdf needs fpdf2: {_EXTRA}"
    if not _text_font():
        places = ", ".join(map(str, fonts.folders()))
        return f"a .pdf needs a font to embed, and {places} have none: install one, such as DejaVu Sans"
    return ""


def _text_font() -> Path | None:
    return fonts.text_font(fonts.installed(tuple(fonts.folders())))


def drawn(svg: str) -> tuple[bytes, str]:
    """Return an SVG file from `paper` as a PDF file, and the characters that no font here can show.

    `missing` has to be "" before. The same drawing gives the same file.
    """
    from fpdf import FPDF
    from fpdf.svg import SVGObject

    ET.register_namespace("", SVG)
    root = ET.fromstring(svg.encode())
    main = _text_font()
    assert main  # see `missing`
    files = {main: "f0"}
    strange = _set_in_fonts(root, main, files)
    width, height = (float(root.get(side, "").removesuffix("pt")) for side in ("width", "height"))
    document = FPDF(unit="pt", format=(width, height))
    document.set_margin(0)
    document.set_auto_page_break(False)
    # fpdf2 takes this date as "none, so that files are the same".
    document.set_creation_date(datetime(1970, 1, 1, tzinfo=timezone.utc))
    for file, family in files.items():
        document.add_font(family, fname=file)
    texts = {tag: root.find(f"{{{SVG}}}{tag}") for tag in ("title", "desc")}
    for child in texts.values():
        if child is not None:
            root.remove(child)
    words = {tag: (child.text or "") if child is not None else "" for tag, child in texts.items()}
    document.set_title(words["title"])
    document.set_subject(words["desc"])
    document.set_creator("ssl-video")
    document.add_page()
    document.set_font("f0", size=10)
    SVGObject(ET.tostring(root, encoding="unicode")).draw_to_page(document, 0, 0)
    return bytes(document.output()), strange


def _set_in_fonts(root: ET.Element, main: Path, files: dict[Path, str]) -> str:
    """Divide each text into stretches of one font, adding to `files`; return the characters of none."""
    texts = list(root.iter(f"{{{SVG}}}text"))
    for element in texts:
        element.text = unicodedata.normalize("NFC", element.text or "")
    every = "".join(sorted({one for element in texts for one in element.text or ""} - {" "}))
    plain = "".join(one for one in every if not _moves(one))
    chosen = fonts.covering(plain, main, fonts.installed(tuple(fonts.folders())))
    for element in texts:
        runs = list[tuple[Path, str]]()
        for one in element.text or "":
            font = chosen.get(one, main)
            if one != " " and one not in chosen:
                one = _STAND_IN
            if runs and runs[-1][0] == font:
                runs[-1] = font, runs[-1][1] + one
            else:
                runs.append((font, one))
        element.text = None
        for font, words in runs:
            family = files.setdefault(font, f"f{len(files)}")
            ET.SubElement(element, f"{{{SVG}}}tspan", {"font-family": family}).text = words
    return "".join(one for one in every if one not in chosen)


def _moves(letter: str) -> bool:
    """Return whether a letter is written from the right, or changes with its neighbours."""
    return unicodedata.bidirectional(letter) in ("R", "AL") or any(ord(letter) in block for block in _JOINED)
