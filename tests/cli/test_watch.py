"""`ssl-video watch`."""

import re
from pathlib import Path

from helpers.command_line import Call


def test_watch_shows_one_run_and_all_of_them(bench: Path, run: Path, call: Call) -> None:
    every = call("watch", cwd=bench)
    assert every.returncode == 0, every.stderr
    runs = len(list((bench / "ssl-video-results/runs").iterdir()))  # other tests add some
    assert len(re.findall(r"finished\s+\d+/\d+", every.stdout)) == runs
    one = call("watch", run, "--once", cwd=bench)
    assert {line.split()[0] for line in one.stdout.splitlines() if "/" in line} >= {
        "loss/labeled",
        "coverage/model",
    }
    nothing = call("watch", "nowhere", cwd=bench)
    assert nothing.returncode == 2
    assert "no run in nowhere" in nothing.stderr
