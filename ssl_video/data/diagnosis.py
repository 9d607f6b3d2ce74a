"""Find the files of a data set that cannot be used: the call behind `ssl-video data doctor`."""

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ssl_video.data.dataset import check_present, read_all, source
from ssl_video.data.frame_rates import far_off
from ssl_video.data.index import Index
from ssl_video.data.video import doctor as examination
from ssl_video.data.video import quarantine
from ssl_video.data.video.probe import Facts
from ssl_video.names import Place
from ssl_video.observer import Observer, observer
from ssl_video.spec import build

if TYPE_CHECKING:
    import pandas as pd


class ClassLoss(NamedTuple):
    """A class and the clips that it loses.

    Attributes:
        label: the class.
        clips: number of its clips.
        quarantined: number of those that cannot be used.
    """

    label: str
    clips: int
    quarantined: int


@dataclass(frozen=True)
class Diagnosis:
    """The findings about every file of a data set.

    Attributes:
        index: the clips.
        facts: the facts about the file of each row of the index.
        looked: number of files decoded for it; the others were known from before.
        seconds: the time that it took.
        quarantine: the file that lists the clips that cannot be used.
    """

    index: Index
    facts: Sequence[Facts]
    looked: int
    seconds: float
    quarantine: Path

    def __repr__(self) -> str:
        name, number = self.index.name, len(self.reasons)
        return f"Diagnosis({name!r}: {number} of {len(self.facts)} clips cannot be used)"

    @property
    def reasons(self) -> dict[str, str]:
        """The reason for each clip that cannot be used, by its id."""
        return {self.index.ids[row]: facts.reason for row, facts in enumerate(self.facts) if facts.reason}

    @property
    def usable(self) -> list[Facts]:
        """The facts about the files that can be used."""
        return [facts for facts in self.facts if not facts.reason]

    @property
    def remarks(self) -> dict[str, list[str]]:
        """Unusual facts about usable files: a text, and the clips that it applies to.

        Copies of one video stand together as "a = b".
        """
        index = self.index
        usable = [(index.ids[row], facts) for row, facts in enumerate(self.facts) if not facts.reason]
        found = {
            "variable frame rate": [name for name, facts in usable if facts.variable],
            "stored rotated, used upright": [name for name, facts in usable if facts.rotation],
            "non-square pixels, used as stored": [n for n, facts in usable if abs(facts.aspect - 1) > 0.02],
            "format that differs from the file name": [name for name, facts in usable if facts.misnamed],
            "a single frame": [name for name, facts in usable if facts.frames == 1],
        }
        copies = examination.DoctorReport(list(self.facts), self.looked).copies(index)
        parts = [{index.splits[row] for row in rows} for rows in copies]
        groups = {
            "the same video more than once": copies,
            "the same video in train and in test, which makes test results too good": [
                rows for rows, part in zip(copies, parts, strict=True) if {"train", "test"} <= part
            ],
            "the same video in test and among the unlabeled clips": [
                rows for rows, part in zip(copies, parts, strict=True) if {"unlabeled", "test"} <= part
            ],
            "the same video in several classes": [
                rows for rows in copies if len({int(index.labels[row]) for row in rows} - {-1}) > 1
            ],
        }
        usual, far = far_off({name: facts.rate for name, facts in usable if facts.rate})
        found[
            f"frame rate that differs by half or more from the usual {usual:.4g} per second, so that clips "
            "last longer or shorter; --fps samples by time"
        ] = far
        for text, some in groups.items():
            found[text] = [" = ".join(index.ids[row] for row in rows[:3]) for rows in some]
        return {text: names for text, names in found.items() if names}

    @property
    def classes(self) -> list[ClassLoss]:
        """The classes with clips, those that lose the largest fraction first."""
        labels = self.index.labels.tolist()
        total, lost = Counter(label for label in labels if label >= 0), Counter[int]()
        lost.update(labels[row] for row, facts in enumerate(self.facts) if facts.reason and labels[row] >= 0)
        order = sorted(total, key=lambda label: (-lost[label] / total[label], label))
        return [ClassLoss(self.index.classes[label], total[label], lost[label]) for label in order]

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per file; columns: path, label, split, and the attributes of its facts."""
        import pandas as pd  # takes half a second

        index = self.index
        rows = [
            {"path": index.ids[row], "label": index.label[row], "split": index.splits[row], **asdict(facts)}
            for row, facts in enumerate(self.facts)
        ]
        return pd.DataFrame(rows)


def doctor(
    data: Place,
    root: Place | None = None,
    split: str | None = None,
    *,
    decoders: int | None = None,
    timeout: float = 120.0,
    again: bool = False,
    report: str | PathLike[str] | None = None,
    progress: bool | Observer | None = None,
) -> Diagnosis:
    """Decode every file of a data set once, and quarantine the clips that cannot be used.

    The quarantine list lies beside the data, and all runs leave out the clips that it names. Findings are
    kept: a second call decodes only the files that have changed.

    Args:
        data: "demo", a folder of class folders, a manifest (CSV), or an index file.
        root: the folder that the manifest's paths start from.
        split: the manifest's column that says train or test; None: "split".
        decoders: number of files decoded at a time; None: the number of cores.
        timeout: time limit of one file, in seconds, and of each minute of a longer one.
        again: ignore earlier findings.
        report: a file to write all findings to, .csv or .json; None: none.
        progress: True, False, or an observer; None: shown where there is a terminal or a notebook.

    Raises:
        InputError: the data cannot be read, none of its files exists, or a file cannot be written.
        KeyboardInterrupt: it was stopped; the same call resumes it.
    """
    shown, given = observer(progress), {"data": data, "root": root, "split": split, "segment": 0}
    spec = build({name: value for name, value in given.items() if value is not None})
    with shown.preparing() as preparing:
        index, place = read_all(spec, preparing, training=False), source(spec)
        check_present(index)  # or all of a disk that is not mounted would be quarantined
        began = time.monotonic()
        try:
            found = examination.look(
                place, index, decoders or os.cpu_count() or 1, timeout, again=again,
                progress=lambda done, total: preparing("decoding files", done, total),
            )  # fmt: skip
        except KeyboardInterrupt:
            shown.say("findings so far are kept; the same command resumes")
            raise
        seconds = time.monotonic() - began
    if report:
        examination.write_report(Path(report), index, found)
    listed = quarantine.write(place, found.reasons(index))
    return Diagnosis(index, found.facts, found.looked, seconds, listed)
