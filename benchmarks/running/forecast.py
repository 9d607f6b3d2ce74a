"""What a benchmark would do and cost, before it is started. Needs no data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from ssl_video.benchmarks.running import costs
from ssl_video.benchmarks.tables import leaderboard
from ssl_video.benchmarks.tables.naming import method_names
from ssl_video.data.dataset import Progress
from ssl_video.engine import assemble
from ssl_video.spec import Spec, configuration


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
    results: Path,
    device: torch.device,
    *,
    measure: bool = False,
    progress: Progress = lambda *_: None,
) -> list[Line]:
    """What runs of specifications are to be done, as far as that can be said without the data.

    A run counts as finished if the results folder has one of the same configuration, protocol, draw and seed.

    Args:
        specs: specifications that went through `assemble.resolve`.
        results: the results folder; need not exist.
        device: where steps are measured.
        measure: run a few steps on random clips of each method that has no finished run.
        progress: told how many methods are done.

    Raises:
        InputError: every algorithm, network and view that cannot be built.
    """
    done = _done(results)
    seconds = done.groupby("configuration")["seconds"].mean().to_dict()
    finished = set(done[["configuration", "protocol", "draw", "seed"]].itertuples(index=False, name=None))
    groups = dict[str, list[Spec]]()
    for spec in specs:
        groups.setdefault(configuration(spec, assemble.source(spec)), []).append(spec)
    lines = list[Line]()
    methods = method_names({name: spec for name, (spec, *_) in groups.items()})
    for name, some in groups.items():
        if measure:
            progress("measuring", len(lines), len(groups))
        lines.append(
            _line(methods[name], name, some, finished, seconds.get(name), device if measure else None)
        )
    return lines


def _line(
    method: str,
    name: str,
    specs: Sequence[Spec],
    finished: set[tuple[object, ...]],
    seconds: float | None,
    device: torch.device | None,
) -> Line:
    """The runs of one configuration; `device` is where to measure what has no finished run."""
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
        len(specs),
        sum((name, spec.protocol, spec.label_draw, spec.seed) in finished for spec in specs),
        spec.steps,
        clips,
        seconds,
        measured,
    )


def _done(results: Path) -> pd.DataFrame:
    if (results / "runs").is_dir():
        return leaderboard.read(results).frame
    return pd.DataFrame(columns=list(leaderboard.COLUMNS)).astype({"seconds": float})
