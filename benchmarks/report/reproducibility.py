"""The means to reproduce the numbers: environments, commands, partitions, settings."""

import json
import shlex
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import yaml

from ssl_video.benchmarks.report.data import ReportData, Section
from ssl_video.benchmarks.report.html import copied, folded, paragraph
from ssl_video.benchmarks.report.html_table import MarkedText, TableColumn, plain_table, sortable_table
from ssl_video.benchmarks.tables.comparison import Row
from ssl_video.errors import counted
from ssl_video.spec import CELL, METHOD, without_cell

COMMANDS = 40  # maximum number of methods with commands in the page
_LABELS = (
    TableColumn("dataset", choice=True),
    TableColumn("protocol", choice=True),
    TableColumn("draw", "number", "number of the random draw of labels"),
    TableColumn("labels", "code", "fingerprint of the partition: labeled, unlabeled and test clips"),
    TableColumn("data", "code", "fingerprint of the data set's clips and labels"),
    *(TableColumn(title, "number") for title in ("labeled", "unlabeled", "test", "classes", "runs")),
)


def environments(report: ReportData) -> Section | None:
    """Return the section on all combinations of versions and devices, with their numbers of runs."""
    found: Counter[str] = Counter()
    for run in report.frame["run"]:
        result = report.result(run)
        if result:
            found[json.dumps(result.environment.model_dump())] += 1
    if not found:
        return None
    kinds = [(json.loads(text), count) for text, count in found.most_common()]
    keys = list(dict.fromkeys(key for kind, _ in kinds for key in kind))
    rows = [[key, *(str(kind.get(key, "")) for kind, _ in kinds)] for key in keys]
    rows.append(["runs", *(str(count) for _, count in kinds)])
    names = ["", *(f"environment {number}" for number in range(1, len(kinds) + 1))]
    html = paragraph(
        "The versions and devices that produced the numbers.",
        "The runs were made in more than one environment, so their seconds are not comparable."
        if len(kinds) > 1
        else "",
    ) + plain_table(names, rows, "environments")
    return Section("environment", "Environment", html)


def commands(report: ReportData) -> Section:
    """Return the section with a file and the commands that reproduce each method's runs."""
    rows = [row for row in report.comparison.rows if not row.network]
    runs = report.frame.assign(label=report.frame["run"].map(report.labels)).groupby("label")["run"]
    by_label = {str(label): list(names) for label, names in runs}
    html = paragraph(
        "Each block writes a method's settings to a file and repeats its runs. A run whose folder already",
        "exists is not repeated: give another --results to repeat it.",
    )
    if len(rows) > COMMANDS:
        html += paragraph(
            f"These are the first {COMMANDS} of {len(rows)} methods, in the table's order.",
            "`ssl-video train` repeats any run from the spec.yaml in its folder.",
        )
    for row in rows[:COMMANDS]:
        specs = [spec for run in by_label[row.label] if (spec := _spec(report, run))]
        if specs:
            html += folded(row.label, counted(len(specs), "run"), copied("\n".join(_block(row.label, specs))))
    return Section("commands", "Commands", html)


def _spec(report: ReportData, run: str) -> dict[str, Any] | None:
    result = report.result(run)
    return result.spec if result else None


def _block(label: str, specs: list[dict[str, Any]]) -> Iterator[str]:
    """Return shell lines: the settings that all runs of a method share, and a loop per set of labels."""
    file = "".join(c if c.isalnum() or c in "-_.=" else "-" for c in label) + ".yaml"
    shared = without_cell(specs[0])
    yield f"cat > {shlex.quote(file)} <<'YAML'"
    yield yaml.safe_dump(shared, sort_keys=False, allow_unicode=True).rstrip("\n")
    yield "YAML"

    def labels(spec: dict[str, Any]) -> list[str]:
        given = [key for key in CELL if spec.get(key) not in (None, []) and key != "seed"]
        return [_flag(key, spec[key]) for key in given]

    for flags, group in groupby(sorted(specs, key=lambda s: (labels(s), s["seed"])), key=labels):
        seeds = " ".join(str(spec["seed"]) for spec in group)
        yield f"for seed in {seeds}; do"
        yield f"  ssl-video train {shlex.quote(file)} {' '.join(flags)} --seed $seed"
        yield "done"


def _flag(key: str, value: Any) -> str:
    name = key.replace("_", "-")
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    if isinstance(value, list):
        return " ".join(_flag(key, item) for item in value)
    return f"--{name} {shlex.quote(str(value))}"


def partitions(report: ReportData) -> Section:
    """Return the section with the fingerprint of every partition and its number of runs."""
    keys = ["dataset", "protocol", "draw", "fingerprint", "dataset_fingerprint"]
    keys += ["labeled", "unlabeled", "test", "classes"]
    found = report.frame.groupby(keys).size().reset_index(name="runs")
    rows = [[str(value) for value in row] for row in found.itertuples(index=False, name=None)]
    html = paragraph(
        "A fingerprint identifies the labeled, unlabeled and test clips: runs with equal fingerprints used",
        "the same clips. Each run lists its clips in partition.txt.",
    ) + sortable_table("partitions", "partitions", _LABELS, rows)
    return Section("labels", "Labels", html)


def settings(report: ReportData) -> Section:
    """Return the section on the settings that differ between methods and those that they share."""
    rows = [row for row in report.comparison.rows if not row.network]
    keys = list(dict.fromkeys(key for row in rows for key in row.facts))
    values = {key: _owners(rows, key) for key in keys}
    shared = {key: next(iter(found)) for key, found in values.items() if len(found) == 1}
    differing = [key for key in keys if key not in shared]
    unequal = [key for key in differing if key.split(".")[0] not in METHOD]
    html = paragraph(
        "These settings differ although they are not part of a method: take them into account in comparisons."
        if unequal
        else "All settings that are not part of a method are the same in all rows."
    )
    if unequal:
        html += _differences(unequal, values, len(rows))
    own = [key for key in differing if key not in unequal and key != "algorithm"]
    if own:
        html += folded("Settings of the methods", f"{len(own)}", _differences(own, values, len(rows)))
    if shared:
        common = plain_table(["setting", "value"], shared.items(), "settings that all methods share")
        html += folded("Settings that all methods share", f"{len(shared)}", common)
    return Section("settings", "Settings", html)


def _owners(rows: list[Row], key: str) -> dict[str, list[str]]:
    """Return the methods with each value of a key."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.facts.get(key, "not set"), []).append(row.label)
    return found


def _differences(keys: list[str], values: dict[str, dict[str, list[str]]], methods: int) -> str:
    rows = list[list[str | MarkedText]]()
    for key in keys:
        for value, owners in sorted(values[key].items(), key=lambda item: -len(item[1])):
            if value != "not set" or not key.startswith(("options.", "networks.")):
                many = len(owners) > 6
                who = f"{len(owners)} of {methods} methods" if many else ", ".join(owners)
                rows.append([key, value, MarkedText(who, "wrap")])
    return plain_table(["setting", "value", "methods"], rows, "settings that differ")
