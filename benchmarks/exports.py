"""A comparison as Markdown, LaTeX, CSV or JSON."""

import csv
import io
import json
import math
import re
from collections.abc import Callable
from itertools import groupby
from typing import Any

from ssl_video.benchmarks.compare import COLUMN_KEYS, METHOD_KEYS, Cell, Comparison, Row
from ssl_video.benchmarks.numbers import EMPTY, NO_RUN, parts, written
from ssl_video.benchmarks.statistics import Interval

# One record a cell; the columns of the CSV, which stay as they are from version to version.
FIELDS = (
    *("method", *METHOD_KEYS, "network", *COLUMN_KEYS, "marks", "mean", "half_width", "n", "draws"),
    *("gain", "gain_half_width", "gain_n", "wins", "ties", "losses", "p", "corrected_p"),
    *("baseline", "confidence"),
)
_LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--"},
}


def to_markdown(comparison: Comparison) -> str:
    """A GitHub table with a column of scores and one of gains for each set of labels."""
    if not comparison.rows:
        return EMPTY + "\n"
    usual = comparison.usual_n
    lines = [["method"], *([f"{'&emsp;' if row.network else ''}{row.label}"] for row in comparison.rows)]
    for number, column in enumerate(comparison.columns):
        cells = [row.cells[number] for row in comparison.rows]
        shown = [[column.title], *([written(c.score, usual) if c else NO_RUN] for c in cells)]
        if any(cell and cell.gain for cell in cells):
            gains = [written(c.gain.difference, usual, "+") if c and c.gain else "" for c in cells]
            shown = [[*line, gain] for line, gain in zip(shown, ["gain", *gains], strict=True)]
        lines = [line + more for line, more in zip(lines, shown, strict=True)]
    lines = [[text.replace("|", "\\|") for text in line] for line in lines]
    widths = [max(map(len, texts)) for texts in zip(*lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    table = "".join(
        f"| {' | '.join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])} |\n"
        for line in (lines[0], rule, *lines[1:])
    )
    return f"{table}\n{comparison.caption}\n\n" + "".join(f"- {note}\n" for note in comparison.notes)


def to_latex(comparison: Comparison) -> str:
    """A tabular for the package booktabs, gains beneath their scores, what it all means as comments.

    Bold gains are not 0, at the table's confidence for all of its gains together.
    """
    if not comparison.rows:
        return f"% {EMPTY}\n"
    titles, rules, place = [""], list[str](), 2
    for dataset, columns in groupby(comparison.columns, key=lambda column: column.dataset):
        width = len(list(columns))
        titles.append(rf"\multicolumn{{{width}}}{{c}}{{{_escaped(dataset)}}}")
        rules.append(rf"\cmidrule(lr){{{place}-{place + width - 1}}}")
        place += width
    heads = [_escaped(", ".join([column.protocol, *column.marks])) for column in comparison.columns]
    lines = [rf"\begin{{tabular}}{{l{'r' * len(comparison.columns)}}}", r"\toprule"]
    lines += [
        " & ".join(titles) + r" \\",
        " ".join(rules),
        " & ".join(["method", *heads]) + r" \\",
        r"\midrule",
    ]
    for row in comparison.rows:
        lines += [" & ".join(cells) + r" \\" for cells in _latex_rows(comparison, row)]
    lines += [r"\bottomrule", r"\end{tabular}"]
    bold = ["bold gains are not 0"] if any(r"\mathbf" in line for line in lines) else []
    notes = [comparison.caption, *bold, *comparison.notes]
    return "\n".join([*lines, *(f"% {note}" for note in notes)]) + "\n"


def to_csv(comparison: Comparison) -> str:
    """Long format: one line a cell, in full precision; accuracies and gains are shares in [0, 1]."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_records(comparison))
    return text.getvalue()


def to_json(comparison: Comparison) -> str:
    """The records of the CSV, with the caption and the notes."""
    content = {"caption": comparison.caption, "notes": comparison.notes, "cells": _records(comparison)}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


FORMS: dict[str, Callable[[Comparison], str]] = {
    "markdown": to_markdown,
    "latex": to_latex,
    "csv": to_csv,
    "json": to_json,
}


def _records(comparison: Comparison) -> list[dict[str, Any]]:
    """FIELDS of every cell; None: there is no such number."""
    records = []
    for row in comparison.rows:
        for column, cell in zip(comparison.columns, row.cells, strict=True):
            if not cell:
                continue
            gain = [*cell.gain.difference, *cell.gain[1:]] if cell.gain else [None] * 7
            values = [row.label, *(getattr(row, key) for key in (*METHOD_KEYS, "network"))]
            values += [*(getattr(column, key) for key in COLUMN_KEYS), ", ".join(column.marks)]
            values += [*cell.score, cell.draws, *gain, cell.corrected_p]
            values += [comparison.baseline, comparison.confidence]
            missing = [isinstance(value, float) and math.isnan(value) for value in values]
            plain = [None if gone else value for gone, value in zip(missing, values, strict=True)]
            records.append(dict(zip(FIELDS, plain, strict=True)))
    return records


def _latex_rows(comparison: Comparison, row: Row) -> list[list[str]]:
    """A row's line of scores and, where it has any, its line of gains."""
    usual = comparison.usual_n
    label = rf"\quad {_escaped(row.label)}" if row.network else _escaped(row.label)
    lines = [[label, *(_math(cell.score, usual) if cell else "--" for cell in row.cells)]]
    if any(cell and cell.gain for cell in row.cells):
        lines.append([r"\quad gain", *(_latex_gain(comparison, cell) for cell in row.cells)])
    return lines


def _latex_gain(comparison: Comparison, cell: Cell | None) -> str:
    if not (cell and cell.gain):
        return ""
    return _math(cell.gain.difference, comparison.usual_n, "+", bold=comparison.differs(cell))


def _math(interval: Interval, usual: int, sign: str = "", bold: bool = False) -> str:
    """For example "$52.0 \\pm 2.4$"."""
    mean, half_width, mark = parts(interval, usual, sign)
    text = rf"{mean} \pm {half_width}" if half_width else mean
    return (rf"$\mathbf{{{text}}}$" if bold else f"${text}$") + (f" {mark}" if mark else "")


def _escaped(text: str) -> str:
    return re.sub(r"[&%$#_{}\\~^–]", lambda found: _LATEX[found[0]], text)
