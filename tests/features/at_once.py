"""Measure the time per clip of a frozen network by clips per pass, alternating in one process.

python tests/features/at_once.py [THREADS] [ROUNDS]

EfficientNet-Lite0, clips of 6 frames of 128 pixels, on the CPU.
"""

import statistics
import sys
import time

import torch

from ssl_video import backbones

SIZES = (1, 2, 4, 8, 16, 32)
FRAMES, SIZE = 6, 128


def main(threads: int, rounds: int) -> None:
    """Print the median milliseconds per clip for each number of clips."""
    torch.set_num_threads(threads)
    network = backbones.create(
        "timm/tf_efficientnet_lite0", 5, frames=FRAMES, size=SIZE, weights="imagenet-lite", probe="linear"
    )
    network = network.to(memory_format=torch.channels_last)
    seconds = {size: list[float]() for size in SIZES}
    for _ in range(rounds + 1):
        for size, times in seconds.items():
            clips = torch.randn(size, 3, FRAMES, SIZE, SIZE).to(memory_format=torch.channels_last_3d)
            began = time.perf_counter()
            network.features(clips)
            times.append((time.perf_counter() - began) / size)
    for size, times in seconds.items():
        print(f"{size:2d} clips: {1000 * statistics.median(times[1:]):.0f} ms each")


if __name__ == "__main__":
    main(*(int(argument) for argument in (sys.argv[1:] + ["1", "9"][len(sys.argv) - 1 :])))
