"""The whole page: its parts in order, the list of omitted ones, and the frame around them."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from ssl_video.benchmarks.report import (
    audit,
    compute,
    confusion,
    curves,
    gallery,
    leaderboard_section,
    networks,
    protocols,
    published_section,
    reliability,
    reproducibility,
    summary,
)
from ssl_video.benchmarks.report.data import ReportData, Section
from ssl_video.benchmarks.report.html import notes, paragraph
from ssl_video.errors import InputError, counted
from ssl_video.figures.drawing import escape
from ssl_video.files import replace_text


class Part(NamedTuple):
    """A section that the page has if there is data for it.

    Attributes:
        title: its name in the list of omitted parts.
        make: function that returns the section, or None if its data is absent.
        otherwise: the way to get the data; text without markup.
    """

    title: str
    make: Callable[[ReportData], Section | None]
    otherwise: str = ""


PARTS = (
    Part("summary", summary.section),
    Part("leaderboard", leaderboard_section.leaderboard),
    Part("protocols", protocols.section),
    Part("accuracy per compute", compute.section),
    Part("learning curves", curves.section, "the runs have no metrics.jsonl, as those of an archive"),
    Part(
        "pseudo-label audit",
        audit.section,
        "no method here produces pseudo-labels, or the runs are from a version that did not store them, or "
        "from an archive",
    ),
    Part("class-wise gain", networks.class_gains, "no method here has a second network that was tested"),
    Part("networks under changed time", networks.dynamics, "`ssl-video analyze dynamics` measures it"),
    Part("confusions", confusion.section, "the runs have no predictions.npz"),
    Part("reliability of probabilities", reliability.section, "the runs have no predictions.npz"),
    Part(
        "clips",
        gallery.section,
        "no predictions or pseudo-labels to choose them by, or --no-gallery was given",
    ),
    Part(
        "published numbers",
        published_section.section,
        "benchmarks/published.csv has none for these data sets and fractions of labels",
    ),
    Part("settings", reproducibility.settings),
    Part("labels", reproducibility.partitions),
    Part("commands", reproducibility.commands),
    Part("environment", reproducibility.environments, "runs of an older version did not record it"),
    Part("runs", leaderboard_section.runs),
)
# The page requests nothing from outside, and the browser is told to refuse such requests.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(report: ReportData) -> str:
    """Return the page as HTML, a function of the results alone."""
    return framed(report, *made(report))


def made(
    report: ReportData, step: Callable[[int, int], None] = lambda *_: None
) -> tuple[list[Section], list[Part]]:
    """Make the sections of the page, and return them and the parts without data.

    Args:
        report: the data; at least one run.
        step: called with the number of parts done and the total.
    """
    sections, left_out = list[Section](), list[Part]()
    for number, part in enumerate(PARTS):
        step(number, len(PARTS))
        section = part.make(report)
        if section:
            sections.append(section)
        else:
            left_out.append(part)
    step(len(PARTS), len(PARTS))
    return sections, left_out


def make_folder(folder: Path, flag: str = "-o") -> None:
    """Create the folder of a page if needed, and check that it is writable: the page takes minutes.

    Args:
        folder: the folder.
        flag: the option that names it, for the error's sentence.

    Raises:
        InputError: the folder cannot be created or written to.
    """
    with _refused(folder, flag):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def write(folder: Path, html: str) -> Path:
    """Write the page into an existing folder, in place of an older one.

    Raises:
        InputError: the folder cannot be written to.
    """
    target = folder / "index.html"
    with _refused(target):
        replace_text(target, html)
    return target


@contextmanager
def _refused(place: Path, flag: str = "-o") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {place}: {error.strerror}; give another folder with {flag}") from None


def framed(report: ReportData, sections: Sequence[Section], left_out: Sequence[Part]) -> str:
    """Return the page of sections as HTML, with its contents, and the parts that it leaves out."""
    title = f"Semi-supervised video benchmark: {', '.join(sorted(set(report.frame['dataset'])))}"
    last = str(report.frame["finished"].max()).replace("T", " ").removesuffix("Z")
    contents = "".join(f'<li><a href="#{s.anchor}">{escape(s.title)}</a></li>' for s in sections)
    body = "".join(f'<section id="{s.anchor}"><h2>{escape(s.title)}</h2>{s.html}</section>' for s in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escape(title)}</title>\n<style>{_file('page.css')}</style>"
        # Before anything is shown, so that controls which need scripts do not shift existing content.
        "<script>document.documentElement.classList.add('js')</script></head>\n"
        f'<body><div class="page"><header><h1>{escape(title)}</h1>'
        f'<p class="soft">{counted(len(report.frame), "finished run")}, the last of {escape(last)} UTC, '
        f"made by ssl-video from their records</p></header>"
        f'<nav class="contents" aria-label="contents"><ol>{contents}</ol></nav>\n<main>{body}</main>\n'
        f"<footer>{_left_out(left_out)}{_damaged(report)}</footer></div>\n<script>{_file('page.js')}</script></body></html>\n"
    )


def _left_out(parts: Sequence[Part]) -> str:
    if not parts:
        return ""
    heading = paragraph("Parts left out, because these runs have no data for them:")
    return heading + notes(f"{part.title}: {part.otherwise}" for part in parts)


def _damaged(report: ReportData) -> str:
    """List the damaged files."""
    if not report.damaged:
        return ""
    heading = paragraph("Files left out, so that some parts cover fewer runs:")
    return heading + notes(report.damaged)


def _file(name: str) -> str:
    return (resources.files("ssl_video.benchmarks.report") / name).read_text(encoding="utf-8")
