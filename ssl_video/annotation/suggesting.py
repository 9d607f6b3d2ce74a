"""Suggest clips to a person: those to label next, or those whose labels look wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from ssl_video.annotation import clips as clips_of
from ssl_video.annotation import label_errors, rules, table
from ssl_video.annotation.clips import RunClips
from ssl_video.annotation.columns import QUALITY
from ssl_video.annotation.likeness import Likeness, contents, united
from ssl_video.annotation.page import PAGE, write_page
from ssl_video.data import dataset
from ssl_video.data.importers import to_label
from ssl_video.data.importers.to_label import Given
from ssl_video.data.progress import Progress
from ssl_video.errors import InputError, counted, unknown
from ssl_video.inference.ahead import decoding_threads
from ssl_video.inference.clip_features import Read, read_clips
from ssl_video.inference.label_table import Row
from ssl_video.inference.model import Model, Sources
from ssl_video.names import Place
from ssl_video.observer import Observer, observer
from ssl_video.runs.folder import RunFolder, load_model


def suggest(
    run: str | PathLike[str] | RunFolder | Model,
    data: Sources | None = None,
    *,
    number: int = 20,
    rule: str | None = None,
    check_labels: bool = False,
    output: str | PathLike[str] | None = None,
    overwrite: bool = False,
    root: Place | None = None,
    seed: int = 0,
    predictor: str | None = None,
    device: str = "auto",
    trust: bool = False,
    decoders: int | None = None,
    progress: bool | Observer | None = None,
) -> pd.DataFrame:
    """Suggest which clips to label next, or which labels look wrong.

    Clips that have a label in the run, and copies of them, are left out. Clips that are like a suggested or a
    labeled one come only after all others. Two clips are alike if their files have the same content, and both
    are the whole file, or their parts of it overlap, or the gap between them is shorter than the shorter of
    both.

    Args:
        run: a run's folder, a checkpoint file, or a model.
        data: to label next: videos, folders, manifests, lists and index files, see `Model.predict`; None: the
            run's unlabeled clips. To check labels: folders of class folders, manifests with labels and index
            files; None: the labeled clips that the run was trained on.
        number: the largest number of clips.
        rule: the choice of the clips to label next: "badge" (gradients that are large and differ), "margin"
            (the network hesitates), "typiclust" (typical of large clusters without a label) or "random".
            None: "badge".
        check_labels: suggest labeled clips whose labels look wrong: confident learning on the probabilities
            of a logistic regression on the features, which has not seen a clip's label.
        output: a folder for the table `clips.csv` and a page to label with; None: nothing is written.
        overwrite: replace a table in which labels are filled in.
        root: to check labels: the folder that the paths of a manifest start from.
        seed: seed of the random choices of rules, and of the folds of the check.
        predictor: the network, see `Model.predictors`; None: the first.
        device: the device of a run that is loaded here.
        trust: allow that the code of such a run is imported, see `load_model`.
        decoders: threads that decode, see `Model.predict`.
        progress: True, False, or an observer; None: shown in a terminal or a notebook.

    Returns:
        One row for each clip, the most useful first: absolute path; start and end in seconds, NaN where they
        are those of the file; label, "" or with `check_labels` the given one; predicted_label, probability,
        second_label, second_probability and margin. With `check_labels` the probabilities are those of the
        regression, and quality is that of the given label. `attrs` has `notes`, `errors` ("path: reason" of
        clips that cannot be read), and the names of the `classes`.

    Raises:
        InputError: a source cannot be read, a value is out of its range, labels in `output` would be lost, or
            no clip can be read.
    """
    _check(number, rule, root, check_labels)
    folder = None if output is None else Path(output)
    if folder is not None:
        table.check(folder, overwrite=overwrite)
    model = run if isinstance(run, Model) else load_model(run, device, trust=trust)
    name = predictor or next(iter(model.predictors))
    if name not in model.predictors:
        raise InputError(unknown("predictor", name, model.predictors))
    with observer(progress).preparing() as report:
        asked = _Asked(model, _listed(data), number, name, decoding_threads(decoders), seed, report)
        found = _suspected(asked, root) if check_labels else _next(asked, rule or rules.DEFAULT)
        made = table.frame(found.rows, check_labels=check_labels)
        made.attrs = {"notes": found.notes, "errors": found.errors, "classes": found.classes}
        if folder is not None:
            table.write(folder, made)
            if found.rows:
                write_page(folder, found.rows, found.classes, report, dataset.clock(model.spec).pictures)
            else:
                # That of other clips would remain.
                (folder / PAGE).unlink(missing_ok=True)
    return made


@dataclass(frozen=True)
class _Asked:
    """The arguments of `suggest`."""

    model: Model
    data: list[Place] | None
    number: int
    predictor: str
    decoders: int
    seed: int
    report: Progress

    def read(self, clips: Sequence[Given]) -> Read:
        """Return the features of clips."""
        return read_clips(self.model, clips, self.predictor, self.decoders, self.report)


@dataclass
class _Found:
    """Suggestions: rows, names of classes, sentences for the user, and clips that cannot be read."""

    rows: list[Row] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def _next(asked: _Asked, rule: str) -> _Found:
    """Return the clips to label next."""
    found = _Found(classes=asked.model.classes)
    own = _own(asked, found.notes)
    given = own.unlabeled if asked.data is None else _given(asked.data)
    if not given:
        raise InputError("the run has no unlabeled clip: give videos or a folder to choose from")
    everything = [*given, *own.labeled]
    like, labeled = Likeness(everything), range(len(given), len(everything))
    known = own.known | {clip.name for clip in own.labeled}
    copies = {other for row in labeled for other in like.copies(row)}
    left = [row for row, clip in enumerate(given) if row not in copies and clip.name not in known]
    if len(left) < len(given):
        found.notes.append(f"{counted(len(given) - len(left), 'clip', 'have')} a label in the run: left out")
    if not left:
        raise InputError("every clip has a label in the run: there is none to suggest")
    wanted = [*left, *(labeled if rule in rules.READS_LABELED else ())]
    read = asked.read([everything[row] for row in wanted])
    found.errors = _errors([everything[row] for row in wanted], read)
    rows = [wanted[number] for number in read.numbers.tolist()]
    free = np.array([row < len(given) for row in rows], bool)
    _check_any(bool(free.any()), found.errors)
    pool = rules.Candidates(read.features[free], read.probabilities[free], read.features[~free])
    candidates = [row for row in rows if row < len(given)]
    place = {row: number for number, row in enumerate(candidates)}

    def near(number: int) -> np.ndarray:
        return np.array([place[row] for row in like(candidates[number]).tolist() if row in place])

    closed = {place[row] for one in labeled for row in like(one).tolist() if row in place}
    for number in rules.choose(rule, pool, asked.number, asked.seed, near, sorted(closed)):
        clip = everything[candidates[number]]
        found.rows.append(table.row_of(clip, pool.probabilities[number], found.classes))
    return found


def _suspected(asked: _Asked, root: Place | None) -> _Found:
    """Return the labeled clips whose labels look wrong."""
    found, model = _Found(), asked.model
    if asked.data is None:
        own = clips_of.of_run(model, asked.report)
        labeled, sources = own.labeled, own.sources
    else:
        labeled, sources = clips_of.labeled_in(asked.data, root, model.spec, asked.report)
    read = asked.read(labeled)
    found.errors = _errors(labeled, read)
    _check_any(len(read.numbers) > 0, found.errors)
    clips = [labeled[number] for number in read.numbers.tolist()]
    names = sorted({clip.label for clip in clips})
    # A person may also choose a class of the run that no clip has, if they are classes of the run at all.
    found.classes = list(model.classes) if set(names) <= set(model.classes) else names
    files, groups = contents([clip.file for clip in clips]), [sources.get(clip.name) for clip in clips]
    checked = label_errors.check_labels(
        read.features,
        np.array([found.classes.index(clip.label) for clip in clips]),
        united(files, groups),
        len(found.classes),
        seed=asked.seed,
        report=lambda done, total: asked.report("checking labels", done, total),
    )
    for row in checked.order[: asked.number].tolist():
        made = table.row_of(clips[row], checked.probabilities[row], found.classes, clips[row].label)
        found.rows.append(made | {QUALITY: round(float(checked.quality[row]), 6)})
    suspected, joint, total = (int(x.sum()) for x in (checked.suspected, checked.joint, checked.checked))
    found.notes.append(
        f"{suspected:,} of {counted(total, 'label')} look wrong, {joint:,} of them by confident learning"
    )
    if total < len(clips):
        found.notes.append(
            f"{counted(len(clips) - total, 'label')} cannot be checked: there is no clip of the class from "
            "another source video"
        )
    if any(network.probe == "none" for network in model.spec.networks.values()):
        found.notes.append(
            "the network was fine-tuned, so its features may have seen these labels: wrong ones among the "
            "clips it was trained on are found less often than with a frozen network (--probe)"
        )
    return found


def _own(asked: _Asked, notes: list[str]) -> RunClips:
    """Return the clips of the run; if they cannot be read and others are given, none, and a note."""
    try:
        return clips_of.of_run(asked.model, asked.report)
    except InputError as error:
        if asked.data is None:
            raise
        notes.append(f"the run's own clips are not known, so none is left out: {error.problems[0]}")
        return RunClips()


def _given(data: Sequence[Place]) -> list[Given]:
    """Return the clips of sources, each once."""
    return list({clip.name: clip for clip in to_label.clips(data)}.values())


def _listed(data: Sources | None) -> list[Place] | None:
    if data is None:
        return None
    return [data] if isinstance(data, str | PathLike) else list(data)


def _errors(clips: Sequence[Given], read: Read) -> list[str]:
    return [f"{clips[number].path}: {reason}" for number, reason in sorted(read.errors.items())]


def _check_any(some: bool, errors: Sequence[str]) -> None:
    if not some:
        raise InputError("none of the clips can be read:", *errors[:5])


def _check(number: int, rule: str | None, root: Place | None, check_labels: bool) -> None:
    """Check the values that depend on each other.

    Raises:
        InputError: one is out of its range, or has no meaning here.
    """
    if number < 1:
        raise InputError(f"number must be at least 1, found {number}")
    if rule is not None:
        rules.check(rule)
    if rule is not None and check_labels:
        raise InputError(f"rule {rule} chooses clips to label next: leave it out to check labels")
    if root is not None and not check_labels:
        raise InputError("root is for manifests whose labels are checked: leave it out")
