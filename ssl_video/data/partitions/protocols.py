"""The language of partition protocols: one string that fits a flag, a YAML key and a table's heading.

    all             every training clip that has a label; unlabeled clips are those without one.
    per-class:N     N labeled clips of each class.
    percent:P       P % of each class's training clips, rounded half up, at least one.
    column:NAME     a column of the manifest: 1 or true means labeled; 0, false or an empty field does not.
    list:PATH       the clips in a list of labeled clips, or in a file of `ssl-video data partition make`; the
                    path alone means the same.
    NAME            the clips of a published protocol, from a list in the folder `lists`: see
                    `ssl-video data partition list`.

Words after a + modify a rule, in this order:

    percent:P+global      P % of the whole training part, drawn without regard to classes (VideoSSL).
    percent:P+balanced    P % of the whole training part, the same number of each class, at least one.
    percent:P+floor       the number of clips rounded down, percent:P+ceil rounded up (TCL).
    per-class:N+groups    clips are taken by whole source videos, so that no source video has labeled and
                          unlabeled clips. The remaining clips of the source video that completes the number
                          are not used. Also for percent:P.
    list:PATH+available   entries that are not among the clips, or not in use, are left out instead of raising
                          an error. A note reports their number. Also for NAME and column:NAME.

Papers differ in all of this, so a paper's "10 %" is a protocol only together with these words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ssl_video.data.partitions import published
from ssl_video.data.partitions.published import PublishedProtocol
from ssl_video.errors import InputError, unknown

AVAILABLE = "+available"
# Words of a rule: at most one from each group, in this order.
_WORDS = {"per-class": (("groups",),), "percent": (("global", "balanced"), ("floor", "ceil"), ("groups",))}


@dataclass(frozen=True)
class All:
    """All clips that have a label."""


@dataclass(frozen=True)
class PerClass:
    """`count` clips of each class."""

    count: int
    groups: bool


@dataclass(frozen=True)
class Percent:
    """A fraction of the training clips.

    Attributes:
        percent: in (0, 100].
        scope: the base of the percentage: "class" (each class), "global" or "balanced".
        rounding: "half-up", "floor" or "ceil".
        groups: take clips by whole source videos.
    """

    percent: Fraction
    scope: str
    rounding: str
    groups: bool

    def of(self, number: int | Fraction) -> int:
        """Return that percentage of a number of clips, rounded as specified, at least one.

        >>> Percent(Fraction(10), "class", "half-up", False).of(25)
        3
        """
        exact = number * self.percent / 100
        shift = {"floor": Fraction(0), "half-up": Fraction(1, 2), "ceil": Fraction(1)}[self.rounding]
        up = self.rounding == "ceil" and exact.denominator == 1
        return max(1, int(exact if up else exact + shift))


@dataclass(frozen=True)
class ByColumn:
    """Clips that a column of the manifest marks.

    Attributes:
        name: the column.
        available: leave out marked clips that are not in use.
    """

    name: str
    available: bool


@dataclass(frozen=True)
class Listed:
    """Clips in a file.

    Attributes:
        path: the file.
        available: leave out clips that the dataset does not have.
        published: the protocol that the list belongs to, if the rule names one.
    """

    path: Path
    available: bool
    published: PublishedProtocol | None


Rule = All | PerClass | Percent | ByColumn | Listed


def describe() -> dict[str, str]:
    """Return every protocol's form with a one-line description."""
    return {
        "all": "every training clip that has a label; for data with unlabeled clips",
        "per-class:N": "N labeled clips of each class",
        "percent:P": "P % of each class's training clips, rounded half up, at least one",
        "percent:P+global": "P % of all training clips, without regard to classes; +balanced: equally many",
        "  +floor  +ceil": "another rounding, as in percent:10+global+floor",
        "  +groups": "by whole source videos: none has labeled and unlabeled clips",
        "column:NAME": "clips with 1 or true in a column of the manifest",
        "list:PATH": "clips in a list (VideoSSL, SVFormer, LTG, CSV, ...) or of `data partition make`",
        "  +available": "of a column or a list: without the clips that are missing or quarantined",
        "NAME": "published clips, from the lists in --lists DIR: see ssl-video data partition list",
    }


def parse(protocol: str, lists: Path | None = None) -> Rule:
    """Parse a protocol.

    Args:
        protocol: see the module's documentation.
        lists: folder with the published lists, for a protocol's name.

    Raises:
        InputError: not a protocol, no such file, or a list that differs from the published one.
    """
    if protocol == "all":
        return All()
    kind, _, value = protocol.partition(":")
    if kind in _WORDS:
        number, *words = value.split("+")
        _check_words(protocol, kind, number, words)
        return (
            _per_class(protocol, number, words) if kind == "per-class" else _percent(protocol, number, words)
        )
    if kind == "column":
        name = value.removesuffix(AVAILABLE)
        if not name:
            raise InputError(f"protocol {protocol!r}: expected the name of a column, as in column:labeled")
        return ByColumn(name, available=name != value)
    plain, available = protocol.removesuffix(AVAILABLE), protocol.endswith(AVAILABLE)
    if plain in published.names():
        known = published.load(plain)
        if not known.lists and available:
            raise InputError(f"protocol {protocol!r}: +available is for lists, and {plain} is a rule")
        if not known.lists:
            return parse(known.rule)
        return Listed(known.find(lists), available, known)
    path = Path(plain.removeprefix("list:")).expanduser()
    if path.is_file():
        return Listed(path, available, None)
    if kind == "list":
        raise InputError(f"protocol {protocol!r}: there is no file {path}")
    forms = [form for form in describe() if not form.startswith(" ")]
    raise InputError(
        f"{unknown('protocol', protocol, [*forms, *published.names()])}; and there is no file of this name"
    )


def _check_words(protocol: str, kind: str, number: str, words: Sequence[str]) -> None:
    known = [word for place in _WORDS[kind] for word in place]
    strange = [word for word in words if word not in known]
    if strange:
        raise InputError(
            *(f"protocol {protocol!r}: {unknown('word', word, known)} (behind a +)" for word in strange)
        )
    expected = [word for word in known if word in words]
    if any(len([word for word in place if word in words]) > 1 for place in _WORDS[kind]):
        raise InputError(f"protocol {protocol!r}: {' and '.join(words)} exclude each other: choose one")
    if expected != list(words):
        # Each protocol has only one spelling, because the text is the name of a table's column.
        raise InputError(f"protocol {protocol!r}: write {'+'.join([f'{kind}:{number}', *expected])}")


def _per_class(protocol: str, number: str, words: Sequence[str]) -> PerClass:
    if not re.fullmatch(r"0*[1-9]\d*", number):
        raise InputError(f"protocol {protocol!r}: expected a number of clips from 1, as in per-class:10")
    return PerClass(int(number), "groups" in words)


def _percent(protocol: str, number: str, words: Sequence[str]) -> Percent:
    if not re.fullmatch(r"\d+(\.\d+)?", number) or not 0 < Fraction(number) <= 100:
        raise InputError(f"protocol {protocol!r}: expected a number above 0 and up to 100, as in percent:10")

    def which(*names: str, otherwise: str) -> str:
        return next((name for name in names if name in words), otherwise)

    scope = which("global", "balanced", otherwise="class")
    rounding = which("floor", "ceil", otherwise="half-up")
    return Percent(Fraction(number), scope, rounding, "groups" in words)
