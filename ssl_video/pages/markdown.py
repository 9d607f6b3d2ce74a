"""Markdown, as far as pages need it."""

import re
from collections.abc import Sequence

from ssl_video.pages.source import ARXIV


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; columns in which all rows are empty are left out."""
    filled = [n for n in range(len(head)) if any(row[n] for row in rows)]
    lines = [[line[n].replace("|", "\\|") for n in filled] for line in (head, *rows)]
    lines.insert(1, ["---"] * len(filled))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def code(text: object) -> str:
    """A name or value as code."""
    return f"`{text}`"


def linked(text: str) -> str:
    """The text with links to arXiv and GitHub."""
    text = ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
    return re.sub(r"github\.com/([\w.-]+/[\w.-]+)", r"[\1](https://github.com/\1)", text)
