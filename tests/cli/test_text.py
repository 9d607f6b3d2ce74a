"""Names from files on a terminal."""

from pathlib import Path

import pytest
from helpers.command_line import Call
from rich.console import Console

from ssl_video.cli.show import plainly
from ssl_video.cli.text import printable, written_out


def test_control_characters_are_written_out() -> None:
    assert written_out("a\x1b[31m\n\udcffé 走") == r"a\x1b[31m\n\udcffé 走"
    assert written_out("a\n\x07", keep="\n") == "a\n\\x07"
    assert printable("[red]\x1b").plain == "[red]\\x1b"


def test_lines_and_errors(
    call: Call, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plainly(Console(), "next:\n  [b]\x1b]0;title\x07")
    assert capsys.readouterr().out == "next:\n  [b]\\x1b]0;title\\x07\n"
    done = call("data", "doctor", "\x1b[31mabsent", cwd=tmp_path)
    assert done.returncode == 2
    assert "\\x1b[31mabsent" in done.stderr
    assert "\x1b" not in done.stderr
