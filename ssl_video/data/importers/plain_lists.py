"""Import of training and test lists as other code bases publish them, with or without class names."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ssl_video.data.importers import list_file
from ssl_video.data.importers.list_file import ListEntry
from ssl_video.data.importers.raw_index import RawIndex, text
from ssl_video.data.names import UCF_NAME, folder, key, stem
from ssl_video.errors import InputError, some
from ssl_video.files import read_text

_NUMBERED = re.compile(r"([0-9]{1,9})[\s,;]+(.+)")


def from_lists(parts: Mapping[str, Sequence[Path]], classes: Path | None) -> RawIndex:
    """Return the clips of training, validation and test lists; see `ssl_video.data.importers.list_file`.

    A clip's class is the name in the list. If the list has numbers, the file of classes maps them to names.
    Whether a list counts from 0 or from 1 is inferred from its numbers and from the clips' folders. Without
    such a file, classes are the clips' folders, provided that numbers agree with folders, or come from names
    like v_Archery_g01_c01. Published lists for HMDB-51 number some clips wrongly: there the folder counts.

    Args:
        parts: absolute paths of lists, by "train", "val" and "test". A clip may be in several of a part's
            lists (for example in labeled clips and in all training clips).
        classes: absolute path of a file with `number name` or `name` in each line.

    Raises:
        InputError: a file cannot be read.
    """
    raw = RawIndex("lists of clips")
    names = None if classes is None else _Classes(classes)
    clips: dict[tuple[str, str], str] = {}
    repeated = 0
    for part, of_part in parts.items():
        for file in of_part:
            found = list_file.read(file)
            labels = _labels(file, found, names, raw)
            for entry, label in zip(found, labels, strict=True):
                before = clips.setdefault((part, entry.path + entry.segment), label)
                repeated += before == label
                if before != label:
                    raw.problems.append(f"{file}: {entry.path} is of class {label!r} and of {before!r}")
    repeated -= len(clips)
    if repeated:
        raw.notes.append(f"{repeated} entries repeat a clip of their part and are left out")
    raw.ids = text([path for _, path in clips])
    raw.splits = text([part for part, _ in clips])
    raw.labels = text(list(clips.values()))
    raw.split_off_segments()
    return raw


def _labels(file: Path, found: list[ListEntry], classes: "_Classes | None", raw: RawIndex) -> list[str]:
    """Return the class of each entry, and add errors to the raw index's problems."""
    if all(entry.label for entry in found):
        return [entry.label for entry in found]
    if any(entry.label for entry in found):
        some_without = [entry.path for entry in found if not entry.label]
        raw.problems.append(f"{file}: {len(some_without)} entries have no class name: {some(some_without)}")
    elif classes and all(entry.number is not None for entry in found):
        return classes.name(file, found, raw)
    elif (odd := _odd(found)) is not None:
        if odd:
            raw.notes.append(
                f"{file.name}: {len(odd)} of {len(found)} clips have the number of another class than their "
                f"folder, and the folder counts: {some(odd)}"
            )
        return [folder(entry.path) for entry in found]
    else:
        names = [re.fullmatch(UCF_NAME, stem(entry.path)) for entry in found]
        if all(names):
            return [name["label"] for name in names if name]
        raw.problems.append(
            f"{file} numbers the classes, and its clips' folders do not name them: give a file of class "
            "names (--classes FILE)"
        )
    return [""] * len(found)


def _odd(found: list[ListEntry]) -> list[str] | None:
    """Return the clips with another number than most in their folder; None if folders are no classes."""
    pairs = Counter((folder(entry.path), entry.number) for entry in found)
    usual: dict[str, int | None] = {}
    for (name, number), _ in pairs.most_common():
        usual.setdefault(name, number)
    numbers = {entry.number for entry in found}
    classes = numbers == {None} or (set(usual.values()) == numbers and len(numbers) == len(usual))
    if "" in usual or len(usual) < 2 or not classes:
        return None
    return [f"{entry.path} {entry.number}" for entry in found if entry.number != usual[folder(entry.path)]]


class _Classes:
    """Names of classes in the order of their numbers."""

    def __init__(self, file: Path) -> None:
        lines = [line.strip() for line in read_text(file).splitlines() if line.strip()]
        numbered = [_NUMBERED.fullmatch(line) for line in lines]
        if any(numbered[1:]) and not numbered[0]:
            lines, numbered = lines[1:], numbered[1:]  # a header
        self.file, self.first = file, 0
        if all(numbered) and numbered:
            by_number = {int(match[1]): match[2] for match in numbered if match}
            self.first, self.names = min(by_number), [by_number[number] for number in sorted(by_number)]
            if sorted(by_number) != list(range(self.first, self.first + len(lines))):
                raise InputError(f"{file}: expected a line for each number from {self.first} on")
        else:
            self.names = lines
        again = sorted({name for name in self.names if self.names.count(name) > 1})
        if again or not self.names:
            raise InputError(
                f"{file}: expected a class name or `number name` in each line; "
                + (f"twice: {some(again)}" if again else "it is empty")
            )
        self.keys = [key(name) for name in self.names]

    def name(self, file: Path, found: list[ListEntry], raw: RawIndex) -> list[str]:
        """Return the classes of a list's numbers, which may count from 0 or from 1."""
        numbers = [entry.number or 0 for entry in found]
        fits = [n for n in (0, 1) if min(numbers) >= n and max(numbers) < n + len(self.names)]
        if not fits:
            raw.problems.append(
                f"{file} has numbers from {min(numbers)} to {max(numbers)}, {self.file} names "
                f"{len(self.names)} classes"
            )
            return [""] * len(found)
        hints = [self._hint(entry) for entry in found]
        agree = {n: sum(self.keys[k - n] == h for k, h in zip(numbers, hints, strict=True)) for n in fits}
        first = max(fits, key=lambda n: (agree[n], n == self.first))
        if len(fits) > 1 and agree[0] == agree[1]:
            raw.notes.append(
                f"{file.name} is taken to number the classes from {first}, as {self.file.name} does"
            )
        known = set(self.keys)
        wrong = [
            f"{entry.path} {entry.number}"
            for entry, number, hint in zip(found, numbers, hints, strict=True)
            if hint in known and hint != self.keys[number - first]
        ]
        if wrong:
            raw.problems.append(
                f"{file}: {len(wrong)} of {len(found)} clips are in the folder of another class than their "
                f"number says: {some(wrong)}; give the file of classes that these numbers were made with, or "
                "leave --classes out if the folders are right"
            )
        return [self.names[number - first] for number in numbers]

    def _hint(self, entry: ListEntry) -> str:
        """Return the class that a clip's folder or name suggests, as a key."""
        place = key(folder(entry.path))
        name = None if place in self.keys else re.fullmatch(UCF_NAME, stem(entry.path))
        return key(name["label"]) if name else place
