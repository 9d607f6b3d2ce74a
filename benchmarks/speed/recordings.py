"""The cost of a long unlabeled recording, which no run decodes as a whole.

    python -m ssl_video.benchmarks.speed.recordings FOLDER

makes recordings of a minute, ten minutes and ten hours in FOLDER, each by repeating the packets of a demo
clip without encoding them again. It trains two steps on the demo clips with each of them, and with none, in a
process and a cache of its own.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import av

from ssl_video.data import demo
from ssl_video.errors import InputError
from ssl_video.runs.folder import run_folders

LENGTHS = {"none": 0, "1 minute": 60, "10 minutes": 600, "10 hours": 36_000}
_TRAIN = (
    *("train", "--data", "demo", "--algo", "fixmatch", "--protocol", "per-class:1", "--steps", "2"),
    *("--size", "32", "--frames", "4", "--test-clips", "1", "--device", "cpu"),
)


@dataclass(frozen=True)
class RecordingCost:
    """The cost of a run with a recording.

    Attributes:
        clips: number of its unlabeled clips.
        seconds: time from the start of the process to its end, without the two steps.
        memory: largest memory of the process, in bytes.
        cache: size of the frame cache, in bytes.
    """

    clips: int
    seconds: float
    memory: int
    cache: int


def repeated(source: Path, target: Path, seconds: float) -> None:
    """Write a video that repeats another one, at least `seconds` long, without encoding it again."""
    with av.open(str(source)) as video:
        stream = video.streams.video[0]
        packets = [packet for packet in video.demux(stream) if packet.size]
        assert stream.time_base is not None
        assert all(packet.pts is not None and packet.dts is not None for packet in packets)
        times = [(packet.pts or 0, packet.dts or 0) for packet in packets]
        span = round(max(pts for pts, _ in times) * len(packets) / (len(packets) - 1))
        count = int(seconds / float(span * stream.time_base)) + 1
        with av.open(str(target), "w") as container:
            copy = container.add_stream_from_template(stream)
            for number in range(count):
                for packet, (pts, dts) in zip(packets, times, strict=True):
                    packet.pts, packet.dts = pts + number * span, dts + number * span
                    # Writing converted the packet's times to the unit of the new file.
                    packet.stream, packet.time_base = copy, stream.time_base
                    container.mux(packet)


def measure(folder: Path, seconds: float) -> RecordingCost:
    """Train two steps with a recording of this length in a new process with an empty cache.

    Raises:
        InputError: the run failed.
    """
    recording, results = folder / f"{seconds:.0f}.mkv", folder / f"results-{seconds:.0f}"
    cache, clips = folder / f"cache-{seconds:.0f}", demo.prepare().parent
    if seconds and not recording.exists():
        repeated(next(clips.rglob("*.mp4")), recording, seconds)
    shutil.copytree(clips, cache / clips.name, dirs_exist_ok=True)
    given = ("--unlabeled", str(recording)) if seconds else ()
    command = [sys.executable, "-m", "ssl_video", *_TRAIN, *given, "--results", str(results)]
    began = time.monotonic()
    environment = os.environ | {"SSL_VIDEO_CACHE": str(cache)}
    with (folder / f"log-{seconds:.0f}.txt").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.monotonic() - began
    if status:
        raise InputError(f"the run failed, see {log.name}: {' '.join(command)}")
    (run,) = run_folders(results)
    size = sum(file.stat().st_blocks * 512 for file in (cache / "frames").rglob("*") if file.is_file())
    return RecordingCost(run.result.without_label, elapsed - run.result.seconds, usage.ru_maxrss * 1024, size)


def main(folder: Path) -> None:
    """Print a table of the costs."""
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{'recording':12}{'clips':>8}{'seconds':>9}{'memory MiB':>12}{'cache MiB':>11}")
    for name, seconds in LENGTHS.items():
        cost = measure(folder, seconds)
        sizes = f"{cost.memory / 2**20:12,.0f}{cost.cache / 2**20:11,.1f}"
        print(f"{name:12}{cost.clips:8,}{cost.seconds:9.1f}{sizes}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
