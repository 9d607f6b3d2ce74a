"""Pages and their index as files."""

from pathlib import Path

from ssl_video.errors import InputError
from ssl_video.files import replace_text
from ssl_video.pages import cost
from ssl_video.pages import page as pages
from ssl_video.pages.markdown import table
from ssl_video.registry import algorithms

_INDEX = "all"
_HEAD = "# The algorithms\n\n"
_LEGEND = (
    "Views: how many are read of a labeled and of an unlabeled clip. Cost: multiply-adds of a step relative "
    f"to supervised-only's, with {cost.LABELED} labeled and {cost.UNLABELED} unlabeled clips and "
    f"`{cost.BACKBONE}` in every role (*: also in one that asks for another backbone); see the pages."
)


def page(name: str, target: Path, results: Path) -> str:
    """Write a method's page, or refresh the generated part of an existing one.

    Returns:
        The outcome, in a word or two.

    Raises:
        InputError: see `pages.generated` and `pages.refreshed`; the file cannot be written.
    """
    part = pages.generated(name, results)
    if target.exists():
        return _replace(target, part, name)
    _write(target, pages.skeleton(name) + part)
    return "new; fill in the places marked TODO"


def index(target: Path) -> str:
    """Write the table of the built-in methods in the same way.

    Returns:
        The outcome.
    """
    if not target.exists():
        _write(target, f"{_HEAD}{pages.marker(_INDEX)}\n{pages.END}\n")
    return _replace(target, f"{pages.marker(_INDEX)}\n\n{overview()}\n{pages.END}", _INDEX)


def overview() -> str:
    """Return a table of the built-in methods by the year of their papers."""
    rows = []
    for name, text in algorithms.describe().items():
        if name not in algorithms.builtin():
            continue
        method = cost.small(name)
        paper = method.paper
        cited = paper.title if paper else "–"
        if paper and paper.arxiv:
            cited = f"[{cited}](https://arxiv.org/abs/{paper.arxiv})"
        other = "*" if any(network.backbone for network in method.roles.values()) else ""
        relative = f"{cost.count(name).relative:.2f}{other}"
        facts = [pages.networks(method), pages.views(method), relative]
        rows.append([f"[{name}]({name}.md)", cited, str(paper.year) if paper else "–", text, *facts])
    head = ["name", "paper", "year", "in one sentence", "networks", "views", "cost"]
    return f"{table(head, sorted(rows, key=lambda row: (row[2] != '–', row[2], row[0])))}\n{_LEGEND}\n"


def _replace(target: Path, part: str, name: str) -> str:
    before = target.read_text(encoding="utf-8")
    try:
        after = pages.refreshed(before, part, name)
    except InputError as error:
        raise InputError(f"{target}: {error}") from None
    if after == before:
        return "unchanged"
    _write(target, after)
    return "refreshed"


def _write(target: Path, text: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_text(target, text)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from None
