"""Finished runs with chosen accuracies: their rows and results, and comparisons of them."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from ssl_video.benchmarks.tables.compare import comparison
from ssl_video.benchmarks.tables.comparison import Comparison
from ssl_video.benchmarks.tables.leaderboard import COLUMNS
from ssl_video.benchmarks.tables.table_content import TableContent, lay_out
from ssl_video.benchmarks.tables.terminal import to_terminal
from ssl_video.runs.folder import RunFolder, run_folder
from ssl_video.runs.result import Result

FACTS: dict[str, Any] = {
    "backbone": "tiny3d", "initialisation": "scratch", "dataset": "demo", "protocol": "per-class:4",
    "labeled": 40, "unlabeled": 560, "without_label": 0, "test": 200, "classes": 10,
    "frames": 8, "stride": 2, "size": 32,
    "steps": 300, "predictor": "model", "top5": 0.9, "mean_class": 0.5, "seconds": 30.0, "data_wait": 0.125,
    "clips_seen": 9600,
    "parameters": 1000, "parameters_trained": 1000, "gflops": 0.5, "training_gflops": 900.0, "options": "{}",
    "labeled_in_unlabeled": False, "validation": 0.0,
    "dataset_fingerprint": "d0123456789ab", "setting": "s00000000", "finished": "2026-11-21T21:40:00Z",
    "device": "cpu (x86_64)", "threads": 1, "processes": 1, "torch": "2.15.0",
}  # fmt: skip
# What a record holds beside the columns of the leaderboard.
FURTHER: dict[str, Any] = {
    "format": 2, "train_seconds": 25.0, "test_seconds": 5.0, "validation_accuracies": {}, "skipped_steps": 0,
    "pseudo_labels_used": {}, "frame_cache": {"hit_rate": 1.0}, "left_out": 0,
}  # fmt: skip
MACHINE: dict[str, Any] = {
    "ssl_video": "0.1.0", "python": "3.12.1", "system": "Linux", "decoder": "PyAV 14.2.0",
}  # fmt: skip


def run(algorithm: str, top1: float | None, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """One run; by default the draw of labels is the seed's, as in a benchmark, and names its partition."""
    facts = FACTS | {"algorithm": algorithm, "top1": top1, "seed": seed, "draw": seed} | changes
    labels = f"p{facts['draw']}{facts['protocol']}{facts['dataset']}".ljust(13, "0")[:13]
    facts = {"fingerprint": labels, "configuration": f"c{algorithm}", "predictors": {"model": top1}} | facts
    spec = {"algorithm": algorithm, "steps": facts["steps"], "options": json.loads(facts["options"])}
    facts = {"spec": spec, "run": f"{algorithm}-{seed}-{facts['configuration']}"} | facts
    assert set(COLUMNS) <= set(facts)
    return facts


def record(**changes: Any) -> dict[str, Any]:
    """Return what the result.json of a finished run holds, with chosen values.

    Values of the environment are given by their names. Of each predictor all accuracies are given, or its
    top-1 alone.
    """
    facts = run("cmpl", 0.5) | FURTHER | MACHINE | changes
    made_with = {key: facts.pop(key) for key in (*MACHINE, "device", "threads", "processes", "torch")}
    options = facts["options"]
    facts["options"] = json.loads(options) if isinstance(options, str) else options
    facts["predictors"] = {name: _accuracies(found) for name, found in facts["predictors"].items()}
    return {"environment": made_with} | facts


def _accuracies(found: Any) -> Any:
    return {"top1": found, "top5": 1.0, "mean_class": found} if isinstance(found, int | float) else found


def result(**changes: Any) -> Result:
    """Return the result of a finished run with chosen values, see `record`."""
    return Result.read(json.dumps(record(**changes)))


def write_result(results: Path, **changes: Any) -> Path:
    """Write a finished run with chosen values into a results folder, and return its folder."""
    made = result(**changes)
    folder = run_folder(results, made.run)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_result(made)
    return folder.path


def write_into(folder: Path, **changes: Any) -> Path:
    """Write a result with chosen values into a run's folder, whose name is the run's."""
    folder.mkdir(parents=True, exist_ok=True)
    RunFolder(folder).write_result(result(**{"run": folder.name} | changes))
    return folder


def compare(*runs: dict[str, Any], **arguments: Any) -> Comparison:
    return comparison(pd.DataFrame(runs), **arguments)


def draws(algorithm: str, *top1: float, **changes: Any) -> list[dict[str, Any]]:
    """One run for each accuracy, of seeds 0, 1, ..."""
    return [run(algorithm, value, seed, **changes) for seed, value in enumerate(top1)]


def shown(result: Comparison, width: int = 80) -> list[str]:
    """The lines that a terminal of that width shows."""
    return shown_table(lay_out(result), width)


def shown_table(content: TableContent, width: int = 80) -> list[str]:
    """Likewise of a layout."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(to_terminal(content, width))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def titles(result: Comparison) -> list[str]:
    return [column.title for column in result.columns]


def labels(result: Comparison) -> list[str]:
    return [row.label for row in result.rows]


def benchmark() -> Comparison:
    """Four methods, two protocols, three seeds; a missing cell, one run, an extra configuration."""
    ten = {"protocol": "per-class:10", "labeled": 100, "unlabeled": 500}
    long = {"steps": 900, "setting": "s11111111", "configuration": "clong"}
    return compare(
        *draws("supervised", 0.42, 0.45, 0.48), *draws("supervised", 0.5, 0.52, 0.54, **ten),
        *draws("pseudolabel", 0.42, 0.45, 0.48),
        *draws("fixmatch", 0.46, 0.495, 0.53), *draws("fixmatch", 0.58, **ten),
        *draws("fixmatch", 0.5, 0.6, **long),
        *draws("cmpl", 0.52, 0.545, 0.585), *draws("cmpl", 0.38, 0.44, 0.41, **ten),
    )  # fmt: skip
