"""`ssl-video analyze speed`: the cost of a training step, and of its data."""

import json
from typing import Any

import click
from rich.console import Console

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.show import plainly
from ssl_video.cli.text import Table


@click.group()
def command() -> None:
    """Measure the cost of a training step, or of its data."""


@command.command()
@options.algorithm_option("cmpl")
@click.option(
    "--repeat", type=click.IntRange(2), default=20, show_default=True, help="number of measured steps"
)
@click.option(
    "--textbook", is_flag=True, help="compare with a textbook step of FixMatch, as it is usually implemented"
)
@options.spec_options("algorithm", "steps", "test_clips", "test_crops")
@options.set_option
@options.step_options
@options.data_options
def step(algorithm: str, repeat: int, textbook: bool, assignments: tuple[str, ...], **flags: Any) -> None:
    """Measure a training step: data, the networks' own passes (run again alone), and everything else."""
    found = sv.measure_step(
        algorithm, repeat=repeat, textbook=textbook, overrides=options.parsed(assignments),
        progress=sv.ConsoleObserver(), **options.given(flags),
    )  # fmt: skip
    _show_step(found)


def _show_step(found: "sv.MeasuredStep") -> None:
    cost = found.cost
    title = f"one step of {found.algorithm}, median of {found.repeat}"
    table = Table(title=title, title_justify="left", show_footer=True)
    table.add_column("part", footer="whole step")
    table.add_column("ms", justify="right", footer=f"{1000 * cost.total:.1f}")
    table.add_column("fraction", justify="right", footer="100.0 %")
    parts = {"data": cost.data, "  of which augmentation": cost.augmentation}
    for part, seconds in (parts | {"networks": cost.networks, "rest": cost.rest}).items():
        table.add_row(part, f"{1000 * seconds:.1f}", f"{100 * seconds / cost.total:.1f} %")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"{cost.clips / cost.total:.0f} clips/s; {100 * cost.overhead:.1f} % of the step is outside "
        f"the networks' own passes ({found.threads} threads on {found.device}, {found.precision}); "
        f"peak memory {cost.peak / 2**20:.0f} MiB, "
        f"of which {cost.kept / 2**20:.0f} MiB are kept between forward and backward pass"
    )
    fraction = found.fraction_of_peak
    console.print(
        f"{cost.flops / 2e9:.3g} GFLOPs per step, 10^9 multiply-adds as in tables; with two operations each, "
        f"{cost.speed / 1e12:.3g} TFLOP/s"
        + (f", {100 * fraction:.1f} % of the bf16 peak of {found.gpu}" if fraction else "")
    )
    times = found.speed_up
    if times:
        console.print(
            f"without data, {times.mean:.2f} times as fast ({times.low:.2f} to {times.high:.2f}) as a "
            "textbook step of FixMatch: one pass with gradient, contiguous, float32"
        )


@command.command()
@click.argument("data", metavar="DATA")
@click.option(
    "--sample", type=click.IntRange(1), default=64, show_default=True,
    help="number of videos to measure, evenly spaced",
)  # fmt: skip
@click.option("--rounds", type=click.IntRange(2), default=16, show_default=True, help="number of rounds")
@options.spec_option("frames", type=click.IntRange(1), default=8, show_default=True)
@options.spec_option("stride", type=click.IntRange(1), default=4, show_default=True)
@options.spec_option("size", type=click.IntRange(8), default=112, show_default=True)
@options.json_option
def data(data: str, sample: int, rounds: int, frames: int, stride: int, size: int, as_json: bool) -> None:
    """Measure decode -> weak + strong view of DATA's videos, against pytorchvideo and plain PyAV code."""
    found = sv.measure_data(
        data, sample=sample, rounds=rounds, frames=frames, stride=stride, size=size,
        progress=sv.ConsoleObserver(),
    )  # fmt: skip
    if as_json:
        stored = {name: vars(cost) for name, cost in found.stored.items()}
        numbers = {"clip": vars(found.clip), "seconds": found.seconds, "stored": stored}
        print(json.dumps(numbers | {"absent": found.absent}))
        return
    _show_data(found)


def _show_data(found: "sv.MeasuredData") -> None:
    clip = f"{found.clip.frames} x {found.clip.size} x {found.clip.size}"
    title = f"decode, weak and strong view of {clip}: {found.videos} videos of {found.name}"
    table = Table(title=title, title_justify="left")
    table.add_column("one core", no_wrap=True)
    others = next(iter(found.speed_ups.values()))
    for heading in ("clips/s", "ms/clip", *(f"times {other.partition(',')[0]}" for other in others)):
        table.add_column(heading, justify="right")
    for name, times in found.speed_ups.items():
        measured = found.seconds[name]
        mean = sum(measured) / len(measured)
        cells = [
            "1" if other == name else f"{r.mean:.1f} ({r.low:.1f}–{r.high:.1f})" for other, r in times.items()
        ]
        table.add_row(name, f"{1 / mean:.0f}", f"{1000 * mean:.1f}", *cells)
    console = Console()
    console.print(table)
    for name, cost in found.stored.items():
        size, fill = cost.bytes / 2**20 / cost.videos, 1000 * cost.seconds / cost.videos
        plainly(console, f"{name}: {size:.2f} MiB per video, filled in {fill:.0f} ms")
    for name, reason in found.absent.items():
        plainly(console, f"{name} is left out: {reason}")
