"""The charts of the page as files for papers, and their list."""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ssl_video.benchmarks.report.data import Section
from ssl_video.errors import InputError
from ssl_video.figures import files, paper, pdf
from ssl_video.figures.paper import Chart
from ssl_video.files import replace_text

INDEX = "index.csv"
_LONGEST = 100  # characters of a file's name


class NamedChart(NamedTuple):
    """A chart with the name of its files, without an ending, and the title of its section."""

    file: str
    section: str
    chart: Chart


def named(sections: Sequence[Section]) -> Iterator[NamedChart]:
    """Return the charts of sections in order, with names that no other one has.

    A name has lower-case letters of ASCII, digits and hyphens: it is safe in LaTeX and on every system.
    Equal names are numbered from the second on. They do not depend on the charts of other sections.
    """
    taken = set[str]()
    for section in sections:
        for chart in paper.found(section.html):
            stem = _slug(" ".join([section.anchor, *chart.headings, chart.title]))
            name, number = stem, 1
            while name in taken:
                number += 1
                name = f"{stem}-{number}"
            taken.add(name)
            yield NamedChart(name, section.title, chart)


def _slug(words: str) -> str:
    spelled = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    made = re.sub("[^a-z0-9]+", "-", spelled).strip("-")
    return made if len(made) <= _LONGEST else made[:_LONGEST].rsplit("-", 1)[0].strip("-")


def write(
    folder: Path, sections: Sequence[Section], step: Callable[[int, int], None] = lambda *_: None
) -> list[str]:
    """Write every chart of sections as .svg and, if it can be made here, as .pdf, and index.csv.

    Args:
        folder: an existing folder; files of these names are replaced.
        sections: those of a page.
        step: called with the number of charts done and the total.

    Returns:
        Sentences on the files that are absent, and on characters that are not shown.

    Raises:
        InputError: a file cannot be written.
    """
    charts, strange = list(named(sections)), set[str]()
    lacking = pdf.missing()
    for number, (name, _, chart) in enumerate(charts):
        step(number, len(charts))
        svg = paper.stand_alone(chart)
        for ending in (".svg",) if lacking else files.ENDINGS:
            strange |= {*files.write(folder / f"{name}{ending}", svg)}
    step(len(charts), len(charts))
    try:
        replace_text(folder / INDEX, _index(charts))
    except OSError as error:
        raise InputError(f"cannot write {folder / INDEX}: {error.strerror or error}") from None
    notes = [f"{folder} has .svg files only: {lacking}"] if lacking else []
    return [*notes, *([files.unshown("".join(sorted(strange)))] if strange else [])]


def _index(charts: Sequence[NamedChart]) -> str:
    made = io.StringIO()
    table = csv.writer(made, lineterminator="\n")
    table.writerow(["file", "section", "title", "description"])
    for name, section, chart in charts:
        table.writerow([name, section, chart.full_title, chart.description])
    return made.getvalue()
