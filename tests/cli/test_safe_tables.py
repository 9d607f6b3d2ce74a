"""Names from files in the terminal: no markup, no codes of the terminal, no text that runs backwards."""

import re

from helpers.paths import ROOT
from rich.console import Console
from rich.text import Text

from ssl_video.cli.text import Table, printable

NAMES = [
    "[/bold]x",
    "[red]y",
    "[link=http://a]z",
    "\x1b[31mred",
    "a\u202eb",
    "\x9b31m",
    "\x07",
    "a\nb",
]


def test_a_table_shows_names_as_they_are() -> None:
    """`[/bold]x` was a traceback, `[red]y` was shown as `y`."""
    for name in NAMES:
        table = Table(title=name)
        table.add_column(name, footer=name)
        table.add_row(name)
        table.add_row(Text(name, style="bold"))
        console = Console(width=200, force_terminal=True, color_system="truecolor")
        with console.capture() as capture:
            console.print(table)
        text = re.sub("\x1b\\[[0-9;]*m", "", capture.get())  # the colours of the table itself
        assert text.count(printable(name).plain) >= 3
        assert not set(text) & set("\x1b\u202e\x9b\x07")


def test_every_command_uses_such_tables() -> None:
    for file in (ROOT / "ssl_video" / "cli").glob("*.py"):
        if file.name != "text.py":
            assert "rich.table" not in file.read_text(encoding="utf-8"), file
