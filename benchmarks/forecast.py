"""What a benchmark would do and cost, before it is started. Needs no data."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from ssl_video.benchmarks import leaderboard
from ssl_video.contract import Task
from ssl_video.data.dataset import Progress
from ssl_video.engine import assemble
from ssl_video.engine.evaluate import autocast
from ssl_video.engine.layout import place
from ssl_video.engine.noise import noise
from ssl_video.spec import Spec, configuration

_CLIPS = 2  # labeled and as many unlabeled clips in a measured step
_REPEAT = 3


@dataclass(frozen=True)
class Line:
    """The runs of one method.

    Attributes:
        algorithm, networks, protocols: what runs.
        runs: how many, over protocols, draws and seeds.
        finished: how many of them are finished in the results folder.
        clips: videos that training reads in one run.
        seconds: of one run; None: not known.
        measured: where the seconds are from: "finished runs", or "networks alone" without data and test.
    """

    algorithm: str
    networks: str
    protocols: tuple[str, ...]
    runs: int
    finished: int
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
    for name, some in groups.items():
        if measure:
            progress("measuring", len(lines), len(groups))
        lines.append(_line(name, some, finished, seconds.get(name), device if measure else None))
    return lines


def _line(
    name: str,
    specs: Sequence[Spec],
    finished: set[tuple[object, ...]],
    seconds: float | None,
    device: torch.device | None,
) -> Line:
    """The runs of one configuration; `device` is where to measure what has no finished run."""
    spec = specs[0]
    algorithm = assemble.check(spec, num_classes=2)
    clips = spec.steps * (spec.labeled_batch + (spec.unlabeled_batch if algorithm.unlabeled else 0))
    measured = "" if seconds is None else "finished runs"
    if seconds is None and device is not None:
        seconds, measured = _seconds_per_clip(spec, device) * clips, "networks alone"
    return Line(
        spec.algorithm,
        assemble.label(spec),
        tuple(dict.fromkeys(spec.protocol for spec in specs)),
        len(specs),
        sum((name, spec.protocol, spec.label_draw, spec.seed) in finished for spec in specs),
        clips,
        seconds,
        measured,
    )


def _done(results: Path) -> pd.DataFrame:
    if (results / "runs").is_dir():
        return leaderboard.read(results).frame
    return pd.DataFrame(columns=list(leaderboard.COLUMNS)).astype({"seconds": float})


def _seconds_per_clip(spec: Spec, device: torch.device) -> float:
    """Training seconds for each video of a step, of the median of a few small steps on random clips."""
    assembly = assemble.assemble(spec, Task(2, _CLIPS), trained=True)
    algorithm = place(assembly.algorithm, device).train()
    batch = noise(assembly, _CLIPS, _CLIPS, classes=2, size=spec.size, device=device)
    clips = _CLIPS * (2 if algorithm.unlabeled else 1)
    taken = []
    for _ in range(1 + _REPEAT):
        began = time.perf_counter()
        with autocast(spec, device):
            loss = algorithm(batch, 0.5).loss
        loss.backward()
        algorithm.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - began)
    return sorted(taken[1:])[_REPEAT // 2] / clips
