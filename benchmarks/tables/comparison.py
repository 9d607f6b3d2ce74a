"""The data model of a comparison: rows, columns, and the numbers in their cells."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ssl_video.benchmarks.tables.statistics import Interval, Paired

METHOD_KEYS = ["algorithm", "backbone", "setting", "configuration"]
COLUMN_KEYS = ["dataset", "protocol", "dataset_fingerprint", "labeled_in_unlabeled", "validation"]
SIZES = ["labeled", "unlabeled", "test", "classes"]
COSTS = ["seconds", "gflops", "training_gflops"]


def label_marks(run: Mapping[Any, Any]) -> list[str]:
    """Return the settings of a run's labels other than data set and protocol; mostly none."""
    marks = ["labeled in unlabeled"] if run["labeled_in_unlabeled"] else []
    return [*marks, f"validation {run['validation']:g}"] if run["validation"] else marks


@dataclass(frozen=True)
class Column:
    """Runs on the same labels.

    Attributes:
        dataset, protocol, dataset_fingerprint, labeled_in_unlabeled, validation: as in the leaderboard.
        marks: texts that distinguish the column from others of its data set and protocol; mostly empty.
        sizes: the smallest and the largest number of clips of its runs, by SIZES.
    """

    dataset: str
    protocol: str
    dataset_fingerprint: str
    labeled_in_unlabeled: bool
    validation: float
    marks: tuple[str, ...]
    sizes: Mapping[str, tuple[int, int]] = field(compare=False)

    @property
    def title(self) -> str:
        """Data set, protocol and marks in one line."""
        return ", ".join([f"{self.dataset} {self.protocol}", *self.marks])

    @property
    def data(self) -> tuple[str, str]:
        """Name and fingerprint of the data set; columns with equal values share their test clips."""
        return self.dataset, self.dataset_fingerprint


@dataclass(frozen=True)
class Cost:
    """Cost of a run of a cell; nan: not recorded.

    Attributes:
        seconds: of training and evaluation.
        gflops: 10^9 multiply-adds of the tested network for one test clip and crop.
        training_gflops: 10^9 multiply-adds of the whole training, forward and backward.
        multiple: training_gflops divided by the baseline's; nan if there is no gain, either.
    """

    seconds: float = math.nan
    gflops: float = math.nan
    training_gflops: float = math.nan
    multiple: float = math.nan


@dataclass(frozen=True)
class Cell:
    """Top-1 of one row in one column, in [0, 1].

    Attributes:
        data: name and fingerprint of its column's data set.
        score: interval over its runs.
        draws: number of different sets of labeled clips among its runs.
        gain: over the runs with a baseline partner of the same setting, labels and seed.
        corrected_p: the gain's p-value after Holm's correction for all gains of the table; nan: not tested.
        cost: mean cost of one of its runs.
    """

    data: tuple[str, str]
    score: Interval
    draws: int
    gain: Paired | None
    corrected_p: float = math.nan
    cost: Cost = Cost()

    @property
    def gain_per_cost(self) -> float:
        """The gain per multiple of the baseline's training cost; nan: not known."""
        return self.gain.difference.mean / self.cost.multiple if self.gain else math.nan


@dataclass(frozen=True)
class Row:
    """One method, or a further network of one.

    Attributes:
        label: its name, different from all other rows'.
        algorithm, backbone, setting, configuration: as in the leaderboard.
        network: the further network that was evaluated; "": the headline.
        is_baseline: whether gains are relative to it.
        cells: one per column; None: no run.
        facts: keys of the method's specification, such as `options.threshold`, and their values as texts.
    """

    label: str
    algorithm: str
    backbone: str
    setting: str
    configuration: str
    network: str
    is_baseline: bool
    cells: tuple[Cell | None, ...]
    facts: Mapping[str, str] = field(compare=False)


@dataclass(frozen=True)
class Comparison:
    """A table before it is rendered; `notes` are caveats for its reader."""

    baseline: str
    confidence: float
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @cached_property
    def usual_n(self) -> int:
        """The most frequent number of runs of a mean; the table marks other numbers."""
        counts = Counter(cell.score.n for row in self.rows for cell in row.cells if cell)
        return max(counts, key=lambda n: (counts[n], n), default=0)

    @property
    def caption(self) -> str:
        """Explanation of the numbers."""
        n = f"n = {self.usual_n}" if self.usual_n > 1 else "n"
        text = (
            f"top-1 % on the test clips, mean ± {100 * self.confidence:g} % t-interval "
            f"over {n} runs (seeds and label draws)"
        )
        cells = [cell for row in self.rows for cell in row.cells if cell]
        if any(cell.gain for cell in cells):
            text += (
                f"; gain = paired difference to {self.baseline} on the same labels and seed "
                "(in brackets: pairs with a gain above 0)"
            )
        means = [mean for cell in cells for mean in (cell.score, *(cell.gain[:1] if cell.gain else ()))]
        if any(mean.n > 1 and not mean.known for mean in means):
            text += "; several equal values have no ±"
        return text

    @property
    def tests(self) -> int:
        """The number of gains that could be tested."""
        return sum(cell.corrected_p == cell.corrected_p for row in self.rows for cell in row.cells if cell)

    def differs(self, corrected_p: float) -> bool:
        """Return whether a gain is significant, at the table's confidence after its correction."""
        return corrected_p < 1 - self.confidence
