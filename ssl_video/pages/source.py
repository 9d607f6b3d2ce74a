"""The texts of a method for its page: title, publications, remarks, options."""

import inspect
import re
import sys

from ssl_video.contract import Algorithm

_ENTRY = re.compile(r"^ {4}(\w+): (.*)$")


def title(constructor: type) -> str:
    """Return the first line of the docstring of a method's module."""
    return _docstring(constructor).partition("\n")[0]


def paragraphs(constructor: type[Algorithm]) -> list[str]:
    """Return the publications of a method, and its module's docstring without the first line."""
    papers = [str(paper) for paper in (constructor.paper, *constructor.based_on) if paper]
    remarks = _docstring(constructor).split("\n\n")[1:]
    return [f"{paper}." for paper in papers] + [" ".join(text.split()) for text in remarks]


def _docstring(constructor: type) -> str:
    return inspect.cleandoc(sys.modules[constructor.__module__].__doc__ or "")


def options(docstring: str) -> dict[str, str]:
    """Return the description of each argument under "Args:" of a class's docstring, on one line each."""
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
