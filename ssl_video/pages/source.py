"""What the docstrings of a method say: its paper, the differences from it, its options."""

import inspect
import re
import sys
from dataclasses import dataclass

_DIFFERENCES = re.compile(r"^Differences from .*:$")
ARXIV = re.compile(r"arXiv:\s?(\d{4}\.\d{4,5})")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_ENTRY = re.compile(r"^ {4}(\w+): (.*)$")


@dataclass(frozen=True)
class Source:
    """A method's module docstring, in parts.

    Attributes:
        title: its first line.
        paragraphs: what stands between the title and the list of differences; the first names the paper.
        differences: the items of that list; several lists ("Differences from the paper", "... and choices of
            ours") are one.
    """

    title: str
    paragraphs: tuple[str, ...]
    differences: tuple[str, ...]

    @property
    def paper(self) -> str:
        """The title of the paper: what stands in quotation marks in the first paragraph, or nothing."""
        quoted = re.search(r'"([^"]+)"', self._reference)
        return quoted[1].rstrip(",.") if quoted else ""

    @property
    def arxiv(self) -> str:
        """The paper's number on arXiv, or nothing."""
        found = ARXIV.search(self._reference)
        return found[1] if found else ""

    @property
    def year(self) -> str:
        """The year of the paper, or nothing; the digits of an arXiv number are none."""
        found = _YEAR.search(ARXIV.sub("", self._reference))
        return found[0] if found else ""

    @property
    def _reference(self) -> str:
        return self.paragraphs[0] if self.paragraphs else ""


def of(constructor: type) -> Source:
    """What the module of a method's class says."""
    return read(sys.modules[constructor.__module__].__doc__ or "")


def read(docstring: str) -> Source:
    """The parts of a module's docstring."""
    title, *blocks = re.split(r"\n\s*\n", inspect.cleandoc(docstring))
    paragraphs, differences, listing = list[str](), list[str](), False
    for block in blocks:
        before, *items = (" ".join(part.split()) for part in re.split(r"^- ", block, flags=re.MULTILINE))
        # An empty line may stand below the heading of the list, and between its items.
        listing = bool(_DIFFERENCES.match(before)) or (listing and not before)
        if listing:
            differences += items
        else:
            paragraphs.append("\n".join(filter(None, [before, *(f"- {item}" for item in items)])))
    return Source(" ".join(title.split()), tuple(paragraphs), tuple(differences))


def options(docstring: str) -> dict[str, str]:
    """The words for each argument under "Args:" of a class's docstring, on one line each."""
    lines = inspect.cleandoc(docstring).splitlines()
    found, name = dict[str, str](), ""
    for line in lines[lines.index("Args:") + 1 :] if "Args:" in lines else []:
        if line and not line.startswith(" "):
            break
        entry = _ENTRY.match(line)
        if entry:
            name = entry[1]
            found[name] = entry[2]
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found
