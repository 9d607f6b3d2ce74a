"""What a benchmark would do and cost, before it is started. Needs no data."""

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from ssl_video.benchmarks.running import costs
from ssl_video.benchmarks.tables import leaderboard
from ssl_video.benchmarks.tables.naming import method_names
from ssl_video.data.dataset import Progress
from ssl_video.data.partitions.protocols import Column, Listed, parse
from ssl_video.engine import assemble
from ssl_video.engine.record import read_result
from ssl_video.spec import Spec, configuration

_DEFAULTS = Spec().model_dump()


@dataclass(frozen=True)
class Line:
    """The runs of one method.

    Attributes:
        method: its name in tables: the algorithm and what tells it from others of that name.
        networks: its networks in a few words.
        data: the data sets, as specified.
        protocols: which clips are labeled.
        steps: of one run.
        runs: how many, over protocols, draws and seeds.
        finished: how many of them are finished in the results folder.
        clips: videos that training reads in one run.
        seconds: of one run; None: not known.
        measured: where the seconds are from: "finished runs", or "networks alone" without data and test.
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

    @property
    def left(self) -> float | None:
        """Seconds of the runs that are not finished, one after the other."""
        return None if self.seconds is None else self.seconds * (self.runs - self.finished)


def forecast(
    specs: Sequence[Spec],
    names: Sequence[str | None],
    results: Path,
    device: torch.device,
    *,
    measure: bool = False,
    progress: Progress = lambda *_: None,
) -> list[Line]:
    """What runs of specifications are to be done, as far as that can be said without the data.

    Runs that are the same count once. One without a name counts as finished if the results folder has one of
    the same configuration, protocol, draw and seed on data of the same file name.

    Args:
        specs: specifications that went through `assemble.resolve`.
        names: the run of each, see `prepare.Checked`; None where its data is not here.
        results: the results folder; need not exist.
        device: where steps are measured.
        measure: run a few steps on random clips of each method that has no finished run.
        progress: told how many methods are done.

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
        lines.append(_line(methods[name], runs, finished, seconds.get(name), device if measure else None))
    return lines


class _Run(NamedTuple):
    """A run, and what it is known by among the finished ones: its name, or its identity."""

    spec: Spec
    identity: Hashable


def _grouped(specs: Sequence[Spec], names: Sequence[str | None]) -> dict[str, list[_Run]]:
    """Each run once, by its configuration."""
    groups = dict[str, dict[Hashable, _Run]]()
    for spec, name in zip(specs, names, strict=True):
        configured = configuration(spec, assemble.source(spec))
        run = _Run(spec, name or _identity(spec, configured))
        # Files of one name may hold different data.
        groups.setdefault(configured, {}).setdefault(name or (run.identity, spec.data, spec.root), run)
    return {configured: [*runs.values()] for configured, runs in groups.items()}


def _line(
    method: str,
    runs: Sequence[_Run],
    finished: Collection[Hashable],
    seconds: float | None,
    device: torch.device | None,
) -> Line:
    """The runs of one configuration; `device` is where to measure what has no finished run."""
    specs = [run.spec for run in runs]
    spec = specs[0]
    clips = spec.steps * costs.clips(spec)
    measured = "" if seconds is None else "finished runs"
    if seconds is None and device is not None:
        seconds, measured = spec.steps * costs.seconds(spec, device), "networks alone"
    return Line(
        method,
        assemble.label(spec),
        tuple(dict.fromkeys(spec.data for spec in specs)),
        tuple(dict.fromkeys(spec.protocol for spec in specs)),
        len(runs),
        sum(run.identity in finished for run in runs),
        spec.steps,
        clips,
        seconds,
        measured,
    )


def _identity(spec: Spec, configured: str) -> Hashable:
    """What a run is known by without its data; draws that are the same are one."""
    rule = parse(spec.protocol, Path(spec.lists) if spec.lists else None)
    drawn = spec.validation or not isinstance(rule, Column | Listed)
    return _cell(configured, spec.model_dump(), spec.label_draw if drawn else None)


def _identities(results: Path, done: pd.DataFrame) -> Iterator[Hashable]:
    """What finished runs are known by without their data, with their draw and as if they had none."""
    for run, configured in done[["run", "configuration"]].itertuples(index=False, name=None):
        record = read_result(results / "runs" / run)
        if record:
            values = _DEFAULTS | record["spec"]
            draw = values["seed"] if values["draw"] is None else values["draw"]
            yield _cell(configured, values, draw)
            yield _cell(configured, values, None)


def _cell(configured: str, values: Mapping[str, Any], draw: int | None) -> Hashable:
    own = ("split", "protocol", "labeled_in_unlabeled", "validation", "seed")
    return configured, draw, Path(values["data"]).name, *(values[key] for key in own)


def _done(results: Path) -> pd.DataFrame:
    if (results / "runs").is_dir():
        return leaderboard.read(results).frame
    return pd.DataFrame(columns=list(leaderboard.COLUMNS)).astype({"seconds": float})
