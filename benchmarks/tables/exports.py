"""Render a comparison as Markdown, LaTeX, CSV or JSON."""

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from ssl_video import csv_cells
from ssl_video.benchmarks.tables.comparison import COLUMN_KEYS, COSTS, METHOD_KEYS, Cell, Comparison
from ssl_video.benchmarks.tables.formatting import (
    EMPTY,
    NO_RUN,
    PUBLISHED,
    gain_parts,
    parts,
    per_cost,
    written,
    written_gain,
)
from ssl_video.benchmarks.tables.mean_gain import MeanGain
from ssl_video.benchmarks.tables.published import PublishedNumbers
from ssl_video.benchmarks.tables.table_content import Costs, Gains, Scores, TableContent

# One record per cell. These are the columns of the CSV, whose names and meanings are stable across versions.
FIELDS = {
    "method": "name of the row in tables",
    "algorithm": "as in leaderboard.csv",
    "backbone": "as in leaderboard.csv",
    "setting": "as in leaderboard.csv",
    "configuration": "as in leaderboard.csv",
    "network": "the further network whose accuracies these are; empty: the headline",
    "dataset": "as in leaderboard.csv",
    "protocol": "as in leaderboard.csv; of a published number: the labeled fraction as the paper states it",
    "dataset_fingerprint": "as in leaderboard.csv",
    "labeled_in_unlabeled": "as in leaderboard.csv",
    "validation": "as in leaderboard.csv",
    "marks": "words that distinguish the column from others of its data set and protocol",
    "mean": "mean top-1 of the runs, in [0, 1]",
    "half_width": "of the mean's t-interval; empty: one run, or equal runs",
    "n": "runs",
    "draws": "different sets of labeled clips among the runs",
    "gain": "mean difference to the baseline on the same labels and seed",
    "gain_half_width": "of the gain's t-interval; empty: one pair, or equal differences",
    "gain_n": "pairs",
    "wins": "pairs in which the method is above the baseline",
    "ties": "pairs in which both are equal",
    "losses": "pairs in which the method is below the baseline",
    "p": "probability of such a gain or loss between equals; empty: one pair, or equal differences",
    "corrected_p": "the same after Holm's correction for all gains of the table",
    "baseline": "the method that gains are relative to",
    "confidence": "of the intervals",
    "seconds": "of training and evaluation, mean over the runs",
    "gflops": "10^9 multiply-adds of the tested network for one test clip and crop",
    "training_gflops": "10^9 multiply-adds of a whole training, forward and backward",
    "cost": "training_gflops as a multiple of the baseline's",
    "gain_per_cost": "gain divided by cost",
    "origin": "ours, or published: then most other fields are empty",
    "initialisation": "where the initial weights come from",
    "modality": "of a published number: what the network sees",
    "deviation": "of a published number: standard deviation over draws, where one is given",
    "source": "of a published number: where it is printed",
    "certainty": "of a published number: stated by its authors or by those who ran the method, or quoted",
    "note": "of a published number: remarks",
}
_OF_PUBLISHED = ("initialisation", "modality", "source", "certainty", "note")
_OF_MEANS = ("gain", "gain_half_width", "gain_n", "wins", "ties", "losses", "p", "corrected_p")
_LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"–": "--", "×": r"$\times$", "[": "{[}"},
}


def to_markdown(content: TableContent) -> str:
    """Return a GitHub table with a column of scores and one of gains for each set of labels."""
    beneath = _markdown_published(content.published) if content.published else ""
    if not content.labels:
        return "\n".join([EMPTY, *(f"- {note}" for note in content.comparison.notes), beneath])
    names = (
        f"{'&emsp;' if more else ''}{name}"
        for name, more in zip(content.labels, content.further, strict=True)
    )
    columns = [["method", *names]]
    for column in content.columns:
        columns += (
            _scores(content, column) if isinstance(column, Scores) else [[column.title, *_texts(column)]]
        )
    notes = "".join(f"- {note}\n" for note in content.notes)
    return f"{_aligned(columns)}\n{content.comparison.caption}\n\n{notes}{beneath}"


