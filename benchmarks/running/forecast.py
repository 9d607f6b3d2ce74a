"""Forecast the runs and costs of a benchmark before it starts. Needs no data."""

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from ssl_video.benchmarks.running import costs
from ssl_video.benchmarks.tables import leaderboard
from ssl_video.benchmarks.tables.naming import method_names
from ssl_video.data.dataset import DEFAULTS
from ssl_video.data.partitions.protocols import ByColumn, Listed, parse
from ssl_video.data.progress import Progress
from ssl_video.display import duration
from ssl_video.networks import assemble
from ssl_video.registry import algorithms
from ssl_video.runs.folder import run_folder
from ssl_video.spec import AUTO, Spec

_DEFAULTS = Spec().model_dump()


@dataclass(frozen=True)
class Line:
    """The runs of one method.

    Attributes:
        method: its name in tables: the algorithm, and the settings that distinguish it from its namesakes.
        networks: a label of its networks.
        data: the data sets, as specified.
        protocols: the partition protocols.
        steps: optimizer steps of one run; 0 of a method that is fitted at once.
        runs: number of runs, over protocols, draws and seeds.
        finished: number of runs that are finished in the results folder.
        clips: videos that the steps of one run read.
        seconds: duration of one run; None: unknown.
        measured: source of the seconds: "finished runs", or "networks alone", without data and test.
        memory: predicted bytes of a step in each process; None: unknown, or not asked for.
    """

    method: str
    networks: str
    data: tuple[str, ...]
    protocols: tuple[str, ...]
    runs: int
    finished: int
    steps: int
    clips: int
    seconds: float | None = None
    measured: str = ""
    memory: int | None = None

    @property
    def space(self) -> str:
        """The memory of a step in words; "?" if it is unknown."""
        if self.memory is None:
            return "?"
        return f"{self.memory / 2**30:.1f} GiB" if self.memory >= 2**30 else f"{self.memory / 2**20:.0f} MiB"

    @property
    def time(self) -> str:
        """The time of one run in words; "?" if it is unknown."""
        return "?" if self.seconds is None else duration(self.seconds)

    @property
    def left(self) -> float | None:
        """Seconds of the unfinished runs, one after the other."""
        return None if self.seconds is None else self.seconds * (self.runs - self.finished)


def forecast(
    specs: Sequence[Spec],
    names: Sequence[str | None],
    results: Path,
    device: torch.device,
    *,
    measure: bool = False,
    processes: int = 1,
    progress: Progress = lambda *_: None,
) -> list[Line]:
    """Forecast the runs of specifications, as far as possible without the data.

    Identical runs count once. One without a name counts as finished if the results folder has one of the same
    configuration, protocol, draw and seed on data of the same file name.

    Args:
        specs: resolved specifications.
        names: the name of each one's run, see `prepare.Checked`; None if its data is absent.
        results: the results folder, which need not exist.
        device: the device that steps are measured on.
        measure: whether to run a few steps, on random clips, of each method without a finished run, and to
            predict the memory of each method's step.
        processes: number of processes of a run.
        progress: called with the number of methods that are done.

    Raises:
        InputError: every algorithm, network and view that cannot be built.
    """
    done = _done(results)
    seconds = done.groupby("configuration")["seconds"].mean().to_dict()
    groups, finished = _grouped(specs, names), set[Hashable](done["run"])
    if None in names:
        finished |= {*_identities(results, done[done["configuration"].isin(groups)])}
    lines = list[Line]()
    methods = method_names({name: runs[0].spec for name, runs in groups.items()})
    for name, runs in groups.items():
        if measure:
            progress("measuring", len(lines), len(groups))
        line = _line(methods[name], runs, finished, seconds.get(name), device if measure else None)
        if measure and line.steps:
            line = replace(line, memory=costs.memory(runs[0].spec, processes))
        lines.append(line)
    return lines


class _Run(NamedTuple):
    """A run, and the name or identity that finds it among the finished ones."""

    spec: Spec
    identity: Hashable


def _grouped(specs: Sequence[Spec], names: Sequence[str | None]) -> dict[str, list[_Run]]:
    """Return each run once, by its configuration."""
    groups = dict[str, dict[Hashable, _Run]]()
    for spec, name in zip(specs, names, strict=True):
        configured = assemble.configured(spec)
        run = _Run(spec, name or _identity(spec, configured))
        # Files with the same name may hold different data.
        groups.setdefault(configured, {}).setdefault(name or (run.identity, spec.data, spec.root), run)
    return {configured: [*runs.values()] for configured, runs in groups.items()}


def _line(
    method: str,
    runs: Sequence[_Run],
    finished: Collection[Hashable],
    seconds: float | None,
    device: torch.device | None,
) -> Line:
    """Forecast the runs of one configuration; without a finished run, steps are measured on `device`."""
    specs = [run.spec for run in runs]
    spec = specs[0]
    steps = 0 if getattr(algorithms.get(spec.algorithm), "at_once", False) else spec.steps
    clips = steps * costs.clips(spec)
    measured = "" if seconds is None else "finished runs"
    if seconds is None and device is not None:
        seconds, measured = steps * costs.seconds(spec, device) if steps else 0.0, "networks alone"
    return Line(
        method,
        assemble.label(spec),
        tuple(dict.fromkeys(spec.data for spec in specs)),
        tuple(dict.fromkeys(spec.protocol for spec in specs)),
        len(runs),
        sum(run.identity in finished for run in runs),
        steps,
        clips,
        seconds,
        measured,
    )


def _identity(spec: Spec, configured: str) -> Hashable:
    """Return a run's identity without its data; identical draws have the same identity."""
    rule = None if spec.protocol == AUTO else parse(spec.protocol, Path(spec.lists) if spec.lists else None)
    drawn = spec.validation or spec.folds or not isinstance(rule, ByColumn | Listed)
    return _cell(configured, spec.model_dump(), spec.label_draw if drawn else None)


def _identities(results: Path, done: pd.DataFrame) -> Iterator[Hashable]:
    """Yield the identities of finished runs without their data, both with and without their draw."""
    for run, configured in done[["run", "configuration"]].itertuples(index=False, name=None):
        record = run_folder(results, run).finished()
        if record:
            values = _DEFAULTS | record.spec
            draw = values["seed"] if values["draw"] is None else values["draw"]
            yield _cell(configured, values, draw)
            yield _cell(configured, values, None)
            if values["protocol"] in DEFAULTS:  # perhaps by the data, which is absent now
                yield _cell(configured, values | {"protocol": AUTO}, draw)


def _cell(configured: str, values: Mapping[str, Any], draw: int | None) -> Hashable:
    own = ("split", "folds", "protocol", "labeled_in_unlabeled", "validation", "seed")
    return configured, draw, Path(values["data"]).name, *(values[key] for key in own)


def _done(results: Path) -> pd.DataFrame:
    if (results / "runs").is_dir():
        return leaderboard.read(results).frame
    return pd.DataFrame(columns=list(leaderboard.COLUMNS)).astype({"seconds": float})
