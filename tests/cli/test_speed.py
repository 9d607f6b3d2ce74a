"""`ssl-video analyze speed`."""

import re
from pathlib import Path

from helpers.command_line import TINY_STEP, Call


def test_speed_says_what_is_not_the_networks(dataset: Path, call: Call, tmp_path: Path) -> None:
    done = call(
        "analyze",
        "speed",
        "step",
        "--data",
        dataset,
        "--protocol",
        "per-class:2",
        "--repeat",
        "3",
        *TINY_STEP,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    fraction = re.search(r"([\d.]+) % of the step is outside", done.stdout)
    assert fraction is not None
    assert 0 < float(fraction[1]) < 100
    assert list(tmp_path.iterdir()) == []
