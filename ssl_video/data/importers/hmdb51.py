"""HMDB-51's official lists: CLASS_test_split1.txt, ... in one folder.

Source: Kuehne et al., "HMDB: A large video database for human motion recognition" (ICCV 2011).
"""

import re
from collections import defaultdict
from pathlib import Path

from ssl_video.data.importers.raw_index import RawIndex, split_column, text
from ssl_video.errors import InputError, some
from ssl_video.files import read_text

_LIST = re.compile(r"(.+)_test_split(\d+)\.txt")
_MARKS = {"0": "", "1": "train", "2": "test"}
# <source>_<class>_<visible body>_<camera motion>_<people>_<view>_<quality>_<number>
_NAME = r"(?P<group>.+)_{label}_[a-z]_[cn]m_np\d+_[a-z]{{2}}_(?:goo|med|bad)_\d+\.\w+"
ALL = "_all"


def recognises(names: list[str]) -> bool:
    """Return True if a folder with files of these names holds such lists."""
    return any(_LIST.fullmatch(name) for name in names)


def from_hmdb51(folder: Path) -> RawIndex:
    """Return the clips of all official splits, each with two pools of training clips.

    Columns split, split2 and split3 are the official ones: 3,570 training and 1,530 test clips. In
    split_all, split2_all and split3_all, the 1,666 clips that a split leaves out are training clips, too.
    These are the 5,236 of VideoSSL's lists and of the papers that adopted them.

    The source video is the part of a clip's name before the class. One film may be the source of clips of
    several classes. Within a class, no official split has a source video in both parts; split_all has.

    Args:
        folder: absolute path.

    Raises:
        InputError: a list is missing or has lines of another form.
    """
    lists = {(m[1], int(m[2])): f for f in sorted(folder.iterdir()) if (m := _LIST.fullmatch(f.name))}
    numbers = sorted({1, *(number for _, number in lists)})
    classes = sorted({label for label, _ in lists})
    lacking = [f"{c}_test_split{n}.txt" for c in classes for n in numbers if (c, n) not in lists]
    if lacking:
        raise InputError(f"{folder}: lists are missing: {some(lacking)}")
    raw = RawIndex(str(folder))
    clips: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for (label, number), file in lists.items():
        for line in filter(str.strip, read_text(file).splitlines()):
            name, _, mark = line.strip().rpartition(" ")
            if not name or mark not in _MARKS:
                raw.problems.append(f"{file.name}: expected a name and 0, 1 or 2, found {line.strip()!r}")
            clips[label, name.strip()][number] = _MARKS.get(mark, "")
    rows = sorted(clips)
    raw.ids, raw.labels = (
        text([f"{label}/{name}" for label, name in rows]),
        text([row[0] for row in rows]),
    )
    columns = {split_column(n): [clips[row].get(n, "") for row in rows] for n in numbers}
    columns |= {name + ALL: [part or "train" for part in column] for name, column in columns.items()}
    raw.splits = text(columns.pop("split"))
    raw.columns = {name: text(column) for name, column in columns.items()}
    names = [re.fullmatch(_NAME.format(label=re.escape(label)), name) for label, name in rows]
    if all(names):
        raw.groups = text([name["group"] for name in names if name])
        raw.notes.append("source videos (groups) are taken from the file names: <source>_<class>_...")
    return raw
