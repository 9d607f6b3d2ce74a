"""Measure how much faster threads make the test of a network, and print the ratios.

python tests/inference/evaluation_speed.py DATA [BACKBONE] [THREADS]

DATA is a folder of class folders. Each round tests up to 100 videos without and with threads, in alternating
order and without stored frames.
"""

import sys
import time
from pathlib import Path

import torch

from ssl_video.contract import Task
from ssl_video.data.frames.store import FrameStore
from ssl_video.inference.evaluate import probabilities
from ssl_video.networks.assemble import assemble, resolve
from ssl_video.spec import build

ROUNDS, VIDEOS, SIZE = 5, 100, 112
CPU = torch.device("cpu")


def main(data: str, backbone: str = "x3d_xs", threads: str = "2") -> None:
    """Print seconds without and with threads, and their ratio, for each round."""
    files = sorted(map(str, (path for path in Path(data).rglob("*") if path.is_file())))[:VIDEOS]
    spec = resolve(build({"backbone": backbone, "frames": 8, "size": SIZE, "test_clips": 2}), CPU)
    assembly = assemble(spec, Task(5, 0), trained=True)
    store = FrameStore(files, SIZE * 8 // 7, limit=0)
    rows = [row for row in range(len(files)) if not store.prepare([row])]

    def seconds(number: int) -> float:
        began = time.monotonic()
        probabilities(assembly.predictors(), assembly.shape_for, store, rows, spec, CPU, threads=number)
        return time.monotonic() - began

    for place in range(ROUNDS):
        order = (0, int(threads)) if place % 2 else (int(threads), 0)
        found = {number: seconds(number) for number in order}
        alone, ahead = found[0], found[int(threads)]
        ratio = f"{alone:.1f} s, with {threads} threads {ahead:.1f} s, ratio {alone / ahead:.2f}"
        print(f"{len(rows)} videos: {ratio}")


if __name__ == "__main__":
    main(*sys.argv[1:])
