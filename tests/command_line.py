"""What tests of the command line share: small settings, and the type of `call`."""

import subprocess
from collections.abc import Callable

# Small enough that a run takes a second.
TINY = [
    *("--steps", "6", "--frames", "4", "--stride", "2", "--size", "16", "--width", "0.5"),
    *("--labeled-batch", "4", "--unlabeled-batch", "4", "--test-clips", "1"),
]
Call = Callable[..., subprocess.CompletedProcess[str]]
