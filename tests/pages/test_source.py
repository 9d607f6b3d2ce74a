"""The texts of a method for its page."""

import sys
from types import ModuleType

import pytest

from ssl_video.contract import Algorithm, Paper
from ssl_video.pages import source

DOCSTRING = """Shift: a network that shifts.

From the paper: one thing;
and another.

The code: github.com/roe/shift.
"""
PAPER = Paper("Shifting clips: a study", authors="Roe and Doe", venue="CVPR", year=2021, arxiv="1912.34567")
OLDER = Paper("Shifting", authors="Roe", venue="arXiv", year=2019, arxiv="1901.00001")


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> type[Algorithm]:
    module = ModuleType("shift")
    module.__doc__ = DOCSTRING
    monkeypatch.setitem(sys.modules, "shift", module)
    return type("Shift", (Algorithm,), {"__module__": "shift", "paper": PAPER, "based_on": (OLDER,)})


def test_a_paper_as_it_is_cited() -> None:
    assert str(PAPER) == 'Roe and Doe, "Shifting clips: a study", CVPR 2021, arXiv:1912.34567'
    assert str(OLDER) == 'Roe, "Shifting", arXiv:1901.00001'
    assert str(Paper("Old", authors="Lee", venue="ICML", year=2013)) == 'Lee, "Old", ICML 2013'


def test_the_publications_come_before_the_remarks(method: type[Algorithm]) -> None:
    assert source.title(method) == "Shift: a network that shifts."
    assert source.paragraphs(method) == [
        'Roe and Doe, "Shifting clips: a study", CVPR 2021, arXiv:1912.34567.',
        'Roe, "Shifting", arXiv:1901.00001.',
        "From the paper: one thing; and another.",
        "The code: github.com/roe/shift.",
    ]


def test_a_method_without_a_paper(method: type[Algorithm]) -> None:
    method.paper, method.based_on = None, ()
    sys.modules["shift"].__doc__ = "Only a title."
    assert source.paragraphs(method) == []
    sys.modules["shift"].__doc__ = None
    assert source.title(method) == ""


def test_the_words_for_options() -> None:
    docstring = """One line.

    Args:
        task: the problem.
        threshold: confidence from which a prediction
            is used: at least 0.
        weight: of the term.

    Attributes:
        other: is no argument.
    """
    assert source.options(docstring) == {
        "task": "the problem.",
        "threshold": "confidence from which a prediction is used: at least 0.",
        "weight": "of the term.",
    }
    assert source.options("No arguments.") == {}
