"""`ssl-video speed`: what a training step costs, and what its data costs."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from ssl_video.benchmarks.running.given import check_names
from ssl_video.benchmarks.running.suite import with_demo_settings
from ssl_video.cli import options
from ssl_video.spec import build, override

if TYPE_CHECKING:
    from ssl_video.benchmarks.speed.data import Field
    from ssl_video.benchmarks.speed.step import StepCost


@click.group()
def command() -> None:
    """Measure what a training step costs, or what its data costs."""


@command.command()
@click.option("--algo", "--algorithm", "algorithm", default="cmpl", show_default=True, metavar="NAME")
@click.option(
    "--repeat", type=click.IntRange(2), default=20, show_default=True, help="number of measured steps"
)
@click.option("--textbook", is_flag=True, help="compare with a step of FixMatch as it is usually written")
@options.spec_options("algorithm", "steps")
@options.set_option
@options.execution_options
def step(algorithm: str, repeat: int, textbook: bool, assignments: tuple[str, ...], **flags: Any) -> None:
    """Measure a training step: data, the networks' own passes (run again alone), and everything else."""
    values = with_demo_settings({**options.given(flags), "algorithm": algorithm})
    spec = build(override(values, assignments) | {"steps": repeat + 2})
    check_names([spec])
    import torch

    from ssl_video.benchmarks.running import prepare
    from ssl_video.benchmarks.speed import step as speed_step
    from ssl_video.cli.display import preparing
    from ssl_video.cli.runs import Settings
    from ssl_video.engine.train import Training

    settings = Settings.of(flags, Path(), jobs=1)
    with preparing(Console(stderr=True)) as progress:
        (plan,) = prepare.plans(
            [spec],
            settings.device,
            skip_broken=settings.skip_broken,
            cache_gib=settings.cache_gib,
            execution=settings.execution,
            progress=progress,
        )
    with tempfile.TemporaryDirectory() as folder:
        run = Training(plan.spec, plan.data, plan.partition, Path(folder), settings.execution)
        other = speed_step.textbook_fixmatch(run, Path(folder)) if textbook else None
        cost = speed_step.measure(run, repeat, other)
    place = f"{settings.execution.threads} threads on {settings.device}, {plan.spec.precision}"
    gpu = torch.cuda.get_device_name(settings.device) if settings.device.type == "cuda" else ""
    _show_step(cost, f"one step of {algorithm}, median of {repeat}", place, gpu)


def _show_step(cost: "StepCost", title: str, place: str, gpu: str) -> None:
    from ssl_video.benchmarks.speed import step as speed_step
    from ssl_video.benchmarks.speed.data import ratio

    table = Table(title=title, title_justify="left", show_footer=True)
    table.add_column("part", footer="whole step")
    table.add_column("ms", justify="right", footer=f"{1000 * cost.total:.1f}")
    table.add_column("share", justify="right", footer="100.0 %")
    parts = {"data": cost.data, "  of it augmentation": cost.augmentation}
    for part, seconds in (parts | {"networks": cost.networks, "rest": cost.rest}).items():
        table.add_row(part, f"{1000 * seconds:.1f}", f"{100 * seconds / cost.total:.1f} %")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"{cost.clips / cost.total:.0f} clips/s; {100 * cost.overhead:.1f} % of the step is not "
        f"the networks' own passes ({place}); {cost.peak / 2**20:.0f} MiB at most, "
        f"{cost.kept / 2**20:.0f} MiB of it kept between forward and backward pass"
    )
    share = speed_step.share_of_peak(cost.speed, gpu) if gpu else None
    console.print(
        f"{cost.flops / 2e9:.3g} GFLOPs a step, 10^9 multiply-adds as in tables; with two operations each, "
        f"{cost.speed / 1e12:.3g} TFLOP/s"
        + (f", {100 * share:.1f} % of the bf16 peak of {gpu}" if share else "")
    )
    if cost.textbook:
        times = ratio(cost.steps, cost.textbook)
        console.print(
            f"without data {times.mean:.2f} times as fast ({times.low:.2f} to {times.high:.2f}) as a step of "
            "textbook FixMatch: one pass with gradient, contiguous, float32"
        )


@command.command()
@click.argument("data", metavar="DATA")
@click.option(
    "--videos", type=click.IntRange(1), default=64, show_default=True, help="number of videos measured on"
)
@click.option("--rounds", type=click.IntRange(2), default=16, show_default=True, help="number of rounds")
@click.option("--frames", type=click.IntRange(1), default=8, show_default=True, help="frames per clip")
@click.option("--stride", type=click.IntRange(1), default=4, show_default=True, help="distance between them")
@click.option("--size", type=click.IntRange(8), default=112, show_default=True, help="side of the crop")
@click.option("--json", "as_json", is_flag=True, help="print every number as JSON")
def data(data: str, videos: int, rounds: int, frames: int, stride: int, size: int, as_json: bool) -> None:
    """Measure decode -> weak + strong view of DATA's videos, against pytorchvideo and plain PyAV code."""
    from ssl_video.data.dataset import read_index

    index = read_index(build({"data": data}))
    import torch

    from ssl_video.benchmarks.speed import data as speed_data
    from ssl_video.cli.display import preparing

    torch.set_num_threads(1)
    places = [len(index) * n // videos for n in range(min(videos, len(index)))]
    paths = [index.paths[place] for place in places]
    clip = speed_data.Clip(frames, stride, size)
    with tempfile.TemporaryDirectory() as folder, preparing(Console(stderr=True)) as progress:
        field = speed_data.assemble(paths, clip, Path(folder), lambda *done: progress("storing", *done))
        seconds = speed_data.race(
            field.contestants, paths, rounds, min(8, len(paths)), lambda *done: progress("measuring", *done)
        )
    if as_json:
        stored = {name: vars(cost) for name, cost in field.stored.items()}
        print(json.dumps({"clip": vars(clip), "seconds": seconds, "stored": stored, "absent": field.absent}))
        return
    title = f"decode, weak and strong view of {frames} x {size} x {size}: {len(paths)} videos of {index.name}"
    _show(field, seconds, title)


def _show(field: "Field", seconds: dict[str, list[float]], title: str) -> None:
    from ssl_video.benchmarks.speed.data import PYAV, PYTORCHVIDEO, ratio

    baselines = {
        name: word for name, word in ((PYTORCHVIDEO, PYTORCHVIDEO), (PYAV, "PyAV")) if name in seconds
    }
    table = Table(title=title, title_justify="left")
    table.add_column("one core", no_wrap=True)
    for heading in ("clips/s", "ms/clip", *(f"times {word}" for word in baselines.values())):
        table.add_column(heading, justify="right")
    for name, measured in seconds.items():
        mean = sum(measured) / len(measured)
        times = {other: ratio(measured, seconds[other]) for other in baselines}
        cells = [
            "1" if other == name else f"{r.mean:.1f} ({r.low:.1f}–{r.high:.1f})" for other, r in times.items()
        ]
        table.add_row(name, f"{1 / mean:.0f}", f"{1000 * mean:.1f}", *cells)
    console = Console()
    console.print(table)
    for name, cost in field.stored.items():
        size, fill = cost.bytes / 2**20 / cost.videos, 1000 * cost.seconds / cost.videos
        console.print(f"{name}: {size:.2f} MiB and {fill:.0f} ms to fill per video", highlight=False)
    for name, reason in field.absent.items():
        console.print(f"{name} is left out: {reason}", highlight=False)