def _markdown_published(published: PublishedNumbers) -> str:
    """Return a table for each data set, and the notes."""
    blocks = [
        f"\n{PUBLISHED.format(block.dataset)}\n\n{_aligned([*block.words, *block.numbers], len(block.words))}"
        for block in published.blocks
    ]
    return "".join(blocks) + "\n" + "".join(f"- {note}\n" for note in published.notes)


def _aligned(columns: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a GitHub table from columns of texts, headers first; the first `left` are left-aligned."""
    columns = [[text.replace("|", "\\|") for text in column] for column in columns]
    padded = []
    for place, column in enumerate(columns):
        width = max(map(len, column))
        header, *texts = [text.ljust(width) if place < left else text.rjust(width) for text in column]
        padded.append([header, "-" * width if place < left else "-" * (width - 1) + ":", *texts])
    return "".join(f"| {' | '.join(line)} |\n" for line in zip(*padded, strict=True))


def _scores(content: TableContent, column: Scores) -> list[list[str]]:
    """Return a column of scores and, if there are any, one of gains and one of gains per cost."""
    usual, cells = content.comparison.usual_n, column.cells
    found = [[column.title, *(written(cell.score, usual) if cell else NO_RUN for cell in cells)]]
    if any(cell and cell.gain for cell in cells):
        gains = [written_gain(c.gain) if c and c.gain else "" for c in cells]
        found.append(["gain", *gains])
        if content.costs:
            found.append(["gain/cost", *(per_cost(cell) if cell else "" for cell in cells)])
    return found


def _texts(column: Gains | Costs) -> list[str]:
    """Return the texts of a column without scores."""
    if isinstance(column, Costs):
        return list(column.texts)
    return [written_gain(mean.gain) if mean else "" for mean in column.gains]


def to_latex(content: TableContent) -> str:
    """Return a tabular for the package booktabs, gains below their scores, caption and notes as comments.

    Bold gains are significant, at the table's confidence for all of its gains together.
    """
    beneath = _latex_published(content.published) if content.published else ""
    if not content.labels:
        return "".join(f"% {line}\n" for line in (EMPTY, *content.comparison.notes)) + beneath
    titles, rules, place = [""], list[str](), 2
    for group, columns in groupby(content.columns, key=lambda column: column.group):
        width = len(list(columns))
        titles.append(rf"\multicolumn{{{width}}}{{c}}{{{_escaped(group)}}}")
        rules.append(rf"\cmidrule(lr){{{place}-{place + width - 1}}}")
        place += width
    heads = [
        _escaped(", ".join(column.lines) if isinstance(column, Scores) else column.name)
        for column in content.columns
    ]
    lines = [rf"\begin{{tabular}}{{l{'r' * len(heads)}}}", r"\toprule"]
    lines += [
        " & ".join(titles) + r" \\",
        " ".join(rules),
        " & ".join(["method", *heads]) + r" \\",
        r"\midrule",
    ]
    for number in range(len(content.labels)):
        lines += [" & ".join(texts) + r" \\" for texts in _latex_rows(content, number)]
    lines += [r"\bottomrule", r"\end{tabular}"]
    bold = ["bold gains are not 0"] if any(r"\mathbf" in line for line in lines) else []
    notes = [content.comparison.caption, *bold, *content.notes]
    return "\n".join([*lines, *(f"% {note}" for note in notes)]) + "\n" + beneath


def _latex_published(published: PublishedNumbers) -> str:
    """Return a tabular for each data set, with the notes as comments."""
    lines = []
    for block in published.blocks:
        columns = [*block.words, *block.numbers]
        form = "l" * len(block.words) + "r" * len(block.numbers)
        rows = [" & ".join(map(_escaped, row)) + r" \\" for row in zip(*columns, strict=True)]
        title = _escaped(PUBLISHED.format(block.dataset))
        lines += ["", rf"\begin{{tabular}}{{{form}}}", r"\toprule"]
        lines += [rf"\multicolumn{{{len(columns)}}}{{l}}{{{title}}} \\", r"\midrule"]
        lines += [rows[0], r"\midrule", *rows[1:], r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*lines, *(f"% {note}" for note in published.notes)]) + "\n"


def to_csv(content: TableContent) -> str:
    """Return a CSV in long format: one line per cell, full precision, accuracies and gains in [0, 1]."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(csv_cells.mark_row, records(content)))
    return text.getvalue()


def to_json(content: TableContent) -> str:
    """Return the CSV's records, published numbers and mean gains separately, with caption and notes."""
    published = content.published
    document = {
        "caption": content.comparison.caption,
        "notes": content.notes,
        "cells": _records(content.comparison),
        "mean_gains": _mean_gains(content),
        "published": published.records if published else [],
        "published_notes": published.notes if published else [],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def records(content: TableContent) -> list[dict[str, Any]]:
    """Return FIELDS of every cell, and of every published number; None: there is no such number."""
    return [*_records(content.comparison), *_published_records(content.published)]


def _records(comparison: Comparison) -> list[dict[str, Any]]:
    """Return FIELDS of every cell; None: there is no such number."""
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
            values += [*(getattr(cell.cost, key) for key in COSTS), cell.cost.multiple, cell.gain_per_cost]
            values += ["ours", row.facts.get("initialisation"), *[None] * 5]
            records.append(dict(zip(FIELDS, _plain(values), strict=True)))
    return records


def _mean_gains(content: TableContent) -> list[dict[str, Any]]:
    """Return every mean gain, with keys of FIELDS; None: there is no such number."""
    return [
        {"method": label, "group": column.group}
        | dict(zip(_OF_MEANS, _plain([*mean.gain.difference, *mean.gain[1:], mean.corrected_p]), strict=True))
        for column in content.columns
        if isinstance(column, Gains)
        for label, mean in zip(content.labels, column.gains, strict=True)
        if mean
    ]


def _plain(values: Sequence[Any]) -> list[Any]:
    """Replace nan by None."""
    return [None if isinstance(value, float) and math.isnan(value) else value for value in values]


def _published_records(published: PublishedNumbers | None) -> list[dict[str, Any]]:
    """Return FIELDS of every published number, as a fraction in [0, 1]; inapplicable fields are None."""
    records = []
    for number in published.records if published else []:
        same = {key: number[key] for key in ("method", "backbone", "dataset", "protocol")}
        percent = {"mean": number["value"], "deviation": number["deviation"]}
        fractions = {key: None if value is None else round(value / 100, 6) for key, value in percent.items()}
        further = {key: number[key] for key in _OF_PUBLISHED}
        records.append(dict.fromkeys(FIELDS) | same | further | fractions | {"origin": "published"})
    return records


def _latex_rows(content: TableContent, number: int) -> list[list[str]]:
    """Return a row's line of scores and, if it has any, its lines of gains."""
    comparison, label = content.comparison, _escaped(content.labels[number])
    lines = [[rf"\quad {label}" if content.further[number] else label], [r"\quad gain"], [r"\quad gain/cost"]]
    for column in content.columns:
        texts = ["", "", ""]
        if isinstance(column, Costs):
            texts[0] = _escaped(column.texts[number])
        elif isinstance(column, Gains):
            texts[1] = _latex_gain(content, column.gains[number])
        elif not (cell := column.cells[number]):
            texts[0] = "--"
        else:
            texts[0] = _math(parts(cell.score, comparison.usual_n))
            if cell.gain:
                texts[1] = _latex_gain(content, cell)
                texts[2] = f"${per_cost(cell)}$" if content.costs and per_cost(cell) else ""
        lines = [[*line, text] for line, text in zip(lines, texts, strict=True)]
    return [lines[0], *(line for line in lines[1:] if any(line[1:]))]


def _latex_gain(content: TableContent, found: Cell | MeanGain | None) -> str:
    """Format a gain, in bold if it is significant."""
    if not found or not found.gain:
        return ""
    return _math(gain_parts(found.gain), bold=content.comparison.differs(found.corrected_p))


def _math(texts: tuple[str, str, str], bold: bool = False) -> str:
    """Format a number, for example "$52.0 \\pm 2.4$"."""
    mean, half_width, mark = texts
    text = rf"{mean} \pm {half_width}" if half_width else mean
    return (rf"$\mathbf{{{text}}}$" if bold else f"${text}$") + (f" {mark}" if mark else "")


def _escaped(text: str) -> str:
    # LaTeX reads a bracket at the start of a line as the option of the line break before it.
    return re.sub(r"[&%$#_{}\\~^–×]|^\[", lambda found: _LATEX[found[0]], text)
