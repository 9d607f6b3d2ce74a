"""Charts of a page as SVG that stands alone: for LaTeX, word processors and drawing programs.

A chart of a page takes its colours, lines and fonts from page.css. Here each element gets them as attributes,
which every reader of SVG knows: black on white, with dashes that tell curves apart in a grey print.
"""

import html
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.etree import ElementTree as ET

from ssl_video.figures.drawing import FONT, WIDTH, number

COLUMN = 89 / 25.4 * 72  # points: width of one column of a journal
PAGE = 183 / 25.4 * 72  # and of two with the gap between them
_EDGE = 3.0  # around a drawing
SMALLEST = 5.0  # points: smallest text that journals print
FAMILY = "Arial, Helvetica, 'Liberation Sans', 'DejaVu Sans', sans-serif"
SVG = "http://www.w3.org/2000/svg"

# Colours of page.css on white, with names for those of no series.
_ACCENT = "#0b5fa5"
_COLOURS = {
    **{"s0": _ACCENT, "s1": "#c8500a", "s2": "#00805f", "s3": "#a3488a"},
    **{"s4": "#94700a", "s5": "#2489bd", "s6": "#5f6670", "s7": "#6b49b5"},
    **{"quiet": "#333333", "accent": _ACCENT},
}
# Of the series, in their order.
_DASHES = ("", "7 3", "2 2.5", "9 3 2 3", "4.5 2", "13 3", "6 2 2 2 2 2", "2 5")
_LINES = {
    "grid": ("#d9d9d9", 0.8),
    "axis": ("#555555", 1.0),
    "zero": ("#000000", 1.0),
    "leader": ("#666666", 0.75),
    "absent": ("#777777", 0.9),
    "frame": ("#999999", 0.8),
}
_FILLS = {"up": _ACCENT, "down": "#b1440e", "heat": _ACCENT}
_TEXTS = {"tick", "label", "name", "small", "onheat"}
# XML has no place for control characters, nor for halves of a pair of code units.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FOUND = re.compile(r'<h([34])>(.*?)</h\1>|<figure class="chart">.*?(<svg.*?</svg>)</figure>', re.DOTALL)


class Chart(NamedTuple):
    """A chart of a page.

    Attributes:
        headings: those it stands under in its section, the outer one first.
        title: its own.
        description: its content in words.
        svg: the drawing, in the classes of page.css.
    """

    headings: tuple[str, ...]
    title: str
    description: str
    svg: str

    @property
    def full_title(self) -> str:
        """The headings above the chart and its own title, each once."""
        return ": ".join(dict.fromkeys([*self.headings, self.title]))


def found(page: str) -> Iterator[Chart]:
    """Find the charts in a part of a page (HTML), in order."""
    headings: dict[str, str] = {}
    for match in _FOUND.finditer(page):
        level, heading, svg = match.groups()
        if svg is None:
            # What stands in a span beside a heading counts runs and steps.
            words = re.sub(r"<span.*?</span>|<[^>]*>", "", heading)
            headings = {one: text for one, text in headings.items() if one < level} | {level: words}
            continue
        root = _parsed(svg)
        title, description = (root.findtext(tag) or "" for tag in ("title", "desc"))
        above = (_clean(html.unescape(words)).strip() for words in headings.values())
        yield Chart(tuple(above), title, description, svg)


def stand_alone(chart: Chart) -> str:
    """Return a chart as an SVG file.

    It is as wide as one column of a journal (89 mm); wider, up to two (183 mm), if its smallest text would
    otherwise be below 5 points. A chart that is narrower in the page is so here, too.
    """
    return joined([chart], chart.full_title, chart.description)


