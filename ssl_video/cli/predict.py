"""`ssl-video predict`: tables of labels for videos, folders, lists and long recordings."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.progress import FilesPerSecond
from ssl_video.cli.text import NAMED, Table, printable, say_notes, say_unreadable, written_out

_SHOWN = 40  # rows that a terminal shows


@click.command()
@options.checkpoint_argument
@options.trust_option
@options.videos_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="write the rows to a .csv, .json or .arrow file; if it was stopped, the same command continues",
)
@options.overwrite_option
@click.option(
    "--every",
    type=float,
    metavar="SECONDS",
    help="label each recording along its time, in stretches of so many seconds",
)
@click.option(
    "--merge/--no-merge",
    default=True,
    show_default=True,
    help="put stretches that follow each other and have the same label together",
)
@click.option(
    "--abstain",
    type=float,
    metavar="P",
    help="label clips below this probability unknown, and print the expected fraction labeled and "
    "its precision",
)
@click.option("--probabilities", is_flag=True, help="add a column for each class, with its probability")
@options.predictor_option
@options.device_option
@options.decoders_option
@options.json_option
def command(
    checkpoint: Path, videos: tuple[Path, ...], device: str, trust: bool, as_json: bool, **asked: Any
) -> int:
    """Label videos with a run's folder or checkpoint file.

    Videos may be files, parts of them (a.mp4#t=20,30), folders at any depth, manifests (.csv, .tsv), lists
    (.txt) and index files (.arrow).
    """
    model = sv.load_model(checkpoint, device, trust=trust)
    calibrated = model.calibration_note(asked["predictor"])
    expected = _expectation(model, asked["abstain"], asked["predictor"])
    say_notes([*model.notes, calibrated, *expected])
    shown = _Rows(as_json, bool(asked["output"]), timeline=asked["every"] is not None)
    summary = model.label(videos, shown.add, progress=FilesPerSecond(unit=""), **asked)
    shown.finish()
    _conclude(summary, shown.reasons, asked["output"], as_json)
    return 0 if summary.without < summary.clips else 1


class _Rows:
    """Shows rows: as JSON one by one, or the first of them in a table.

    Attributes:
        reasons: the first clips that cannot be read, with their reasons.
    """

    def __init__(self, as_json: bool, written: bool, *, timeline: bool) -> None:
        self.reasons = list[str]()
        self._as_json, self._written, self._timeline = as_json, written, timeline
        self._rows, self._number = list[dict[str, Any]](), 0

    def add(self, row: dict[str, Any]) -> None:
        if row["error"] is not None and len(self.reasons) < NAMED:
            self.reasons.append(f"{row['path']}: {row['error']}")
        if self._as_json:
            print(json.dumps(row))
        elif not self._written and row["label"] is not None:
            self._number += 1
            if len(self._rows) < _SHOWN:
                self._rows.append(row)

    def finish(self) -> None:
        """Show the table, if there is one."""
        if not self._rows:
            return
        table = Table()
        times = ("start", "end") if any(row["start"] is not None or row["end"] for row in self._rows) else ()
        for heading in ("path", *times, "label", "probability", "second label", "probability"):
            left = heading in ("path", "label", "second label")
            table.add_column(heading, justify="left" if left else "right", overflow="fold")
        for row in self._rows:
            seconds = ["" if row[name] is None else f"{row[name]:g}" for name in times]
            table.add_row(
                printable(row["path"]), *seconds,
                printable(row["label"]), f"{row['probability']:.3f}",
                printable(row["second_label"]), f"{row['second_probability']:.3f}",
            )  # fmt: skip
        Console().print(table)
        if self._number > len(self._rows):
            print(f"the first {len(self._rows)} of {self._number:,} rows; -o labels.csv writes all")


def _conclude(summary: Any, reasons: list[str], output: Path | None, as_json: bool) -> None:
    """Say how many clips have a label, which ones, and which cannot be read."""
    if summary.before:
        click.echo(f"{summary.before:,} of {summary.clips:,} clips were in {output} already", err=True)
    if output is not None:
        click.echo(f"{output}: {sum(summary.labels.values()):,} rows with a label", err=True)
    if summary.labels and not as_json and (output is not None or sum(summary.labels.values()) > _SHOWN):
        counts = ", ".join(f"{label} {number:,}" for label, number in summary.labels.most_common(20))
        more = len(summary.labels) - 20
        click.echo(written_out(counts) + (f" and {more} other labels" if more > 0 else ""), err=True)
    remark = (
        f"see the column error of {output}"
        if output is not None
        else "no label for it"
        if summary.unreadable == 1
        else "no label for them"
    )
    say_unreadable(reasons, summary.unreadable, remark)


def _expectation(model: Any, abstain: float | None, predictor: str | None) -> list[str]:
    """Return a sentence about the labels that are expected at a probability."""
    if abstain is None:
        return []
    found = model.expected(abstain, predictor)
    if found is None:
        estimated = f"the fraction and the precision of labels with a probability of {abstain:g}"
        if model.step is not None:
            return [f"the run is not finished: {estimated} are estimated from validation clips at its end"]
        if model.folder is None and (model.spec.validation or model.spec.folds == 1):
            return [
                f"{estimated} are estimated from the validation clips or folds of the run, which are in "
                "its folder and not in the checkpoint: give the folder"
            ]
        return [
            f"the run has neither validation clips nor folds, from which {estimated} could be estimated; "
            "train has --validation 0.2, which keeps some, and --folds 5, which needs none"
        ]
    known = f"{found.labeled} of {found.clips} clips kept out of training"
    known += f" ({100 * found.labeled / found.clips:.0f} %)"
    right = f"{found.right} of these labels are right ({100 * found.right / max(found.labeled, 1):.0f} %)"
    return [
        f"{known} have a label with a probability of at least {abstain:g}"
        + (f", and {right}" if found.labeled else "")
    ]
