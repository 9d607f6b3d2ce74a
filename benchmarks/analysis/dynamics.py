"""Test runs on clips with their time changed: the call behind `ssl-video analyze dynamics`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ssl_video.benchmarks.analysis import finished
from ssl_video.benchmarks.tables.statistics import Interval, interval
from ssl_video.errors import InputError
from ssl_video.inference import temporal_robustness
from ssl_video.inference.temporal_robustness import CHANGES, ORIGINAL, Scores
from ssl_video.observer import Observer, observer
from ssl_video.runs.folder import DYNAMICS, RunFolder

if TYPE_CHECKING:
    from ssl_video.data.dataset import Data

Effects = dict[str, dict[str, Interval]]
"""By network and change: the mean top-1 on original clips; for other changes the mean difference from it."""


@dataclass(frozen=True)
class Dynamics:
    """Accuracies of the networks of finished runs on clips slowed, frozen, reversed, shuffled.

    Attributes:
        scores: by the folder of a run: accuracies in [0, 1] by network, change and measure.
        problems: a sentence for each run that cannot be used.
        without: folders of runs that have no test clips.
    """

    scores: Mapping[Path, Scores]
    problems: tuple[str, ...] = ()
    without: tuple[Path, ...] = ()

    @cached_property
    def effects(self) -> dict[str, Effects]:
        """By method: for each network the mean top-1 in [0, 1] on original clips, and the differences to it.

        Means and 95 % intervals are over the runs that differ only in seeds and draws.
        """
        return {
            title: _effects([self.scores[run.path] for run in runs])
            for title, runs in finished.grouped([RunFolder(path) for path in self.scores]).items()
        }

    def to_frame(self) -> pd.DataFrame:
        """Return `effects` as rows; columns: method, network, change, mean, half_width and n."""
        rows = [
            {"method": title, "network": network, "change": change, **found._asdict()}
            for title, networks in self.effects.items()
            for network, changes in networks.items()
            for change, found in changes.items()
        ]
        return pd.DataFrame(rows)


def dynamics(
    runs: str | PathLike[str] | RunFolder | Iterable[str | PathLike[str] | RunFolder] | None = None,
    *,
    results: str | PathLike[str] = "ssl-video-results",
    again: bool = False,
    device: str = "auto",
    trust: bool = False,
    skip_broken: bool = False,
    cache_gib: float = 20.0,
    progress: bool | Observer | None = None,
) -> Dynamics:
    """Test the networks of finished runs on clips slowed, frozen, reversed, shuffled.

    The accuracies are stored with each run, in dynamics.json, and not measured twice. Runs that cannot be
    used are left out.

    Args:
        runs: the folder of a run, or several; None: all finished runs of the results folder.
        results: the results folder.
        again: measure what was measured before.
        device: "auto", "cpu", "cuda" or "cuda:1".
        trust: allow that the code of runs is imported, see `ssl_video.load_model`.
        skip_broken: quarantine videos that cannot be decoded, in place of stopping.
        cache_gib: bound of the cache of decoded frames, in GiB; 0: no cache.
        progress: True, False, or an observer; None: shown where there is a terminal or a notebook.

    Raises:
        InputError: there is no run, or none can be used.
    """
    if runs is None:
        runs = finished.in_folder(Path(results))
    listed = [runs] if isinstance(runs, str | PathLike | RunFolder) else list(runs)
    measure = _Measure(observer(progress), again, device, trust, skip_broken, cache_gib)
    scores, problems, without = dict[Path, Scores](), list[str](), list[Path]()
    for run in map(RunFolder, listed):
        try:
            if run.result.test:
                scores[run.path] = measure(run)
            else:
                without.append(run.path)
        except InputError as error:
            problems += [p if run.name in p else f"{run.name}: {p}" for p in error.problems]
    if not scores:
        problems += [f"{path} has no test clips to measure on" for path in without]
        raise InputError(*problems or ["there is no run to measure"])
    return Dynamics(scores, tuple(problems), tuple(without))


class _Measure:
    """Measures the accuracies of a run's networks; data that several runs share is opened once."""

    def __init__(
        self, observer: Observer, again: bool, device: str, trust: bool, skip_broken: bool, cache_gib: float
    ) -> None:
        self.observer, self.again, self.device, self.trust = observer, again, device, trust
        self.skip_broken, self.cache_gib = skip_broken, cache_gib
        self._opened = dict[tuple[object, ...], "Data"]()

    def __call__(self, run: RunFolder) -> Scores:
        """Return the accuracies that are stored with a run, or measure and store them.

        Raises:
            InputError: the run is not finished, its networks or its data cannot be read.
        """
        result = run.result
        if not self.again and (run.path / DYNAMICS).exists():
            return temporal_robustness.read(run.path)
        from ssl_video.data.dataset import frames_key, load
        from ssl_video.training import machine  # imports torch, which takes seconds

        model = run.model(self.device, trust=self.trust)
        spec = model.spec
        key = frames_key(spec)
        with self.observer.preparing() as progress:
            if key not in self._opened:
                self._opened[key] = load(
                    spec, skip_broken=self.skip_broken, cache_gib=self.cache_gib, progress=progress
                )
            scores = model.sensitivity(
                self._opened[key], lambda done, total: progress(f"testing {run.name}", done, total)
            )
        for sentence in temporal_robustness.differences(scores, result):
            self.observer.warn(f"{run.name}: {sentence}")
        temporal_robustness.write(run.path, scores, machine.environment(model.device))
        return scores


def _effects(runs: list[Scores]) -> Effects:
    """Return the means over runs: accuracies on original clips, and differences on changed ones."""
    found: Effects = {}
    for network in runs[0]:
        tops = {
            change: [temporal_robustness.top1(scores, network, change) for scores in runs]
            for change in CHANGES
        }
        original = tops[ORIGINAL]
        found[network] = {ORIGINAL: interval(original)}
        for change, changed in tops.items():
            if change != ORIGINAL:
                found[network][change] = interval([a - b for a, b in zip(changed, original, strict=True)])
    return found
