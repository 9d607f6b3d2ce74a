"""Protocols of the literature, and the check of a user's list against the published one.

The published lists are not part of this package: the user supplies the folder that holds them. A protocol's
name always means exactly the published clips; a new draw by the same rule goes by the rule's name.
"""

import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ssl_video.errors import InputError


@dataclass(frozen=True)
class PublishedProtocol:
    """A protocol defined by a paper or its repository. The definitions are in `benchmarks/protocols`.

    Attributes:
        name: its name in this package.
        about: dataset, split and rule in one line.
        source: paper or repository that published it.
        remarks: facts that its users should know.
        rule: the protocol that draws clips by the same rule.
        labeled_in_unlabeled: the published unlabeled part contains the labeled clips, too.
        lists: file name endings of lists with the labeled clips, any of which will do; empty: the clips were
            never published, only the rule.
        labeled: number of labeled clips, if published.
        per_class: smallest and largest number of labeled clips of a class, if published.
        train: number of training clips, if published.
        test: number of test clips, if published.
        fingerprint: hash of the names of the labeled clips, see `fingerprint`.
    """

    name: str
    about: str
    source: str
    remarks: str
    rule: str
    labeled_in_unlabeled: bool
    lists: tuple[str, ...] = ()
    labeled: int | None = None
    per_class: tuple[int, int] | None = None
    train: int | None = None
    test: int | None = None
    fingerprint: str = ""

    def find(self, folder: Path | None) -> Path:
        """Return the list's path in a folder or one below it.

        Raises:
            InputError: there is no folder or no list in it.
        """
        wanted = f"{' or '.join(self.lists)} (from {self.source})"
        otherwise = f"for a draw of our own by the same rule, use --protocol {self.rule}"
        if folder is None:
            raise InputError(
                f"protocol {self.name} needs a published list: {wanted}; give the folder that holds it with "
                f"--lists DIR; {otherwise}"
            )
        folder = folder.expanduser()
        if not folder.is_dir():
            raise InputError(f"--lists: there is no folder {folder}")
        for end in self.lists:
            found = sorted(folder.rglob(end))
            if found:
                return found[0]
        raise InputError(f"protocol {self.name}: no file in {folder} or below is {wanted}; {otherwise}")

    def check(self, path: Path, stems: Iterable[str]) -> None:
        """Check that a list is the published one.

        Args:
            path: the list.
            stems: its clips' names without folders and extension.

        Raises:
            InputError: the clips differ.
        """
        names = list(stems)
        found = fingerprint(names)
        if found != self.fingerprint:
            raise InputError(
                f"{path} is not the list of {self.name}: it has {len(names)} clips with the fingerprint "
                f"{found}, published were {self.labeled} with {self.fingerprint}; take the file from "
                f"{self.source}; for a list of your own, give its path as the protocol"
            )

    def notes(self, train: int, test: int, labeled_in_unlabeled: bool) -> list[str]:
        """Return the differences of a dataset or a setting from the published one, as sentences."""
        notes = [
            f"{self.name} was published with {expected:,} {part} clips; this data set has {found:,}"
            for part, expected, found in (("training", self.train, train), ("test", self.test, test))
            if expected is not None and expected != found
        ]
        if labeled_in_unlabeled != self.labeled_in_unlabeled:
            place, flag = ("inside", "") if self.labeled_in_unlabeled else ("outside of", "no-")
            notes.append(
                f"{self.name} was published with the labeled clips {place} the unlabeled part: "
                f"--{flag}labeled-in-unlabeled"
            )
        if not self.lists:
            notes.append(f"{self.name} was published as a rule: these clips are a draw of our own")
        return notes


def fingerprint(stems: Iterable[str]) -> str:
    """Return 12 hexadecimal digits of SHA-256 over the sorted clip names, without folders and extensions."""
    return hashlib.sha256("\n".join(sorted(stems)).encode()).hexdigest()[:12]


def names() -> list[str]:
    """Return the names of the published protocols, dataset by dataset."""
    return list(_all())


def load(name: str) -> PublishedProtocol:
    """Return a published protocol by its name, which must be one of `names`."""
    return _all()[name]


@functools.cache
def _all() -> Mapping[str, PublishedProtocol]:
    found = dict[str, PublishedProtocol]()
    folder = resources.files("ssl_video.benchmarks") / "protocols"
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            family = yaml.safe_load(entry.read_text(encoding="utf-8"))
            found |= {name: _read(name, family, own) for name, own in family["protocols"].items()}
    return found


def _read(name: str, family: Mapping[str, Any], own: Mapping[str, Any]) -> PublishedProtocol:
    values = {key: value for key, value in family.items() if key != "protocols"} | dict(own)
    for key in ("lists", "per_class"):
        if key in values:
            values[key] = tuple(values[key])
    return PublishedProtocol(name=name, **values)
