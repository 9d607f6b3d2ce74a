"""UCF-101's official lists: trainlist01.txt, testlist01.txt, ... and classInd.txt in one folder.

Source: Soomro et al., "UCF101: A Dataset of 101 Human Actions Classes From Videos in The Wild" (2012).
"""

import re
from pathlib import Path

from ssl_video.data.importers import list_file
from ssl_video.data.importers.raw_index import RawIndex, split_column, text
from ssl_video.data.names import folder as folder_of
from ssl_video.errors import InputError, some
from ssl_video.files import read_text

_LIST = re.compile(r"(train|test)list0?(\d+)\.txt")


def recognises(names: list[str]) -> bool:
    """Return True if a folder with files of these names holds such lists."""
    return any(_LIST.fullmatch(name) for name in names)


def from_ucf101(folder: Path) -> RawIndex:
    """Return the clips of all official splits: 1 as column split, 2 as split2, 3 as split3.

    Source videos are taken from the clips' names, as for every dataset with such names.

    Args:
        folder: absolute path.

    Raises:
        InputError: a list is missing or cannot be read.
    """
    lists = {(int(m[2]), m[1]): f for f in sorted(folder.iterdir()) if (m := _LIST.fullmatch(f.name))}
    numbers = sorted({number for number, _ in lists})
    lacking = [
        f"{part}list{number:02}.txt"
        for number in sorted({1, *numbers})
        for part in ("train", "test")
        if (number, part) not in lists
    ]
    if lacking:
        raise InputError(
            f"{folder}: there is no {' and no '.join(lacking)}: an official split needs both lists"
        )
    raw = RawIndex(str(folder))
    parts: dict[int, dict[str, str]] = {number: {} for number in numbers}
    classes: dict[str, set[int]] = {}
    for (number, part), file in lists.items():
        for entry in list_file.read(file):
            if parts[number].setdefault(entry.path, part) != part:
                raw.problems.append(f"{entry.path} is in the training and in the test list of split {number}")
            if entry.number is not None:
                classes.setdefault(folder_of(entry.path), set()).add(entry.number)
    paths = sorted({path for part in parts.values() for path in part})
    raw.ids, raw.labels = text(paths), text([folder_of(path) for path in paths])
    columns = {split_column(n): text([part.get(path, "") for path in paths]) for n, part in parts.items()}
    raw.splits, raw.columns = columns.pop("split"), columns
    bare = [path for path in paths if not folder_of(path)]
    if bare:
        raw.problems.append(f"{len(bare)} paths have no class folder: {some(bare)}")
    _check_numbers(raw, folder / "classInd.txt", classes)
    return raw


def _check_numbers(raw: RawIndex, file: Path, classes: dict[str, set[int]]) -> None:
    """Check that the lists number the class folders as classInd.txt does."""
    if not file.is_file():
        return
    known = {
        line[2]: {int(line[1])} for line in re.finditer(r"(?m)^([0-9]{1,9})\s+(\S+)\s*$", read_text(file))
    }
    wrong = sorted(name for name, numbers in classes.items() if known.get(name) != numbers)
    if wrong:
        raw.problems.append(f"{file.name} gives other numbers than the lists to {some(wrong)}")
