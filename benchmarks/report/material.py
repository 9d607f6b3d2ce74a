"""What a report is made of: a results folder, its finished runs, and what a single run's folder holds."""

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pandas as pd

from ssl_video.benchmarks.running import watch
from ssl_video.benchmarks.tables.cells import METHOD_KEYS, Comparison
from ssl_video.benchmarks.tables.compare import comparison
from ssl_video.engine import predictions
from ssl_video.engine.predictions import Predictions
from ssl_video.errors import InputError

if TYPE_CHECKING:
    from ssl_video.engine.pseudo_labels import PseudoLabels

Content = TypeVar("Content")

# Where each reader of a run's folder looks.
_FILES = {
    "result": "result.json",
    "curves": "metrics.jsonl",
    "validation": "validation.jsonl",
    "predictions": predictions.PREDICTIONS,
    "pseudo-labels": "pseudo-labels.npz",
    "dynamics": "dynamics.json",
}


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        anchor: its id in the page, also the beginning of every id inside it.
        title: its heading.
        html: what stands beneath; made of escaped texts.
    """

    anchor: str
    title: str
    html: str


class Material:
    """The finished runs that a report is about, and readers of their folders.

    Readers give None where a run has no such file, or a damaged one, which is then named in `damaged`; what
    they gave is kept.

    Args:
        results: the results folder.
        frame: its runs, or some of them, as from `leaderboard.read`.
        problems: sentences on results that could not be used.
        baseline: see `compare.comparison`.
        gallery: whether clips of the data sets may be shown.
    """

    def __init__(
        self,
        results: Path,
        frame: pd.DataFrame,
        problems: Sequence[str] = (),
        baseline: str = "supervised",
        gallery: bool = True,
    ) -> None:
        self.results, self.frame, self.problems, self.baseline = results, frame, list(problems), baseline
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
        """A run's row of the frame, by the names of the columns."""
        return self._rows[name]

    @cached_property
    def _rows(self) -> dict[str, dict[str, Any]]:
        columns = [str(column) for column in self.frame]
        rows = self.frame.itertuples(index=False, name=None)
        named = [dict(zip(columns, row, strict=True)) for row in rows]
        return {row["run"]: row for row in named}

    def folder(self, run: str) -> Path:
        """A run's folder."""
        return self.results / "runs" / run

    def result(self, run: str) -> dict[str, Any] | None:
        """The run's result.json."""
        return self._once("result", run, lambda folder: _json(folder / _FILES["result"]))

    def curves(self, run: str) -> dict[str, list[tuple[int, float]]] | None:
        """The run's metrics.jsonl: values with their steps, by metric; steps without a value are left out."""
        return self._once("curves", run, _curves)

    def validation(self, run: str) -> list[dict[str, Any]] | None:
        """The run's validation.jsonl: {"step": n, <network>: {"top1": ...}}, one a look."""
        return self._once("validation", run, lambda folder: _json_lines(folder / _FILES["validation"]))

    def predictions(self, run: str) -> Predictions | None:
        """What the run's networks said of the test clips."""
        return self._once("predictions", run, predictions.read)

    def pseudo_labels(self, run: str) -> "PseudoLabels | None":
        """Every pseudo-label of the run."""
        return self._once("pseudo-labels", run, _pseudo_labels)

    def dynamics(self, run: str) -> dict[str, Any] | None:
        """The run's dynamics.json, which `ssl-video dynamics` writes."""
        return self._once("dynamics", run, lambda folder: _json(folder / _FILES["dynamics"]))

    def _once(self, kind: str, run: str, read: Callable[[Path], Content | None]) -> Content | None:
        """What a reader gives for a run, read once."""
        if (kind, run) not in self._read:
            try:
                self._read[kind, run] = read(self.folder(run))
            except (InputError, OSError, ValueError):
                self._read[kind, run] = None
                if (self.folder(run) / _FILES[kind]).exists():
                    self.damaged.append(f"runs/{run}/{_FILES[kind]} cannot be read and is left out")
        content: Content | None = self._read[kind, run]
        return content


def _key(row: Any) -> tuple[str, ...]:
    return tuple(getattr(row, key) for key in METHOD_KEYS)


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def _json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _curves(folder: Path) -> dict[str, list[tuple[int, float]]] | None:
    (run,) = watch.runs(folder)
    for _ in run.refresh():
        pass
    return run.curves or None


def _pseudo_labels(folder: Path) -> "PseudoLabels | None":
    if not (folder / _FILES["pseudo-labels"]).exists():
        return None
    # Its module imports torch, for which a report of runs without pseudo-labels does not wait.
    from ssl_video.engine import pseudo_labels

    return pseudo_labels.read(folder)
