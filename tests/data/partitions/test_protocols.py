"""The language of protocols: what can be said, and what is said about the rest."""

from fractions import Fraction
from pathlib import Path

import pytest

from ssl_video.data.partitions import partition
from ssl_video.data.partitions.protocols import ByColumn, Listed, Percent, PerClass, describe, parse
from ssl_video.errors import InputError


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("per-class:10", PerClass(10, groups=False)),
        ("per-class:10+groups", PerClass(10, groups=True)),
        ("percent:10", Percent(Fraction(10), "class", "half-up", groups=False)),
        ("percent:0.5+ceil", Percent(Fraction(1, 2), "class", "ceil", groups=False)),
        ("percent:10+global+floor", Percent(Fraction(10), "global", "floor", groups=False)),
        ("percent:10+balanced+groups", Percent(Fraction(10), "balanced", "half-up", groups=True)),
        ("column:a+b", ByColumn("a+b", available=False)),
        ("column:a+b+available", ByColumn("a+b", available=True)),
        ("mini-ssv2-tcl-5", Percent(Fraction(5), "class", "ceil", groups=False)),
    ],
)
def test_rules(protocol: str, expected: object) -> None:
    assert parse(protocol) == expected


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("per-class:0", "a number of clips from 1"),
        ("per-class:-1", "a number of clips from 1"),
        ("per-class:1.5", "a number of clips from 1"),
        ("per-class", "a number of clips from 1"),
        ("percent:0", "above 0 and up to 100"),
        ("percent:0.0", "above 0 and up to 100"),
        ("percent:100.1", "above 0 and up to 100"),
        ("percent:nan", "above 0 and up to 100"),
        ("percent:10%", "above 0 and up to 100"),
        ("percent:10+flor", "unknown word 'flor'; did you mean floor"),
        ("percent:10+", "unknown word ''"),
        ("per-class:10+floor", "unknown word 'floor'; known: groups"),
        ("percent:10+global+balanced", "global and balanced exclude each other"),
        ("percent:10+floor+ceil", "floor and ceil exclude each other"),
        ("percent:10+floor+global", "write percent:10+global+floor"),
        ("percent:10+groups+groups", "write percent:10+groups"),
        ("column:", "the name of a column"),
        ("list:", "there is no file"),
        ("list:no/such.txt", "there is no file no/such.txt"),
        ("perclass:10", "unknown protocol 'perclass:10'; did you mean per-class:N"),
        ("ucf101-videosl-10", "did you mean ucf101-videossl-10"),
        ("mini-ssv2-tcl-5+available", "+available is for lists"),
        ("no/such.txt", "unknown protocol 'no/such.txt'"),
        ("", "unknown protocol ''"),
    ],
)
def test_protocols_of_no_known_form(protocol: str, expected: str) -> None:
    [found] = partition.check(protocol)
    assert expected in found
    with pytest.raises(InputError):
        parse(protocol)


def test_lists_are_looked_for_when_they_are_named(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("what/ever.avi 3\n")
    assert parse(str(path)) == parse(f"list:{path}") == Listed(path, available=False, published=None)
    assert parse(f"list:{path}+available") == Listed(path, available=True, published=None)


def test_every_form_is_described() -> None:
    kinds = {form.split(":")[0] for form in describe() if not form.startswith(" ")}
    assert kinds == {"all", "per-class", "percent", "column", "list", "NAME"}
