"""The contents and findings of the page, in a few numbers and sentences."""

from collections.abc import Iterator

from ssl_video.benchmarks.report.data import ReportData, Section
from ssl_video.benchmarks.report.html import notes, paragraph
from ssl_video.benchmarks.tables.comparison import Cell, Comparison
from ssl_video.benchmarks.tables.formatting import written
from ssl_video.figures.drawing import escape

_NAMED = 8  # number of gains that are listed


def section(report: ReportData) -> Section:
    """Return the section with counts and the significant gains."""
    frame, compared = report.frame, report.comparison
    facts = {
        "algorithms": frame["algorithm"].nunique(),
        "methods": sum(not row.network for row in compared.rows),
        "data sets": frame["dataset"].nunique(),
        "protocols": len(compared.columns),
        "runs": len(frame),
        "baseline": compared.baseline,
    }
    shown = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())
    html = f'<dl class="facts">{shown}</dl>' + "".join(map(paragraph, _findings(compared)))
    html += "".join(paragraph(f"{sentence}.") for sentence in report.left_out)
    if report.problems:
        html += paragraph("Results that could not be used:") + notes(report.problems)
    return Section("summary", "In short", html)


def _findings(compared: Comparison) -> Iterator[str]:
    cells = [
        (row.label, column.title, cell)
        for row in compared.rows
        for column, cell in zip(compared.columns, row.cells, strict=True)
        if cell
    ]
    sure = [found for found in cells if compared.differs(found[2].corrected_p)]
    if compared.tests:
        tested = f"Of {compared.tests} gains over {compared.baseline} that can be tested, "
        verb = f"{len(sure) or 'none'} differ{'' if len(sure) > 1 else 's'} from 0 "
        confidence = f"at {100 * compared.confidence:g} % (Holm's correction for all of them)"
        yield f"{tested}{verb}{confidence}{_list(compared, sure)}."
        if len(sure) < compared.tests:
            unsure = "The others may be" if sure else "All may be"
            yield f"{unsure} gains, losses or neither: these runs cannot tell."
    else:
        needed = "a test takes two pairs of runs, each on its own labels"
        yield f"No gain over {compared.baseline} can be tested: {needed}."
    without = sum(not cell.score.known for _, _, cell in cells)
    if without:
        verb = "has" if without == 1 else "have"
        yield f"{without} of {len(cells)} means {verb} no interval: a single run, or runs that are equal."


def _list(compared: Comparison, sure: list[tuple[str, str, Cell]]) -> str:
    several = len(compared.columns) > 1
    named = [
        f"{label} {written(cell.gain.difference, compared.usual_n, '+').replace('-', '−')}"
        + (f" ({title})" if several else "")
        for label, title, cell in sure[:_NAMED]
        if cell.gain
    ]
    more = f" and {len(sure) - _NAMED} more" if len(sure) > _NAMED else ""
    return f": {', '.join(named)}{more}" if named else ""
