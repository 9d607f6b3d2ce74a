"""Texts that come from files, such as names of clips and classes, made safe for a terminal."""

from rich.text import Text


def written_out(text: str, keep: str = "") -> str:
    """Return a text in which control characters, such as those of a terminal, are written out.

    Args:
        text: the text.
        keep: control characters that stay.
    """
    return "".join(each if each.isprintable() or each in keep else ascii(each)[1:-1] for each in text)


def printable(text: str) -> Text:
    """Return a text for a table: brackets are no markup, and control characters are written out."""
    return Text(written_out(text))
