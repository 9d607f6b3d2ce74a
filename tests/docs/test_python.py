"""docs/python.md, run as one session."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import ROOT

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_blocks_are_one_session(tmp_path: Path) -> None:
    """Piped into Python, where a class has no source and no file, and `__main__` is no module of a script."""
    done = subprocess.run(
        [sys.executable, "-"], input="\n".join(BLOCKS), capture_output=True, text=True, check=False,
        cwd=tmp_path, env=os.environ | {"COLUMNS": "120"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "SmoothLabels" in done.stdout
    assert "| cmpl" in done.stdout
    assert (tmp_path / "ssl-video-results" / "leaderboard.csv").exists()
