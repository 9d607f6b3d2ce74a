"""Audit the pseudo-labels of finished runs, as `ssl-video analyze audit` does. Never imports torch."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ssl_video.benchmarks.analysis import audit as numbers
from ssl_video.benchmarks.analysis import finished
from ssl_video.benchmarks.analysis.audit import Agreement, ByClass, Mistake, OverTime
from ssl_video.errors import InputError
from ssl_video.runs.folder import RunFolder
from ssl_video.runs.pseudo_labels import PseudoLabels


@dataclass(frozen=True)
class Audit:
    """The quality of the pseudo-labels of one run, or of several that differ only in seeds and draws.

    Attributes:
        title: the method, the data set, the protocol, and the number of runs if there are several.
        labels: every pseudo-label of the runs, for clips with a class.
        windows: number of windows of steps.
        left_out: number of unlabeled clips without a class, whose pseudo-labels cannot be checked.
    """

    title: str
    labels: PseudoLabels
    windows: int
    left_out: int = 0

    @property
    def classes(self) -> list[str]:
        """Names of the classes."""
        names: list[str] = self.labels.classes.tolist()
        return names

    @property
    def networks(self) -> list[str]:
        """Names of the networks that label clips."""
        return list(self.labels.labels)

    @cached_property
    def over_time(self) -> dict[str, OverTime]:
        """Coverage, precision and balance of the labels of each network, in windows of steps."""
        return numbers.over_time(self.labels, self.windows)

    @cached_property
    def by_class(self) -> dict[str, ByClass]:
        """Coverage, recall, precision and frequency of the classes for each network, in windows of steps."""
        return numbers.by_class(self.labels, self.windows)

    @cached_property
    def agreements(self) -> list[Agreement]:
        """For each pair of networks, how their labels of the same clips agree, in windows of steps."""
        pairs = combinations(self.labels.labels, 2)
        return [numbers.agreement(self.labels, one, other, self.windows) for one, other in pairs]

    def mistakes(self, network: str, clips: int = 10) -> list[Mistake]:
        """Return the clips whose wrong labels were used most often.

        Args:
            network: the network that gave the labels.
            clips: largest number of clips.
        """
        return numbers.mistakes(self.labels, network, clips)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per network and window; columns: network, and the attributes of `OverTime`."""
        frames = [
            pd.DataFrame({"network": name} | vars(found)).rename(columns={"starts": "from_step"})
            for name, found in self.over_time.items()
        ]
        return pd.concat(frames, ignore_index=True)

    def to_dict(self, clips: int = 10) -> dict[str, Any]:
        """Return all numbers as plain values, for JSON; None stands for a fraction of nothing.

        Args:
            clips: largest number of clips among the mistakes of a network.
        """
        return {
            "classes": self.classes,
            "left_out": self.left_out,
            "networks": {
                network: {
                    "over_time": _plain(self.over_time[network]),
                    "by_class": _plain(self.by_class[network]),
                    "mistakes": [mistake._asdict() for mistake in self.mistakes(network, clips)],
                }
                for network in self.networks
            },
            "agreement": [_plain(found) for found in self.agreements],
        }


@dataclass(frozen=True)
class Audits:
    """Audits of finished runs, one for each group of runs that differ only in seeds and draws.

    Attributes:
        audits: the audits.
        without: folders of runs that store no pseudo-labels that can be checked: those of supervised-only,
            and those without an unlabeled clip that has a class.
        problems: a sentence for each run that cannot be used.
    """

    audits: tuple[Audit, ...]
    without: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Audit]:
        return iter(self.audits)

    def __len__(self) -> int:
        return len(self.audits)

    def __getitem__(self, number: int) -> Audit:
        return self.audits[number]


def audit(
    runs: str | PathLike[str] | RunFolder | Iterable[str | PathLike[str] | RunFolder], *, windows: int = 10
) -> Audits:
    """Measure the quality of the pseudo-labels of finished runs: over time, by class, between networks.

    The labels of runs that differ only in seeds and draws are pooled. Runs that cannot be used are left out.

    Args:
        runs: the folder of a run, or several.
        windows: number of windows that the steps are divided into.

    Raises:
        InputError: no run can be used.
    """
    listed = [runs] if isinstance(runs, str | PathLike | RunFolder) else list(runs)
    found, problems, without = dict[Path, PseudoLabels](), list[str](), list[Path]()
    read, labeled, left_out = list[RunFolder](), list[RunFolder](), dict[Path, int]()
    for run in map(RunFolder, listed):
        try:
            run.result  # noqa: B018 - raises if the run is not finished
            read.append(run)
        except InputError as error:
            problems += error.problems
    for run in read:
        try:
            if run.has_pseudo_labels:
                made = run.pseudo_labels
                found[run.path], left_out[run.path] = made.checkable, int((made.truths < 0).sum())
            if run.path in found and len(found[run.path].clips):
                labeled.append(run)
            else:
                without.append(run.path)
        except InputError as error:
            problems += error.problems
    if not labeled:
        none = "its algorithm produces none, or no unlabeled clip has a class, or an older version made it"
        raise InputError(
            *problems,
            *(f"{folder} stores no pseudo-labels that can be checked: {none}" for folder in without),
        )
    audits = tuple(
        Audit(
            f"{title}, {len(some)} runs" if len(some) > 1 else title,
            numbers.pooled([found[run.path] for run in some]),
            windows,
            max(left_out[run.path] for run in some),
        )
        for title, some in finished.grouped(labeled).items()
    )
    return Audits(audits, tuple(without), tuple(problems))


def _plain(found: object) -> dict[str, Any]:
    """Return a dataclass of arrays as lists of numbers."""
    return {
        name: _list(value) if isinstance(value, np.ndarray) else value for name, value in vars(found).items()
    }


def _list(values: np.ndarray) -> list[Any]:
    plain = values.astype(object)
    if values.dtype.kind == "f":
        plain = values.round(6).astype(object)
        plain[np.isnan(values)] = None
    listed: list[Any] = plain.tolist()
    return listed
