"""The examples, run as scripts of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import ROOT

# By script: its arguments after --steps, and words that it prints.
EXAMPLES = {
    "plain_torch_loop.py": ([], "primary: top-1"),
    "own_method.py": (["--seeds", 1], "second-opinion"),
    "own_data.py": (["--seeds", 1, "--labeled", 2], "probability"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example(name: str, video_folder: Path, tmp_path: Path) -> None:
    arguments, words = EXAMPLES[name]
    place = [video_folder] if name == "own_data.py" else []
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / name, *map(str, [*place, "--steps", 2, *arguments])],
        cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert words in done.stdout


def test_every_example_is_run() -> None:
    elsewhere = {"zero_shot.py"}  # test_zero_shot.py
    assert {file.name for file in (ROOT / "examples").glob("*.py")} == set(EXAMPLES) | elsewhere
