"""The data of a report: a results folder, its finished runs, and the contents of each run's folder."""

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from ssl_video.benchmarks.tables import table_notes
from ssl_video.benchmarks.tables.compare import comparison
from ssl_video.benchmarks.tables.comparison import METHOD_KEYS, Comparison
from ssl_video.errors import InputError
from ssl_video.files import parse_json, read_bytes
from ssl_video.runs import predictions
from ssl_video.runs.folder import (
    DYNAMICS,
    METRICS,
    PREDICTIONS,
    PSEUDO_LABELS,
    RESULT,
    VALIDATION,
    RunFolder,
    run_folder,
)
from ssl_video.runs.predictions import Predictions
from ssl_video.runs.pseudo_labels import PseudoLabels
from ssl_video.runs.result import Result

Content = TypeVar("Content")

# The file of each reader of a run's folder.
_FILES = {
    "result": RESULT,
    "curves": METRICS,
    "validation": VALIDATION,
    "predictions": PREDICTIONS,
    "pseudo-labels": PSEUDO_LABELS,
    "dynamics": DYNAMICS,
}


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        anchor: its id in the page, also the beginning of every id inside it.
        title: its heading.
        html: its content, with all texts escaped.
    """

    anchor: str
    title: str
    html: str


class ReportData:
    """The finished runs of a report, and readers of their folders.

    Readers return None if a run has no such file, or if it is damaged; damaged files are listed in `damaged`.
    Results of readers are cached.

    Args:
        results: the results folder.
        frame: its runs, or some of them, as from `leaderboard.read`; at least one with an accuracy. Those
            without one are left out, and counted in `left_out`.
        problems: sentences on results that could not be used.
        baseline: see `compare.comparison`.
        gallery: show clips of the datasets.
    """

    def __init__(
        self,
        results: Path,
        frame: pd.DataFrame,
        problems: Sequence[str] = (),
        baseline: str = "supervised",
        gallery: bool = True,
    ) -> None:
        self.results, self.problems, self.baseline = results, list(problems), baseline
        self.frame, self.left_out = frame[frame["top1"].notna()], table_notes.untested(frame)
        self.gallery = gallery
        self.damaged = list[str]()
        self._read: dict[tuple[str, str], Any] = {}

    @cached_property
    def comparison(self) -> Comparison:
        """Methods against protocols, as in the leaderboard, with further networks."""
        return comparison(self.frame, self.baseline, predictors=True)

    @cached_property
    def labels(self) -> dict[str, str]:
        """The leaderboard's name of each run's method, by the name of the run."""
        keys = {_key(row): row.label for row in self.comparison.rows if not row.network}
        methods = self.frame[["run", *METHOD_KEYS]].itertuples(index=False, name=None)
        return {run: keys[tuple(method)] for run, *method in methods}

    def run(self, name: str) -> dict[str, Any]:
        """Return a run's row of the frame, by column name."""
        return self._rows[name]

    @cached_property
    def _rows(self) -> dict[str, dict[str, Any]]:
        columns = [str(column) for column in self.frame]
        rows = self.frame.itertuples(index=False, name=None)
        named = [dict(zip(columns, row, strict=True)) for row in rows]
        return {row["run"]: row for row in named}

    def folder(self, run: str) -> Path:
        """Return a run's folder."""
        return run_folder(self.results, run).path

    def result(self, run: str) -> Result | None:
        """Return the run's result."""
        return self._once("result", run, lambda folder: RunFolder(folder).result)

    def curves(self, run: str) -> dict[str, list[tuple[int, float]]] | None:
        """Read the run's metrics.jsonl: values with their steps, by metric, without steps that have none."""
        return self._once("curves", run, _curves)

    def validation(self, run: str) -> list[dict[str, Any]] | None:
        """Read the run's validation.jsonl: {"step": n, <network>: {"top1": ...}}, one per evaluation."""
        return self._once("validation", run, lambda folder: RunFolder(folder).lines(VALIDATION))

    def predictions(self, run: str) -> Predictions | None:
        """Return the predictions of the run's networks for the test clips."""
        return self._once("predictions", run, predictions.read)

    def pseudo_labels(self, run: str) -> PseudoLabels | None:
        """Return every pseudo-label of the run."""
        return self._once("pseudo-labels", run, _pseudo_labels)

    def dynamics(self, run: str) -> dict[str, Any] | None:
        """Read the run's dynamics.json, which `ssl-video analyze dynamics` writes."""
        return self._once("dynamics", run, lambda folder: _json(folder / _FILES["dynamics"]))

    def _once(self, kind: str, run: str, read: Callable[[Path], Content | None]) -> Content | None:
        """Return a reader's result for a run, read once."""
        if (kind, run) not in self._read:
            try:
                self._read[kind, run] = read(self.folder(run))
            except (InputError, OSError, ValueError):
                self._read[kind, run] = None
                if os.path.exists(self.folder(run) / _FILES[kind]):
                    self.damaged.append(f"runs/{run}/{_FILES[kind]} cannot be read and is left out")
        content: Content | None = self._read[kind, run]
        return content


def _key(row: Any) -> tuple[str, ...]:
    return tuple(getattr(row, key) for key in METHOD_KEYS)


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = parse_json(read_bytes(path))
    return content


def _curves(folder: Path) -> dict[str, list[tuple[int, float]]] | None:
    curves = dict[str, list[tuple[int, float]]]()
    for row in RunFolder(folder).lines(METRICS):
        for name, value in row.items():
            if name != "step" and value is not None:
                curves.setdefault(name, []).append((row["step"], value))
    return curves or None


def _pseudo_labels(folder: Path) -> PseudoLabels | None:
    """Return the pseudo-labels of a run's clips with a class; None: there is none."""
    run = RunFolder(folder)
    made = run.pseudo_labels.checkable if run.has_pseudo_labels else None
    return made if made and len(made.clips) else None
