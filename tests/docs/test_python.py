"""docs/python.md: every command has its Python call beside it, and its blocks work."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
import pytest
from helpers.paths import ROOT

from ssl_video.cli import cli

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PIPED = "\n".join(text for _, text in BLOCKS if text.startswith("python - <<"))


def commands(command: click.Command = cli, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command that is no group."""
    if not isinstance(command, click.Group):
        yield words
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below
        yield from commands(below, (*words, name))


def leaf(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that is called, and its arguments."""
    command: click.Command = cli
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found, words
        command, words = found, words[1:]
    return command, words


def typed(*, beside: bool) -> list[list[str]]:
    """Return the words of each line that calls a command, with `beside` only where a Python block follows."""
    texts = [
        text
        for (language, text), (following, _) in pairwise([*BLOCKS, ("", "")])
        if language == "bash" and text != PIPED and (following == "python" or not beside)
    ]
    lines = [shlex.split(line) for text in texts for line in text.splitlines()]
    return [words for name, *words in lines if name == "ssl-video"]


def test_every_command_has_its_call_beside_it() -> None:
    shown = [tuple(words) for words in typed(beside=True)]
    every = list(commands())
    assert {("bench",), ("data", "partition", "list"), ("analyze", "speed", "data")} <= set(every)
    absent = [words for words in every if not any(line[: len(words)] == words for line in shown)]
    assert not absent


def test_every_command_on_the_page_can_be_typed() -> None:
    for words in typed(beside=False):
        command, arguments = leaf(words)
        command.make_context("ssl-video", arguments)


def test_a_method_piped_into_python_takes_ten_lines_and_one_import() -> None:
    _, *lines, _ = PIPED.splitlines()
    imports = [line for line in lines if re.match(r"\s*(import|from)\b", line)]
    assert imports == ["import ssl_video as sv"]
    assert len(lines) == 10 + len(imports)


@pytest.mark.slow
def test_the_blocks_are_one_session(tmp_path: Path) -> None:
    """Piped into Python, where a class has no source and no file, and `__main__` is no module of a script."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def printed(*command: str, text: str = "") -> str:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, cwd=tmp_path,
            env=os.environ | {"COLUMNS": "120", "PATH": path},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    blocks = [text for language, text in BLOCKS if language == "python"]
    output = printed(sys.executable, "-", text="\n".join(blocks))
    assert "SmoothLabels" in output
    assert "| cmpl" in output
    assert (tmp_path / "ssl-video-results" / "leaderboard.csv").exists()
    # A class without a source has runs that no other session shares.
    for sessions in (1, 2):
        assert "MyMethod" in printed("bash", "-c", PIPED)
        assert len(list(tmp_path.glob("ssl-video-results/runs/MyMethod-*"))) == sessions
