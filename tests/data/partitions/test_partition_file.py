"""Partition files: what is written is read back, and what was changed is noticed."""

from pathlib import Path

import numpy as np
import pytest
from helpers.partitions import make_index

from ssl_video.data.index import Index
from ssl_video.data.partitions import partition, partition_file
from ssl_video.data.partitions.partition import Partition
from ssl_video.errors import InputError


@pytest.fixture
def index() -> Index:
    ids = sorted(f"{c}/{c}{k:02d}.mp4" for c in "abc" for k in range(10))
    splits = ["train"] * 9 + ["test"]
    return make_index(ids, splits * 3, groups=[f"g{k // 3}" for _ in "abc" for k in range(10)])


def same(one: Partition, other: Partition) -> bool:
    parts = ("labeled", "validation", "unlabeled", "test")
    return one.fingerprint == other.fingerprint and all(
        getattr(one, part).tolist() == getattr(other, part).tolist() for part in parts
    )


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("validation", [0, 0.3])
@pytest.mark.parametrize("protocol", ["per-class:5", "percent:50+groups", "percent:10+global"])
def test_all_parts_come_back(
    index: Index, tmp_path: Path, protocol: str, validation: float, inside: bool
) -> None:
    if protocol == "percent:10+global" and validation:
        validation = 0  # three clips of any classes: too few to count on
    made = partition.make(index, protocol, draw=3, validation=validation, labeled_in_unlabeled=inside)
    partition_file.write(made, index, tmp_path / "part.txt")
    for form in (f"{tmp_path}/part.txt", f"list:{tmp_path}/part.txt"):
        again = partition.make(index, form)
        assert same(made, again)
        assert again.labeled_in_unlabeled == inside
        assert not any("written for other" in note for note in again.notes)


def test_the_text(tmp_path: Path) -> None:
    ids = ['a/"3".mp4', "a/#4.mp4", "a/1, 2.mp4", "b/1.mp4", "b/2.mp4"]
    index = make_index(ids, ["train"] * 4 + ["test"])
    made = partition.make(index, "percent:60", draw=9)  # 3 of 3 clips of a are 1.8 -> 2, of b 0.6 -> 1
    partition_file.write(made, index, tmp_path / "part.txt")
    assert same(partition.make(index, f"list:{tmp_path}/part.txt"), made)
    lines = (tmp_path / "part.txt").read_text().splitlines()
    assert lines[:10] == [
        "# ssl-video partition",
        f"# data set: small, fingerprint {index.fingerprint}",
        "# protocol: percent:60",
        "# draw: 9",
        "# labeled clips are in the unlabeled part: no",
        "# labeled: 3",
        "# validation: 0",
        "# unlabeled: 1",
        "# test: 1",
        f"# fingerprint: {made.fingerprint}",
    ]
    assert lines[11] == "path,label,part"
    assert '"b/1.mp4","b","labeled"' in lines[12:]


def test_plain_names_have_no_quotation_marks(index: Index, tmp_path: Path) -> None:
    made = partition.make(index, "per-class:1", validation=0)
    partition_file.write(made, index, tmp_path / "part.txt")
    row = made.labeled[0]
    expected = f"{index.ids[row]},{index.label[row]},labeled"
    assert expected in (tmp_path / "part.txt").read_text().splitlines()
    # The order is that of ids, and every clip that is simply unlabeled is left out.
    assert len((tmp_path / "part.txt").read_text().splitlines()) == 12 + 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a/", "b/"),
        (",labeled\n", ",validation\n"),
        ("unlabeled part: no", "unlabeled part: yes"),
        ("# fingerprint: ", "# fingerprint: 0"),
        ("path,label,part\n", ""),
        ("# data set", "# set"),
    ],
)
def test_a_changed_file_is_noticed(index: Index, tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "part.txt"
    partition_file.write(partition.make(index, "per-class:5"), index, path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match="was changed after ssl-video wrote it"):
        partition.make(index, str(path))


def test_a_line_that_is_gone_is_noticed(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "part.txt"
    partition_file.write(partition.make(index, "per-class:5"), index, path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match="was changed"):
        partition.make(index, str(path))


def test_other_line_ends_are_no_change(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "part.txt"
    made = partition.make(index, "per-class:5")
    partition_file.write(made, index, path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert same(partition.make(index, str(path)), made)


def test_on_another_data_set(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "part.txt"
    made = partition.make(index, "per-class:5", validation=1)
    partition_file.write(made, index, path)
    # Another copy: other folders and files, a clip more
    ids = [f"x/{name[:-4]}.avi" for name in index.ids] + ["x/d/d00.avi"]
    splits = [*index.splits.tolist(), "train"]
    other = make_index(ids, splits, labels=[*index.label.tolist(), "d"])
    again = partition.make(other, str(path))
    assert [again.labeled.tolist(), again.validation.tolist()] == [
        made.labeled.tolist(),
        made.validation.tolist(),
    ]
    assert again.unlabeled.tolist() == [*made.unlabeled.tolist(), 30]
    assert again.notes[0].startswith(
        f"{path} was written for other clips: data set {index.fingerprint}, here "
    )
    # A clip less
    less = index.without(made.labeled[:1])
    with pytest.raises(InputError, match="1 of 15 entries are clips that are not in use"):
        partition.make(less, str(path))
    part = partition.make(less, f"{path}+available")
    assert part.labeled.tolist() == made.labeled[1:].tolist()


def test_what_a_file_says_itself_is_not_asked_for(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "part.txt"
    partition_file.write(partition.make(index, "per-class:5"), index, path)
    with pytest.raises(InputError) as caught:
        partition.make(index, str(path), validation=0.2, labeled_in_unlabeled=True)
    first, second = caught.value.problems
    assert "says which clips are for validation: leave out --validation" in first
    assert "says that labeled clips are not in the unlabeled part: leave out --labeled-in-unlabeled" in second


def test_a_file_that_cannot_be_written(index: Index, tmp_path: Path) -> None:
    made = partition.make(index, "per-class:5")
    with pytest.raises(InputError, match="cannot write"):
        partition_file.write(made, index, tmp_path / "nowhere" / "part.txt")


def test_clips_without_a_part_are_unlabeled(index: Index, tmp_path: Path) -> None:
    """So that the file of a small labeled part stays small."""
    made = partition.make(index, "per-class:2+groups")
    partition_file.write(made, index, tmp_path / "part.txt")
    content = partition_file.read(tmp_path / "part.txt")
    assert len(content.paths) == 9 == len(index.rows("train")) - len(made.unlabeled)
    assert np.bincount(content.parts.codes).tolist() == [6, 3]
    assert content.parts.names.tolist() == ["labeled", "unused"]
