"""Use a trained algorithm: label videos, measure accuracy, take the network out."""

import contextlib
import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from ssl_video.data.dataset import Data
from ssl_video.data.importers import to_label
from ssl_video.data.segments import Segment
from ssl_video.errors import InputError, unknown
from ssl_video.inference import (
    abstaining,
    clip_features,
    cross_validation,
    export,
    label_table,
    labeling,
    sensitivity,
    temporal_robustness,
    testing_data,
)
from ssl_video.inference.ahead import decoding_threads
from ssl_video.inference.calibration import Calibration
from ssl_video.inference.evaluate import both, probabilities
from ssl_video.inference.evaluation import Evaluation, File, check_files
from ssl_video.inference.label_table import LabelTable, Row
from ssl_video.inference.stretches import Labeled
from ssl_video.names import Place
from ssl_video.networks import devices
from ssl_video.networks.assemble import Assembly
from ssl_video.observer import Observer, observer
from ssl_video.runs import fold_logits
from ssl_video.runs.folder import RunFolder
from ssl_video.spec import Spec, build, plain

Sources = str | PathLike[str] | Sequence[str | PathLike[str]]


@dataclass(frozen=True)
class Model:
    """The trained networks of a run.

    Attributes:
        spec: the specification of the run.
        classes: names of the classes, in the order of the network's outputs.
        assembly: the algorithm with its networks.
        device: where they are.
        step: the number of steps of an unfinished run; None: it is finished.
        num_unlabeled: number of unlabeled clips that the run had.
        folder: the run's folder, if it was loaded from there.
        calibration: temperatures of the predictors; None: the run is not finished, or of an older version.
    """

    spec: Spec
    classes: list[str]
    assembly: Assembly
    device: torch.device
    step: int | None = None
    num_unlabeled: int = 0
    folder: Path | None = None
    calibration: Calibration | None = None

    @property
    def inference(self) -> Spec:
        """The specification with the precision in which this device computes, see `devices`."""
        precision = devices.precision_of_inference(self.spec.precision, self.device)
        return self.spec.model_copy(update={"precision": precision})

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that a user of the model should know."""
        if self.step is None:
            return ()
        return (
            "the run is not finished: these are its networks after "
            f"{self.step:,} of {self.spec.steps:,} steps",
        )

    @property
    def module(self) -> nn.Module:
        """The network that inference uses, normalised clips (N, 3, T, H, W) -> logits (N, classes)."""
        return next(iter(self.assembly.predictors().values()))

    @property
    def predictors(self) -> dict[str, nn.Module]:
        """All networks that can be evaluated, by name; the first is `module`."""
        return self.assembly.predictors()

    @property
    def temperatures(self) -> Mapping[str, float]:
        """What divides the logits before the softmax, by predictor; one that is absent is not calibrated."""
        return self.calibration.temperatures if self.calibration else {}

    def calibration_note(self, predictor: str | None = None) -> str:
        """Return a sentence on whether the probabilities of a predictor (see `predict`) are calibrated.

        Raises:
            InputError: no predictor of that name.
        """
        name = self.name_of(predictor)
        if self.calibration:
            return self.calibration.note(name)
        older = "an older version made the run, and fitted no temperature"
        return f"not calibrated: {older if self.step is None else 'the run is not finished'}"

    def predict(
        self,
        videos: Sources,
        *,
        every: float | None = None,
        merge: bool = True,
        abstain: float | None = None,
        probabilities: bool = False,
        output: str | PathLike[str] | None = None,
        overwrite: bool = False,
        predictor: str | None = None,
        decoders: int | None = None,
        progress: bool | Observer | None = None,
    ) -> pd.DataFrame:
        """Label videos, or recordings along their time.

        Args:
            videos: a video, a part of one (`day1.mp4#t=20,30`), a folder of pictures, a folder of such clips
                at any depth, a manifest (.csv, .tsv), a list (.txt) or an index file (.arrow); or several.
            every: cut each recording into stretches of so many seconds, and label each of them; None: one
                label for each clip.
            merge: put stretches that follow each other and have the same label together.
            abstain: the label is `unknown` where the probability is lower, see `expected`; None: never.
            probabilities: add a column for each class, with its probability.
            output: a file to write the rows to as they are made: .csv, .json or .arrow. One that an earlier
                call left unfinished is continued; its clips that could not be read are tried again.
            overwrite: replace `output`.
            predictor: the network to use, see `predictors`; None: the first.
            decoders: threads that decode; 0: none beside the network. At most 1024; None: one for
                each core, up to eight.
            progress: True, False, or an observer; None: shown in a terminal or a notebook.

        Returns:
            One row for each clip, or for each stretch: path as given; start and end in seconds, empty where
            they are those of the file; label and probability in [0, 1]; second_label, second_probability;
            margin, the difference of the two probabilities; windows, the number of windows of frames that
            were averaged; and error, the reason why a clip has no label, or none from `start` on; with
            `probabilities`, then the classes. With `output`, all rows of the table.

        Raises:
            InputError: a list cannot be read, a value is out of its range, `output` is another model's table
                or cannot be written, or there is no predictor of that name.
        """
        rows = list[Row]()
        self.label(
            videos,
            rows.append if output is None else lambda _: None,
            every=every,
            merge=merge,
            abstain=abstain,
            probabilities=probabilities,
            output=output,
            overwrite=overwrite,
            predictor=predictor,
            decoders=decoders,
            progress=progress,
        )
        classes = self.classes if probabilities else ()
        return label_table.frame(rows if output is None else label_table.read(Path(output)), classes)

    def label(
        self,
        videos: Sources,
        each: Callable[[dict[str, Any]], None],
        *,
        every: float | None = None,
        merge: bool = True,
        abstain: float | None = None,
        probabilities: bool = False,
        output: str | PathLike[str] | None = None,
        overwrite: bool = False,
        predictor: str | None = None,
        decoders: int | None = None,
        progress: bool | Observer | None = None,
    ) -> labeling.Summary:
        """Label videos as `predict` does, and hand over each new row: nothing is kept in memory.

        Args:
            videos, every, merge, abstain, probabilities, output, overwrite, predictor, decoders, progress:
                see `predict`.
            each: called with each row that is made, by column.

        Returns:
            The numbers of clips, of those that the table had `before`, of `unreadable` ones and of those
            `without` any label; and the number of rows by label.

        Raises:
            InputError: see `predict`.
        """
        name = self.name_of(predictor)
        asked = labeling.Asked(name, every, merge, abstain, decoding_threads(decoders), probabilities)
        asked.check(self.classes)
        clips = _clips(videos)
        with contextlib.ExitStack() as stack:
            table = None
            if output is not None:
                settings = {"model": self.digest, "predictor": name, "every": every, "merge": merge}
                settings |= {"abstain": abstain} | ({"probabilities": True} if probabilities else {})
                classes = self.classes if probabilities else ()
                table = LabelTable(Path(output), settings, overwrite=overwrite, classes=classes)
                stack.enter_context(table)
            report = stack.enter_context(observer(progress).preparing())
            return labeling.label(self, clips, asked, table, each, report)

    def features(
        self,
        videos: Sources,
        *,
        output: str | PathLike[str] | None = None,
        predictor: str | None = None,
        decoders: int | None = None,
        progress: bool | Observer | None = None,
    ) -> clip_features.ClipFeatures:
        """Compute the pooled features of clips: the inputs of the network's classifier.

        The label of a clip is that of a manifest or an index file, otherwise the nearest folder around it
        whose name is a class of the model, otherwise "".

        Args:
            videos, decoders, progress: see `predict`.
            output: an .npz file for the arrays; a file of that name is replaced. None: it is not written.
            predictor: the network, see `predictors`; None: the first.

        Returns:
            Arrays with a row for each clip that can be read: `features` (N, C), `probabilities`
            (N, classes), `paths`, `starts`, `ends`, `labels`; and `classes` and `errors`.

        Raises:
            InputError: a list cannot be read, the network has no classifier, `output` has another ending or
                cannot be written, or there is no predictor of that name.
        """
        name = self.name_of(predictor)
        if output is not None:
            clip_features.check(Path(output))
        clips = _clips(videos)
        with observer(progress).preparing() as report:
            found = clip_features.clip_features(self, clips, name, decoding_threads(decoders), report)
        if output is not None:
            found.save(Path(output))
        return found

    def export(self, path: str | PathLike[str], predictor: str | None = None) -> export.Exported:
        """Write the network as a file that runs without this package, and check the file.

        The file takes frames, uint8 (N, T, H, W, 3), and returns probabilities, float32 (N, classes). It is
        compared with the network on random clips, ONNX only where ONNX Runtime is installed. A file of that
        name is replaced.

        Args:
            path: the file, `.onnx` or `.pt2` (`torch.export.load`).
            predictor: the network, see `predictors`; None: the first.

        Returns:
            The path, the metadata `about` the clips and classes, and the largest `difference` of a
            probability; None: the file was not checked.

        Raises:
            InputError: another ending, a package is missing, the backbone cannot be exported, the file gives
                probabilities that differ by more than 1e-4, it cannot be written, or there is no predictor of
                that name. No file is written then.
        """
        return export.export(self, Path(path), self.name_of(predictor))

    def probabilities(
        self, videos: Sequence[Path], predictor: str | None = None
    ) -> tuple[dict[Path, np.ndarray], dict[Path, str]]:
        """Return the class probabilities of video files, at the predictor's temperature.

        Args:
            videos: the files.
            predictor: the network to use, see `predictors`; None: the first.

        Returns:
            The probabilities (classes,) of each file; and the reasons why others could not be read.

        Raises:
            InputError: no predictor of that name.
        """
        asked = labeling.Asked(self.name_of(predictor), None, True, None, decoding_threads(None))
        clips = [to_label.video(video) for video in videos]
        found, broken = dict[Path, np.ndarray](), dict[Path, str]()
        for number, part in labeling.probabilities(self, clips, asked, [None] * len(clips)):
            if isinstance(part, Labeled):
                found[videos[number]] = part.probabilities
            elif part.error:
                broken[videos[number]] = part.error
        return found, broken

    def expected(self, abstain: float, predictor: str | None = None) -> abstaining.Expected | None:
        """Return the fraction of clips that `abstain` would label, and how many of these labels are right.

        They are those of the run's validation clips, which were kept out of its training (`validation`), or
        of its cross-validation (`folds`).

        Args:
            abstain: the probability below which a clip is `unknown`.
            predictor: see `predict`.

        Returns:
            None: the run has neither, or the model is not from a finished run's folder.

        Raises:
            InputError: no predictor of that name, or the stored predictions are damaged.
        """
        return abstaining.expected(self, abstain, self.name_of(predictor))

    @property
    def folds_found(self) -> bool:
        """True if the run was trained on all labels after a cross-validation."""
        result = RunFolder(self.folder).finished() if self.folder is not None and self.step is None else None
        return result is not None and bool(result.expected_by_fold)

    def cross_validation(self) -> Evaluation | None:
        """Return the evaluation on all labeled clips by runs that left each of them out of their training.

        It says how good this model may be, which was trained on all of them with the same settings. A few
        more labels than in those runs make it rather better.

        Returns:
            None: the run is none that was trained on all labels after a cross-validation (`folds`).

        Raises:
            InputError: the stored outputs are damaged.
        """
        if self.folder is None or not self.folds_found:
            return None
        return cross_validation.evaluation(fold_logits.read(self.folder), self.temperatures)

    @property
    def digest(self) -> str:
        """12 hexadecimal digits of a hash of all that decides the labels and their probabilities.

        That is weights, classes, specification and temperatures.
        """
        values = [plain(self.spec), self.classes, dict(self.temperatures)]
        content = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
        for name, network in self.predictors.items():
            for key, value in network.state_dict().items():
                content.update(f"{name}/{key}".encode())
                content.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return content.hexdigest()[:12]

    def open_data(
        self,
        data: Place | None = None,
        root: Place | None = None,
        split: str | None = None,
        *,
        skip_broken: bool = False,
        cache_gib: float = 20.0,
        progress: bool | Observer | None = None,
    ) -> Data:
        """Open a data set to test the model on. Its classes are checked before any video is decoded.

        Args:
            data: "demo", a folder of class folders, a manifest (CSV), or an index file; None: the data set
                that the model was trained on.
            root: the folder that the manifest's paths start from.
            split: the manifest's column that says train or test.
            skip_broken: quarantine videos that cannot be decoded, instead of stopping.
            cache_gib: size limit of the cache of decoded frames, in GiB; 0: no cache.
            progress: True, False, or an observer; None: shown in a terminal or a notebook.

        Raises:
            InputError: the data cannot be read, videos are broken, it has no test clip with a label, or
                classes that the model does not know.
        """
        with observer(progress).preparing() as report:
            given = testing_data.LabeledPlace(data, root, split)
            return testing_data.open_data(self, given, report, skip_broken=skip_broken, cache_gib=cache_gib)

    def evaluate(
        self,
        data: Data,
        rows: np.ndarray | None = None,
        *,
        test_clips: int | None = None,
        test_crops: int | None = None,
        confusion: File | None = None,
        predictions: File | None = None,
        progress: bool | Observer | None = None,
    ) -> Evaluation:
        """Measure the accuracy of every predictor on a data set's test clips, or on the clips of some rows.

        The data set's classes are matched by name; it may have fewer than the model.

        Args:
            data: the data set, see `open_data`.
            rows: rows of its index; None: those of the test clips.
            test_clips: clips that are averaged per video; None: as many as in the run.
            test_crops: crops of each of them, 1 or 3; None: as many as in the run.
            confusion: a file for the confusion matrix: .csv for a table, .svg or .pdf for a picture.
            predictions: a .csv file to write the labels of every clip to.
            progress: True, False, or an observer; None: shown in a terminal or a notebook.

        Returns:
            Accuracies by predictor, with methods that return tables of classes, confusions and clips, and how
            far the probabilities are off.

        Raises:
            InputError: the data set has classes that the model does not know, or no test clip; a clip has no
                label; values out of their range; or a file cannot be written.
        """
        check_files(confusion, predictions)
        given = {"test_clips": test_clips, "test_crops": test_crops}
        asked = build({key: value for key, value in given.items() if value is not None})
        views = {key: getattr(asked, key) for key, value in given.items() if value is not None}
        rows, labels = testing_data.labeled_rows(data.index, rows, self.classes)
        with observer(progress).preparing() as report:
            scores = probabilities(
                self.predictors,
                self.assembly.shape_for,
                data.store,
                rows.tolist(),
                self.inference.model_copy(update=views),
                self.device,
                functools.partial(report, "testing"),
                average=both(self.temperatures),
                threads=decoding_threads(None),
            )
        found = Evaluation(
            [data.index.ids[row] for row in rows.tolist()],
            self.classes,
            labels,
            {name: score[:, 0] for name, score in scores.items()},
            {name: scores[name][:, 1] for name in scores if name in self.temperatures},
        )
        for note in found.write(confusion=confusion, predictions=predictions):
            observer(progress).warn(note)
        return found

    def sensitivity(
        self, data: Data, progress: Callable[[int, int], None] | None = None
    ) -> temporal_robustness.Scores:
        """Measure the accuracy of every predictor on test clips with their time changed, by every change.

        The classes are matched as in `evaluate`. `progress` is called with the number of clips done and to
        do.

        Raises:
            InputError: see `evaluate`.
        """
        return sensitivity.sensitivity(self, data, progress)

    def name_of(self, predictor: str | None) -> str:
        """Return the name of a predictor; None: of the first.

        Raises:
            InputError: no predictor of that name.
        """
        name = predictor or next(iter(self.predictors))
        if name not in self.predictors:
            raise InputError(unknown("predictor", name, self.predictors))
        return name


def _clips(videos: Sources) -> list[to_label.Given]:
    """Return the clips of sources, each once, as it is named first."""
    found = dict[tuple[str, Segment | None], to_label.Given]()
    for clip in to_label.clips([videos] if isinstance(videos, str | PathLike) else videos):
        found.setdefault((clip.file, clip.segment), clip)
    return list(found.values())
