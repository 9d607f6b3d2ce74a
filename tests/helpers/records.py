"""Records of finished runs with chosen accuracies, and comparisons of them."""

import io
import json
from typing import Any

import pandas as pd
from rich.console import Console

from ssl_video.benchmarks.tables.cells import Comparison
from ssl_video.benchmarks.tables.compare import comparison
from ssl_video.benchmarks.tables.layout import Grid, plain
from ssl_video.benchmarks.tables.leaderboard import COLUMNS
from ssl_video.benchmarks.tables.terminal import to_terminal

FACTS: dict[str, Any] = {
    "backbone": "tiny3d", "initialisation": "scratch", "dataset": "demo", "protocol": "per-class:4",
    "labeled": 40, "unlabeled": 560, "test": 200, "classes": 10, "frames": 8, "stride": 2, "size": 32,
    "steps": 300, "predictor": "model", "top5": 0.9, "mean_class": 0.5, "seconds": 30.0, "clips_seen": 9600,
    "parameters": 1000, "parameters_trained": 1000, "gflops": 0.5, "training_gflops": 900.0, "options": "{}",
    "labeled_in_unlabeled": False, "validation": 0.0,
    "dataset_fingerprint": "d0123456789ab", "setting": "s00000000", "finished": "2026-11-21T21:40:00Z",
}  # fmt: skip


def run(algorithm: str, top1: float, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """One run; by default the draw of labels is the seed's, as in a benchmark, and names its partition."""
    facts = FACTS | {"algorithm": algorithm, "top1": top1, "seed": seed, "draw": seed} | changes
    labels = f"p{facts['draw']}{facts['protocol']}{facts['dataset']}".ljust(13, "0")[:13]
    facts = {"fingerprint": labels, "configuration": f"c{algorithm}", "predictors": {"model": top1}} | facts
    spec = {"algorithm": algorithm, "steps": facts["steps"], "options": json.loads(facts["options"])}
    facts = {"spec": spec, "run": f"{algorithm}-{seed}-{facts['configuration']}"} | facts
    assert set(COLUMNS) <= set(facts)
    return facts


def compare(*runs: dict[str, Any], **arguments: Any) -> Comparison:
    return comparison(pd.DataFrame(runs), **arguments)


def draws(algorithm: str, *top1: float, **changes: Any) -> list[dict[str, Any]]:
    """One run for each accuracy, of seeds 0, 1, ..."""
    return [run(algorithm, value, seed, **changes) for seed, value in enumerate(top1)]


def shown(result: Comparison, width: int = 80) -> list[str]:
    """The lines that a terminal of that width shows."""
    return shown_grid(plain(result), width)


def shown_grid(grid: Grid, width: int = 80) -> list[str]:
    """Likewise of a layout."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(to_terminal(grid, width))
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
