"""A row of a file of labels."""

import csv
from typing import NamedTuple

# Errors of code that expects the values of a format where a file holds others, or nests them too deep.
UNEXPECTED = (
    *(ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError, StopIteration),
    csv.Error,
)


class Label(NamedTuple):
    """A clip with its label.

    Attributes:
        path: its file as the tool names it: a path, the name of a file, or the address of a server.
        part: the clip's part of the file, such as "#t=20,30"; "": all of it.
        label: the label that a person gave; "": none yet.
        predicted: the label that a network gave; "": none.
        probability: of the predicted label; None: not known.
        place: where the row stands in the file, for messages: "line 3".
    """

    path: str
    part: str = ""
    label: str = ""
    predicted: str = ""
    probability: float | None = None
    place: str = ""
