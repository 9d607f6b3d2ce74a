"""The outcome of an evaluation: accuracies, and tables of classes, confusions, clips and bins."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ssl_video import csv_cells
from ssl_video.errors import InputError, counted
from ssl_video.figures import files, heatmap, paper
from ssl_video.files import replacing
from ssl_video.inference import calibration
from ssl_video.inference.evaluate import accuracy
from ssl_video.inference.label_rows import two_likeliest

File = str | os.PathLike[str]


class Evaluation(dict[str, dict[str, float | None]]):
    """Accuracies in [0, 1] by predictor: {"primary": {"top1": ..., "top5": ..., "mean_class": ...}}.

    top5 is None for five classes or fewer. Accuracies, classes and confusions are those without a
    temperature, as in the record of a run. Probabilities, and the labels of `predictions`, are those of
    `predict`, with the temperature of the predictor if it has one.

    Args:
        clips: names of the clips, N of them.
        classes: names of the classes.
        labels: (N,) class numbers.
        scores: by predictor: probabilities (N, classes).
        calibrated: likewise at the temperatures, of predictors that have one.
    """

    def __init__(
        self,
        clips: Sequence[str],
        classes: Sequence[str],
        labels: np.ndarray,
        scores: Mapping[str, np.ndarray],
        calibrated: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        super().__init__({name: accuracy(score, labels) for name, score in scores.items()})
        self._clips, self._classes, self._labels = list(clips), list(classes), labels
        self._scores, self._calibrated = dict(scores), dict(calibrated or {})

    @property
    def clips(self) -> int:
        """Number of clips."""
        return len(self._clips)

    @property
    def relabeled(self) -> dict[str, int]:
        """Number of clips whose label the temperature changes, by predictor that has one.

        It can where the views of a clip disagree.
        """
        pairs = {name: (self._scores[name], moved) for name, moved in self._calibrated.items()}
        return {name: int((a.argmax(1) != b.argmax(1)).sum()) for name, (a, b) in pairs.items()}

    def per_class(self) -> pd.DataFrame:
        """Return a row for each class that has a clip.

        Its columns: predictor; class; clips, their number; recall, the fraction of them that is labeled
        right; precision, the fraction of labels of this class that are right, NaN if there is none; f1, the
        harmonic mean of both; confused_with, the most frequent wrong label of the clips, None if there is
        none; and confused, their number.
        """
        rows = list[dict[str, object]]()
        for name in self:
            counts = self._counts(name)
            right = counts.diagonal()
            wrong = counts - np.diag(right)
            for number in np.flatnonzero(counts.sum(1)).tolist():
                clips, labeled = int(counts[number].sum()), int(counts[:, number].sum())
                other = int(wrong[number].argmax())
                confused = int(wrong[number, other])
                rows.append(
                    {
                        "predictor": name,
                        "class": self._classes[number],
                        "clips": clips,
                        "recall": right[number] / clips,
                        "precision": right[number] / labeled if labeled else np.nan,
                        "f1": 2 * right[number] / (clips + labeled),
                        "confused_with": self._classes[other] if confused else None,
                        "confused": confused,
                    }
                )
        made = pd.DataFrame(rows)
        # pandas reads a column of texts and None as texts and NaN.
        confused = made["confused_with"].astype(object)
        return made.assign(confused_with=confused.where(confused.notna(), None))

    def confusion(self) -> pd.DataFrame:
        """Return numbers of clips: a row for each predictor and true_label, a column for each label."""
        tables = [pd.DataFrame(self._counts(name), self._classes, self._classes) for name in self]
        return pd.concat(tables, keys=list(self), names=["predictor", "true_label"])

    def predictions(self) -> pd.DataFrame:
        """Return a row for each predictor and clip.

        Its columns: predictor; path, as in the data set's index; true_label; label, probability,
        second_label, second_probability and margin, as `predict` gives them.
        """
        rows = [
            {"predictor": name, "path": clip, "true_label": self._classes[label]}
            | two_likeliest(score, self._classes)
            for name, scores in (self._scores | self._calibrated).items()
            for clip, label, score in zip(self._clips, self._labels.tolist(), scores, strict=True)
        ]
        return pd.DataFrame(rows)

    def reliability(self) -> pd.DataFrame:
        """Compare probabilities with accuracies: a row for each bin that has clips.

        Its columns: predictor; calibrated, whether it is with the temperature; above and up_to, the
        probabilities between which the bin lies; clips; probability, the mean over the clips; and accuracy.
        """
        rows = [
            {"predictor": name, "calibrated": moved, **found._asdict()}
            for name, moved, scores in self._both()
            for found in calibration.reliability(scores, self._labels)
        ]
        return pd.DataFrame(rows)

    def calibration_errors(self) -> dict[str, tuple[float, float | None]]:
        """Return the expected calibration error, in [0, 1], before and after the temperature, by predictor.

        It is the mean distance of accuracy and probability, over 15 bins weighted by their clips. None: the
        predictor has no temperature.
        """
        found = {
            (name, moved): calibration.error(calibration.reliability(scores, self._labels))
            for name, moved, scores in self._both()
        }
        return {name: (found[name, False], found.get((name, True))) for name in self}

    def write(self, *, confusion: File | None = None, predictions: File | None = None) -> list[str]:
        """Write tables as CSV files, or the confusion matrix as a picture, each in one step.

        Args:
            confusion: .csv file for `confusion`; or a .svg or .pdf file for a picture of it, with a matrix
                for each predictor, whose cells are fractions of the clips of their true class. None: none.
            predictions: .csv file for `predictions`; None: none.

        Returns:
            A sentence on characters that no font for the .pdf has, if there are any.

        Raises:
            InputError: a file has another ending or cannot be written, or it is a .pdf, and the extra
                `figures` is not installed.
        """
        check_files(confusion, predictions)
        strange = ""
        if confusion is not None and Path(confusion).suffix in files.ENDINGS:
            strange = files.write(Path(confusion), self._picture())
        elif confusion is not None:
            _write(Path(confusion), self.confusion().reset_index())
        if predictions is not None:
            _write(Path(predictions), self.predictions())
        return [files.unshown(strange)] if strange else []

    def _picture(self) -> str:
        """Return the confusion matrices as an SVG file, one below the other."""
        drawn, title = list[paper.Chart](), f"Confusion matrix of {counted(len(self._clips), 'clip')}"
        for name in self:
            counts = self._counts(name)
            total = counts.sum(1, keepdims=True)
            fractions = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
            matrix = heatmap.heatmap(name, fractions, self._classes, self._classes, "true class", "label")
            drawn += paper.found(matrix)
        summary = "; ".join(f"{chart.title}: {chart.description}" for chart in drawn)
        return paper.joined(drawn, title, summary, [*self] if len(drawn) > 1 else [])

    def _both(self) -> list[tuple[str, bool, np.ndarray]]:
        """Return each predictor with whether its temperature counts, and its probabilities."""
        pairs = [(name, ((False, self._scores[name]), (True, self._calibrated.get(name)))) for name in self]
        return [(name, moved, found) for name, both in pairs for moved, found in both if found is not None]

    def _counts(self, predictor: str) -> np.ndarray:
        """Return numbers of clips by true class and label, (classes, classes)."""
        counts = np.zeros((len(self._classes),) * 2, np.int64)
        np.add.at(counts, (self._labels, self._scores[predictor].argmax(1)), 1)
        return counts


def check_files(confusion: File | None, predictions: File | None) -> None:
    """Check the places of files that are written after an evaluation, which may take hours.

    Raises:
        InputError: see `Evaluation.write`, or the folder of a file does not exist.
    """
    if predictions is not None and Path(predictions).suffix != ".csv":
        raise InputError(f"{predictions}: the table is written as .csv, give such a name")
    if confusion is not None and Path(confusion).suffix not in (".csv", *files.ENDINGS):
        raise InputError(
            f"{confusion}: a confusion matrix is written as .csv, .svg or .pdf, give such a name"
        )
    for file in (Path(file) for file in (confusion, predictions) if file is not None):
        files.check(file)
        if not file.parent.is_dir():
            raise InputError(f"cannot write {file}: there is no folder {file.parent}")


def _write(path: Path, table: pd.DataFrame) -> None:
    # Names of files that are not UTF-8 keep their bytes.
    table = table.round(6)
    for name in table.columns:
        if table[name].dtype.kind not in "ifb":
            change = csv_cells.mark_path if name == "path" else csv_cells.mark
            table[name] = pd.Series([change(cell) for cell in table[name]], table.index, dtype=object)
    names = [csv_cells.mark(name) for name in table.columns]  # of a confusion matrix, those of classes
    content = table.to_csv(index=False, header=names).encode("utf-8", "surrogateescape")
    try:
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
