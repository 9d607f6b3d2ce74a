"""The parts of Markdown that pages need."""

import re
from collections.abc import Sequence

_ARXIV = re.compile(r"arXiv:\s?(\d{4}\.\d{4,5})")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table, without the columns in which all rows are empty."""
    filled = [n for n in range(len(head)) if any(row[n] for row in rows)]
    lines = [[line[n].replace("|", "\\|") for n in filled] for line in (head, *rows)]
    lines.insert(1, ["---"] * len(filled))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def code(text: object) -> str:
    """Format a name or value as code."""
    return f"`{text}`"


def linked(text: str) -> str:
    """Return the text with links to arXiv and GitHub."""
    text = _ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
    return re.sub(r"github\.com/([\w.-]+/[\w.-]+)", r"[\1](https://github.com/\1)", text)
