"""Measure a training step, and its data: the calls behind `ssl-video analyze speed`.

Torch is imported when a measurement begins.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_video.benchmarks.running import arguments
from ssl_video.benchmarks.running.arguments import BENCH_ONLY, EXECUTION, SPEC_KEYS, TRAIN_ONLY, Method
from ssl_video.benchmarks.running.specify import check_names
from ssl_video.benchmarks.running.suite import merge
from ssl_video.names import Place
from ssl_video.observer import Observer, observer
from ssl_video.spec import build

if TYPE_CHECKING:
    from ssl_video.benchmarks.speed.data import Clip, SpeedUp, Stored
    from ssl_video.benchmarks.speed.step import StepCost

# Nothing is written, and no run is compared or resumed.
_NOT_FOR_STEPS = (
    *("steps", "test_clips", "test_crops", "evaluate_every", "on_nonfinite", "results"),
    *TRAIN_ONLY,
    *BENCH_ONLY,
)


@dataclass(frozen=True)
class MeasuredStep:
    """The cost of a training step, and where it was measured.

    Attributes:
        algorithm: the algorithm.
        repeat: number of measured steps.
        cost: seconds, bytes and operations of a step.
        threads: CPU threads.
        device: the device.
        precision: "float32" or "bfloat16".
        gpu: the name of the GPU; "" on the CPU.
    """

    algorithm: str
    repeat: int
    cost: "StepCost"
    threads: int
    device: str
    precision: str
    gpu: str

    @property
    def fraction_of_peak(self) -> float | None:
        """The fraction of the GPU's dense bf16 peak, in [0, 1]; None: there is none, or it is not known."""
        from ssl_video.benchmarks.speed.step import fraction_of_peak

        return fraction_of_peak(self.cost.speed, self.gpu) if self.gpu else None

    @property
    def speed_up(self) -> "SpeedUp | None":
        """The speed without data relative to a textbook FixMatch step; None: that was not measured."""
        from ssl_video.benchmarks.speed.data import ratio

        return ratio(self.cost.steps, self.cost.textbook) if self.cost.textbook else None


@dataclass(frozen=True)
class MeasuredData:
    """The cost of a step's data, of this project and of others.

    Attributes:
        name: the data set's name.
        videos: number of videos.
        clip: the clip that is made of a video.
        seconds: by contestant, the processor seconds per video in every round.
        stored: the costs of our caches, by the contestant that reads them.
        absent: the reason why another project cannot take part, by its name.
    """

    name: str
    videos: int
    clip: "Clip"
    seconds: Mapping[str, list[float]]
    stored: Mapping[str, "Stored"]
    absent: Mapping[str, str]

    @property
    def speed_ups(self) -> dict[str, dict[str, "SpeedUp"]]:
        """By contestant, its speed relative to each other project that takes part, by that one's name."""
        from ssl_video.benchmarks.speed.data import PYAV, PYTORCHVIDEO, ratio

        others = [name for name in (PYTORCHVIDEO, PYAV) if name in self.seconds]
        return {
            name: {other: ratio(measured, self.seconds[other]) for other in others}
            for name, measured in self.seconds.items()
        }


@arguments.takes(*(key for key in (*SPEC_KEYS, *EXECUTION) if key not in _NOT_FOR_STEPS))
def measure_step(
    algorithm: Method = "cmpl",
    *,
    repeat: int = 20,
    textbook: bool = False,
    overrides: Mapping[str, Any] | None = None,
    progress: bool | Observer | None = None,
    **keywords: Any,
) -> MeasuredStep:
    """Measure a training step: its data, the networks' own passes (run again alone), and everything else.

    Keywords are the keys of a specification, and device, threads, workers, compile, ..., as for `train`. On
    the demo clips the settings of the demo suite are the defaults.

    Args:
        algorithm: a name, "path/to/file.py:name", or a class.
        repeat: number of measured steps, from 2.
        textbook: whether to compare with a step of FixMatch as it is usually written.
        overrides: values by dotted key, which override all others: {"options.threshold": 0.8}.
        progress: True, False, or an observer; None: shown in a terminal or a notebook.
        keywords: see above.

    Raises:
        InputError: everything that can be found wrong before the first step.
    """
    given, execution = arguments.split(keywords, without=_NOT_FOR_STEPS)
    spec = arguments.single(merge(arguments.entry(algorithm), given), given, overrides)
    spec = spec.model_copy(update={"steps": repeat + 2})
    check_names([spec])
    import torch  # takes seconds

    from ssl_video.benchmarks.running import prepare
    from ssl_video.benchmarks.speed.step import measure, textbook_fixmatch
    from ssl_video.training.execution import complete
    from ssl_video.training.state import Training

    completed = complete(execution | {"jobs": 1})
    with observer(progress).preparing() as report:
        (plan,) = prepare.plans([spec], completed, report)
    own_threads = torch.get_num_threads()
    try:
        with tempfile.TemporaryDirectory() as folder:
            run = Training(plan.spec, plan.data, plan.partition, Path(folder), completed)
            other = textbook_fixmatch(run, Path(folder)) if textbook else None
            cost = measure(run, repeat, other)
    finally:
        torch.set_num_threads(own_threads)
    device = completed.torch_device
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    threads = completed.threads or 1
    return MeasuredStep(spec.algorithm, repeat, cost, threads, completed.device, plan.spec.precision, gpu)


def measure_data(
    data: Place,
    *,
    sample: int = 64,
    rounds: int = 16,
    frames: int = 8,
    stride: int = 4,
    size: int = 112,
    progress: bool | Observer | None = None,
) -> MeasuredData:
    """Measure decode -> weak + strong view of a data set's videos, against pytorchvideo and plain PyAV code.

    This process uses one thread from then on.

    Args:
        data: "demo", a folder of class folders, a manifest (CSV), or an index file.
        sample: number of videos to measure on, evenly spaced over the data set.
        rounds: number of rounds, from 2.
        frames: frames per clip.
        stride: distance between frames of a clip, in frames of the file.
        size: side of the square crop, in pixels.
        progress: True, False, or an observer; None: shown in a terminal or a notebook.

    Raises:
        InputError: the data cannot be read, or a video cannot be decoded.
    """
    from ssl_video.data.dataset import read_index

    index = read_index(build({"data": data}))
    import torch  # takes seconds

    from ssl_video.benchmarks.speed.data import Clip, assemble, race

    torch.set_num_threads(1)
    paths = [index.paths[len(index) * n // sample] for n in range(min(sample, len(index)))]
    clip = Clip(frames, stride, size)
    with tempfile.TemporaryDirectory() as folder, observer(progress).preparing() as report:
        field = assemble(paths, clip, Path(folder), lambda *done: report("storing", *done))
        at_once = min(8, len(paths))
        seconds = race(field.contestants, paths, rounds, at_once, lambda *done: report("measuring", *done))
    return MeasuredData(index.name, len(paths), clip, seconds, field.stored, field.absent)