def joined(charts: Sequence[Chart], title: str, description: str, names: Sequence[str] = ()) -> str:
    """Return charts, one below the other, as one SVG file.

    Args:
        charts: at least one.
        title, description: what the file says about itself.
        names: a name above each; none: they have none.
    """
    root = ET.Element("svg", {"xmlns": SVG, "font-family": FAMILY, "font-size": number(FONT)})
    for tag, words in (("title", title), ("desc", description)):
        ET.SubElement(root, tag).text = _clean(words)
    paper = ET.SubElement(root, "rect", {"x": number(-_EDGE), "y": number(-_EDGE), "fill": "#ffffff"})
    width, height = 0.0, 0.0
    for place, chart in enumerate(charts):
        height += FONT if place else 0
        if names:
            where = {"x": "0", "y": number(height + FONT), "fill": "#000000"}
            ET.SubElement(root, "text", where).text = _clean(names[place])
            height += FONT * 1.6
        inside = ET.SubElement(root, "g", {"transform": f"translate(0 {number(height)})"}) if height else root
        drawn = _parsed(chart.svg)
        inside.extend(_flat(drawn))
        wide, high = map(float, drawn.get("viewBox", "").split()[2:])
        width, height = max(width, wide), height + high
    _give_sizes(root, paper, width + 2 * _EDGE, height + 2 * _EDGE)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _give_sizes(root: ET.Element, paper: ET.Element, width: float, height: float) -> None:
    """Set the size in units, and in points: that of a column, or larger for small texts."""
    smallest = min((float(text.get("font-size", FONT)) for text in root.iter("text")), default=FONT)
    unit = min(max(COLUMN / (WIDTH + 2 * _EDGE), SMALLEST / smallest), PAGE / width)
    root.set("width", f"{number(width * unit)}pt")
    root.set("height", f"{number(height * unit)}pt")
    root.set("viewBox", " ".join(map(number, (-_EDGE, -_EDGE, width, height))))
    paper.set("width", number(width))
    paper.set("height", number(height))


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)


def _parsed(svg: str) -> ET.Element:
    return ET.fromstring(_clean(svg))


def _flat(root: ET.Element) -> Iterator[ET.Element]:
    """Return the drawn elements with their looks as attributes, without groups and tooltips."""
    for element in root:
        if element.tag == "g":
            yield from _flat(element)
        elif element.tag not in ("title", "desc"):
            styles = dict(part.split(":") for part in element.attrib.pop("style", "").split(";") if part)
            classes = element.attrib.pop("class", "").split()
            element.attrib |= _text(classes) if element.tag == "text" else _look(classes, styles)
            if "font-size" in styles:
                element.set("font-size", styles["font-size"].removesuffix("px"))
            yield element


def _text(classes: list[str]) -> dict[str, str]:
    unknown = {*classes} - _TEXTS
    if unknown:
        raise KeyError(f"classes of texts without a look on paper: {sorted(unknown)}")
    small = {"font-size": number(FONT - 1)} if "small" in classes else {}
    return {"fill": "#ffffff" if "onheat" in classes else "#000000"} | small


def _look(classes: list[str], styles: dict[str, str]) -> dict[str, str]:
    """Return the attributes of a shape: those of its kind, in the colour of its series."""
    kind, *more = classes
    colours = [_COLOURS[one] for one in more if one in _COLOURS]
    own = colours[0] if colours else "#000000"
    if kind in _FILLS:
        return {"fill": _lighter(_FILLS[kind], float(styles.get("opacity", 1)))}
    if kind == "band":
        return {"fill": own, "fill-opacity": "0.16"}
    if kind == "dot":
        hollow = "hollow" in more
        return {"fill": "#ffffff", **_line(own, 1.75)} if hollow else {"fill": own}
    if kind == "whisker":
        return _line(_lighter(own, 0.6), 1.0) if "faint" in more else _line(own, 2.0)
    if kind == "curve":
        return {"fill": "none", **_line(own, 2.0), "stroke-linejoin": "round"} | _dashed(more)
    return {"fill": "none", **_line(*_LINES[kind])} | ({"stroke-dasharray": "2 3"} if "d2" in more else {})


def _line(colour: str, width: float) -> dict[str, str]:
    return {"stroke": colour, "stroke-width": number(width)}


def _dashed(classes: list[str]) -> dict[str, str]:
    """Return the dashes of a curve: of its own in the first eight, shifted where colours come again."""
    series, lap = (int(next(one for one in classes if one[0] == letter)[1:]) for letter in "sd")
    dashes = _DASHES[(series + 3 * lap) % len(_DASHES)]
    return {"stroke-dasharray": dashes} if dashes else {}


def _lighter(colour: str, opacity: float) -> str:
    """Return the colour that a colour of an opacity has on white: some readers know no opacity."""
    parts = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(255 + (part - 255) * opacity):02x}" for part in parts)
