"""What tests of the command line share: small settings, the type of `call`, what runs leave."""

import subprocess
from collections.abc import Callable
from pathlib import Path

# Small enough that a run takes a second.
TINY = [
    *("--steps", "6", "--frames", "4", "--stride", "2", "--size", "16", "--width", "0.5"),
    *("--labeled-batch", "4", "--unlabeled-batch", "4", "--test-clips", "1"),
]
Call = Callable[..., subprocess.CompletedProcess[str]]


def results(folder: Path) -> list[Path]:
    """The records of all finished runs of the results folder in `folder`."""
    return sorted((folder / "ssl-video-results" / "runs").glob("*/result.json"))
