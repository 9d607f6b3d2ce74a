"""`ssl-video predict`: labels for video files."""

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

import ssl_video as sv
from ssl_video.cli import options


@click.command()
@options.checkpoint_argument
@click.argument("videos", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="VIDEO...")
@click.option(
    "--top", type=click.IntRange(1), default=5, show_default=True, help="number of labels per video"
)
@click.option("--predictor", metavar="NAME", help="network to use  [the headline]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, …")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object per video, one per line")
def command(
    checkpoint: Path, videos: tuple[Path, ...], top: int, predictor: str | None, device: str, as_json: bool
) -> int:
    """Label video files with a run's folder or checkpoint file."""
    model = sv.load_model(checkpoint, device)
    for note in model.notes:
        click.echo(f"note: {note}", err=True)
    found, broken = model.probabilities(videos, predictor)
    table = Table()
    for heading in ("video", "label", "probability"):
        table.add_column(heading, justify="right" if heading == "probability" else "left", overflow="fold")
    for video, scores in found.items():
        best = scores.argsort(kind="stable")[::-1][:top]
        if as_json:
            labels = [{"label": model.classes[k], "probability": round(float(scores[k]), 6)} for k in best]
            print(json.dumps({"video": str(video), "labels": labels}))
        for place, k in enumerate(best):
            table.add_row(
                "" if place else str(video), model.classes[k], f"{scores[k]:.3f}", end_section=k == best[-1]
            )
    if found and not as_json:
        Console().print(table)
    for video, reason in broken.items():
        print(f"error: {video}: {reason}", file=sys.stderr)
    return 2 if broken else 0
