"""The list of wrong changes fits the methods; and a few of them, where mutations.py tries all."""

from collections import Counter

import pytest
from mutated import FOLDER, POSSIBLE, Mutation, failures
from mutations import CHANGES

forking = pytest.mark.skipif(not POSSIBLE, reason="the wrong versions live in forked processes")


@pytest.mark.parametrize("mutation", CHANGES, ids=lambda m: f"{m.file}: {m.breaks}")
def test_a_change_has_one_place(mutation: Mutation) -> None:
    """Or else it would be another one than the list says."""
    assert mutation.old != mutation.new
    assert (FOLDER / mutation.file).read_text(encoding="utf-8").count(mutation.old) == 1


def test_no_change_stands_there_twice() -> None:
    twice = [
        change for change, count in Counter((m.file, m.old, m.new) for m in CHANGES).items() if count > 1
    ]
    assert not twice


@forking
def test_a_copy_without_a_change_passes() -> None:
    assert failures(Mutation("supervised.py", "batch.labels", "batch.labels", "nothing")) == {}


@forking
@pytest.mark.parametrize(
    ("file", "breaks", "check"),
    [
        ("supervised.py", "wrong sign", "labels"),
        ("fixmatch.py", "views exchanged", "stop-gradient"),
        ("fixmatch.py", "labels shifted by one class", "pseudo-labels-fit"),
        ("parts/pseudo.py", "sum over the batch", "mean-over-batch"),
        ("parts/teacher.py", "teacher in training mode", "teachers-rest"),
        ("flexmatch.py", "rows of the batch for indices", "indices"),
        ("tcl.py", "run in parts", "parts"),
    ],
)
def test_some_changes_and_what_notices_them(file: str, breaks: str, check: str) -> None:
    (mutation,) = (m for m in CHANGES if (m.file, m.breaks) == (file, breaks))
    found = failures(mutation, check)
    assert list(found) == [f"{mutation.names[0]}: {check}"]
