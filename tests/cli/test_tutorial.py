"""docs/tutorial.md, followed command by command."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from helpers.command_line import Call
from helpers.paths import ROOT

from ssl_video.cli import GROUPS

TUTORIAL = ROOT / "docs" / "tutorial.md"
SHORTENED = ["--steps", "6", "--seeds", "1"]  # as the page says of its bench
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def edit(file: Path, difference: str) -> None:
    """Apply one piece of a diff, whose old lines have to stand in the file exactly once."""
    lines = difference.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    text = file.read_text()
    assert text.count(old) == 1, f"the starting file does not have, or not once:\n{old}"
    file.write_text(text.replace(old, new))


@pytest.mark.slow
def test_the_tutorial(call: Call, tmp_path: Path) -> None:
    text, printed, commands = TUTORIAL.read_text(encoding="utf-8"), "", list[str]()
    assert f"`{shlex.join(SHORTENED)}`" in text
    for language, block in FENCE.findall(text):
        if language == "bash":
            name, *arguments = shlex.split(block)
            assert name == "ssl-video"
            grouped = arguments[0] in GROUPS
            commands.append(arguments[grouped])
            done = call(*arguments, *(SHORTENED if arguments[0] == "bench" else []), cwd=tmp_path)
            assert done.returncode == 0, done.stdout + done.stderr
            printed = done.stdout
        elif language == "diff":
            edit(tmp_path / "two_speeds.py", block)
        elif language == "text":
            absent = [line for line in block.splitlines() if line not in printed.splitlines()]
            assert not absent, f"not in the output of {commands[-1]}:\n{printed}"
    assert commands == ["new", "check", "views", "bench", "leaderboard", "page"]
    board = pd.read_csv(tmp_path / "ssl-video-results" / "leaderboard.csv")
    assert sorted(board["algorithm"]) == ["fixmatch", "supervised", "two-speeds"]
    page = (tmp_path / "two_speeds.md").read_text()
    assert "| `fast` | unlabeled | weak | T/2 × 2s | shared |" in page
    assert "Measured with this code" in page
