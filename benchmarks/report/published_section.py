"""Numbers from papers, set apart from ours: they differ in labels, weights, lengths and test views."""

from collections.abc import Iterator

from ssl_video.benchmarks.report.data import ReportData, Section
from ssl_video.benchmarks.report.html import notes, paragraph
from ssl_video.benchmarks.report.html_table import plain_table
from ssl_video.benchmarks.tables import published
from ssl_video.benchmarks.tables.formatting import NO_RUN, written
from ssl_video.figures.drawing import escape


def section(report: ReportData) -> Section | None:
    """Return the section on published results for these data sets and label fractions, with ours below."""
    found = published.beside(report.comparison.columns)
    if found.frame.empty:
        return None
    parts = [paragraph("Context, not a comparison: none of these numbers was produced by this code.")]
    for block in found.blocks:
        head, *rows = zip(*block.words, *block.numbers, strict=True)
        table = plain_table(head, rows, f"published: {block.dataset}")
        parts.append(
            f'<div class="literature"><h3>{escape(block.dataset)}, published top-1 %</h3>{table}</div>'
        )
        parts += _ours(report, block.dataset)
    return Section("literature", "Published numbers", "".join(parts) + notes(found.notes))


def _ours(report: ReportData, dataset: str) -> Iterator[str]:
    """Draw the measured means on a data set, with one column per protocol."""
    compared = report.comparison
    places = [place for place, column in enumerate(compared.columns) if column.dataset == dataset]
    head = ["method", *(compared.columns[place].title.removeprefix(f"{dataset} ") for place in places)]
    rows = [
        [row.label, *(written(cell.score, compared.usual_n) if cell else NO_RUN for cell in cells)]
        for row in compared.rows
        if any(cells := [row.cells[place] for place in places]) and not row.network
    ]
    yield f"<h3>{escape(dataset)}, measured here</h3>"
    yield plain_table(head, rows, f"measured: {dataset}")
