"""Check a benchmark without running it, and forecast its runs and costs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from ssl_video.benchmarks.running import feature_costs, prepare
from ssl_video.benchmarks.running.forecast import Line, forecast
from ssl_video.data.dataset import source
from ssl_video.display import duration
from ssl_video.errors import counted
from ssl_video.observer import Observer
from ssl_video.spec import Spec
from ssl_video.training.execution import Execution


@dataclass(frozen=True)
class Forecast:
    """The runs of a benchmark before it is started.

    Attributes:
        lines: one per method: its networks, runs, steps, clips, and seconds of a run.
        data: sentences on each data set that is present: its clips, and the number of labeled ones.
        notes: sentences on data that is absent, and on the budgets that methods share.
        results: the results folder.
        device: the device that runs would use.
        jobs: number of concurrent runs; None: decided by the executor.
    """

    lines: tuple[Line, ...]
    data: tuple[str, ...]
    notes: tuple[str, ...]
    results: Path
    device: str
    jobs: int | None

    def __str__(self) -> str:
        return "\n".join([self.to_frame().to_string(), *self.data, *self.notes, self.summary])

    @property
    def runs(self) -> int:
        """The number of runs."""
        return sum(line.runs for line in self.lines)

    @property
    def finished(self) -> int:
        """The number of runs that are finished in the results folder."""
        return sum(line.finished for line in self.lines)

    @property
    def seconds(self) -> float | None:
        """Seconds until all runs of known duration are finished; None: no duration is known."""
        known = [line.left for line in self._to_do if line.left is not None]
        return sum(known) / self._at_once if known else None

    @property
    def summary(self) -> str:
        """The number of runs and their time, as a sentence."""
        text = f"{counted(self.runs, 'run')}, {self.finished} of them finished in {self.results}"
        if self.seconds is not None:
            time, jobs = duration(self.seconds), self._at_once
            text += f"; to do: about {time}, {jobs} at a time on {self.device}"
        sources = {line.measured for line in self._to_do if line.measured}
        if sources:
            text += f" ({', '.join(sorted(sources))})"
        if any(line.left is None for line in self._to_do):
            text += "; ?: the time is unknown, and --measure times a few steps"
        return text

    def to_frame(self) -> pd.DataFrame:
        """Return one row per method; columns: the attributes of `Line`, and `left`, the remaining seconds."""
        return pd.DataFrame([asdict(line) | {"left": line.left} for line in self.lines])

    @property
    def _to_do(self) -> list[Line]:
        return [line for line in self.lines if line.finished < line.runs]

    @property
    def _at_once(self) -> int:
        return min(self.jobs or self.runs, self.runs - self.finished)


def dry_run(
    specs: Sequence[Spec],
    execution: Execution,
    observer: Observer,
    *,
    measure: bool = False,
    commands: Sequence[str] = (),
) -> Forecast:
    """Check the runs of a benchmark, and forecast them.

    Args:
        specs: the runs.
        execution: execution settings of the runs.
        observer: shows progress.
        measure: whether to run a few steps of each method without a finished run.
        commands: commands that make the data, for data that is absent.

    Raises:
        InputError: every problem that the benchmark would report, except absent data.
    """
    device = execution.torch_device
    resolved = prepare.resolve(specs, device)
    present = [source(spec).exists() for spec in resolved]
    here = [spec for spec, is_here in zip(resolved, present, strict=True) if is_here]
    away = [spec for spec, is_here in zip(resolved, present, strict=True) if not is_here]
    with observer.preparing() as progress:
        prepare.check_methods(away, execution)
        checked = prepare.check(here, execution, progress, compared=True)
        known = iter(checked)
        names = [next(known).name if is_here else None for is_here in present]
        lines = forecast(
            resolved,
            names,
            execution.results,
            device,
            measure=measure,
            processes=execution.processes,
            progress=progress,
        )
        features = feature_costs.seconds(checked, device) if measure else 0.0
    absent = [data for data in dict.fromkeys(spec.data for spec in away) if data != "demo"]
    notes = [f"{data} is not available: runs need it, this list does not" for data in absent]
    notes += [f"  {command}" for command in commands if absent]
    notes += _budgets(resolved)
    if features:
        notes.append(
            f"features of frozen networks: about {duration(features)} in one process, once for all runs, if "
            "none is stored (networks alone)"
        )
    jobs, place = execution.jobs, execution.results
    return Forecast(tuple(lines), tuple(_data(checked)), tuple(notes), place, execution.device, jobs)


def _data(checked: Sequence[prepare.Checked]) -> list[str]:
    """Return sentences on each data set: its clips, and the number that each protocol labels."""
    sentences = list[str]()
    for found in checked:
        index, partition = found.index, found.partition
        sentences.append(f"{index.name}: {index.sizes}")
        labeled, unlabeled = len(partition.labeled), len(partition.unlabeled)
        sentences.append(f"  {found.spec.protocol}: {labeled:,} labeled, {unlabeled:,} unlabeled")
        sentences += [f"  {note}" for note in partition.notes]
    return list(dict.fromkeys(sentences))


def _budgets(specs: Sequence[Spec]) -> list[str]:
    """Return a sentence for each budget that methods share."""
    return [
        f"matched: {match} for all methods; --match {match} keeps this budget when methods are added"
        for match in dict.fromkeys(spec.match for spec in specs)
        if match
    ]
