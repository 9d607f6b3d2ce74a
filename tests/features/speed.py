"""Measure a step with stored features against the same step without them, alternating in one process.

python tests/features/speed.py [STEPS]

EfficientNet-Lite0, 4 frames of 112 pixels, FixMatch on the demo data, one thread. The features are computed
first, which takes minutes; a second call finds them.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from ssl_video.data.dataset import load
from ssl_video.spec import build
from ssl_video.training.execution import Execution
from ssl_video.training.loop import _Update
from ssl_video.training.pseudo_label_log import PseudoLabelLog
from ssl_video.training.run import plan
from ssl_video.training.state import Training

SETTINGS = {
    **{"data": "demo", "protocol": "per-class:2", "algorithm": "fixmatch", "probe": "linear", "steps": 10**6},
    **{"backbone": "timm/tf_efficientnet_lite0", "weights": "imagenet-lite"},
    **{"frames": 4, "stride": 2, "size": 112},
}
# Steps with features per step with clips, and steps of each kind that are not counted.
EACH, WARMUP = 20, 2
CPU = torch.device("cpu")


def training(copies: int, folder: Path) -> Training:
    """Return the run, with its features stored."""
    spec = build(SETTINGS | {"feature_copies": copies})
    made = plan(spec, load(spec), CPU)
    run = Training(made.spec, made.data, made.partition, folder, Execution("cpu", threads=1))
    run.prepare(lambda done, total: print(f"\rcomputing features {done}/{total}", end="", flush=True))
    return run


def main(steps: int) -> None:
    """Print the median times and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [training(copies, Path(folder)) for copies in (0, 2)]
        updates = [_Update(run, PseudoLabelLog(run.records, run.processes)) for run in runs]
        batches = [run.batches() for run in runs]
        seconds: list[list[float]] = [[], []]
        for _ in range(steps + WARMUP):
            for kind, times in enumerate((1, EACH)):
                for _ in range(times):
                    began = time.perf_counter()
                    updates[kind]([next(batches[kind])], 0.5)
                    seconds[kind].append(time.perf_counter() - began)
    clips, features = (
        statistics.median(found[WARMUP * times :]) for found, times in zip(seconds, (1, EACH), strict=True)
    )
    print(f"\nclips {1000 * clips:.0f} ms, features {1000 * features:.2f} ms: {clips / features:.0f} times")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
