"""Sentences as HTML: they are escaped here, and text in `backquotes` becomes code."""

import re
from collections.abc import Iterable

from ssl_video.figures.drawing import escape


def paragraph(*sentences: str, kind: str = "") -> str:
    """Return a paragraph of sentences, with a class of page.css."""
    classes = f' class="{kind}"' if kind else ""
    return f"<p{classes}>{_marked(' '.join(sentences))}</p>"


def notes(sentences: Iterable[str]) -> str:
    """Return a list of sentences in small print; "" if there are none."""
    items = "".join(f"<li>{_marked(sentence)}</li>" for sentence in sentences)
    return f'<ul class="notes">{items}</ul>' if items else ""


def folded(title: str, more: str, html: str) -> str:
    """Return a collapsed part; `html` is inserted unescaped."""
    summary = f'<summary>{escape(title)} <span class="soft">{escape(more)}</span></summary>'
    return f"<details>{summary}{html}</details>"


def copied(text: str) -> str:
    """Return lines for a shell, with a button that copies them."""
    button = '<button type="button" class="copy">copy</button>'
    return f'<div class="command"><pre tabindex="0">{escape(text)}</pre>{button}</div>'


def _marked(text: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
