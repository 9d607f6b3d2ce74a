"""Clips without a label, from every kind of source."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.input_errors import problems
from helpers.sources import manifest, parts, touch

from ssl_video.data.importers import index_file, read, unlabeled
from ssl_video.data.index import Index

LABELED = tuple(f"{label}/{clip}.mp4" for label in ("run", "sit") for clip in range(4))


def without_label(index: Index) -> list[str]:
    """The ids of the unlabeled clips, which have no label anywhere."""
    rows = index.rows("unlabeled")
    assert (index.labels[rows] == -1).all()
    assert [index.label[row] for row in rows.tolist()] == [""] * len(rows)
    assert set(index.classes) == {"run", "sit"}
    assert (index.labels[index.rows("train", "test")] >= 0).all()
    return index.ids[rows].tolist()


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """Two class folders, and a folder of unlabeled videos at several depths."""
    touch(tmp_path / "lab", *LABELED)
    touch(
        tmp_path / "lab",
        "unlabeled/a.mp4",
        "unlabeled/day/2/b.mp4",
        "unlabeled/.hidden.mp4",
        "unlabeled/x.txt",
    )
    return tmp_path / "lab"


def test_a_folder_beside_class_folders(lab: Path) -> None:
    index = read(lab)
    assert without_label(index) == ["unlabeled/a.mp4", "unlabeled/day/2/b.mp4"]
    # No labeled clip is held out.
    assert (len(index.rows("train")), len(index.rows("test"))) == (8, 0)
    assert [note for note in index.notes if "unlabeled" in note] == []
    assert index.paths[0] == str(lab / index.ids[0])


@pytest.mark.parametrize("name", ["Unlabeled", "unlabelled"])
def test_a_folder_beside_train_and_test_or_in_train(tmp_path: Path, name: str) -> None:
    touch(tmp_path, *(f"train/{clip}" for clip in LABELED), *(f"test/{clip}" for clip in LABELED))
    touch(tmp_path, f"{name}/a/1.mp4", f"train/{name}/2.mp4", f"test/{name}/3.mp4")
    index = read(tmp_path)
    assert without_label(index) == sorted([f"{name}/a/1.mp4", f"train/{name}/2.mp4"])
    assert parts(index)[f"test/{name}/3.mp4"] == ""
    assert "1 clip for testing or validation without a label: not used" in index.notes


def test_an_empty_label_in_a_manifest(tmp_path: Path) -> None:
    touch(tmp_path, *LABELED, "1.mp4", "2.mp4", "3.mp4")
    rows = [f"{clip},{clip[:3]},{'test' if '0' in clip else 'train'}" for clip in LABELED]
    file = manifest(tmp_path, "path,label,split", *rows, "1.mp4,,train", "2.mp4,,", "3.mp4,,test")
    index = read(file)
    assert without_label(index) == ["1.mp4", "2.mp4"]
    assert index.notes == ("1 clip for testing or validation without a label: not used",)
    assert parts(index)["3.mp4"] == ""


@pytest.mark.parametrize("word", ["-1", "unlabeled", "Unlabelled", "unknown", "NONE", "?"])
def test_a_word_for_no_label(tmp_path: Path, word: str) -> None:
    touch(tmp_path, *LABELED, "1.mp4", "2.mp4")
    rows = [*(f"{clip},{clip[:3]}" for clip in LABELED), f"1.mp4,{word}", f"2.mp4,{word}"]
    file = manifest(tmp_path, "path,label", *rows)
    index = read(file)
    assert without_label(index) == ["1.mp4", "2.mp4"]
    note = f"2 clips are unlabeled, as the label is {word!r}; if this is a class: --keep-classes {word!r}"
    assert note in index.notes
    kept = read(file, keep_classes=(word,))
    assert set(kept.classes) == {"run", "sit", word}
    assert not len(kept.rows("unlabeled"))
    assert note not in kept.notes


def test_a_real_class_of_such_a_name_in_a_folder(lab: Path) -> None:
    touch(lab, "unlabeled/c.mp4")
    kept = read(lab, keep_classes=("unlabeled",))
    assert set(kept.classes) == {"run", "sit", "unlabeled"}
    assert kept.label[kept.ids.tolist().index("unlabeled/day/2/b.mp4")] == "unlabeled"


def test_no_label_at_all_and_a_single_class(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    nothing = manifest(tmp_path, "path,label", "a.mp4,", "b.mp4,unknown", name="nothing.csv")
    assert "no clip has a label; expected some of two or more classes" in problems(read, nothing)[0]
    one = manifest(tmp_path, "path,label", "a.mp4,run", "b.mp4,", "c.mp4,run", name="one.csv")
    assert "all 2 labeled clips are of one class, 'run'; expected two or more" in problems(read, one)[0]


def test_groups_by_name_need_labeled_clips_alone(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{c}/v_{c}_g0{g}_c01.avi" for c in ("A", "B") for g in range(1, 5)), "unlabeled/x.avi")
    index = read(tmp_path)
    assert index.groups is not None
    assert index.groups[index.ids.tolist().index("unlabeled/x.avi")] == "unlabeled/x.avi"
    assert index.groups[0] == "v_A_g01"


def test_a_list_of_absolute_paths(tmp_path: Path, lab: Path) -> None:
    touch(tmp_path, "one/a.mp4", "two/b.mp4")
    paths = [str(tmp_path / name) for name in ("one/a.mp4", "two/b.mp4")]
    index = unlabeled.add(read(lab), [manifest(tmp_path / "lists", *paths, name="all.txt")])
    new = [row for row in index.rows("unlabeled").tolist() if index.ids[row].startswith("unlabeled-2/")]
    assert [index.paths[row] for row in new] == paths


@pytest.mark.parametrize("kind", ["folder", "manifest", "list", "index", "videos"])
def test_every_source_gives_the_clips_of_the_folder(tmp_path: Path, lab: Path, kind: str) -> None:
    """So that training is the same, wherever they lie."""
    inside = read(lab)
    archive = tmp_path / "archive"
    (lab / "unlabeled").rename(archive)
    names = ["a.mp4", "day/2/b.mp4"]
    sources = {
        "folder": [archive],
        "manifest": [manifest(archive, "path,label", "a.mp4,sit", "day/2/b.mp4,", name="m.csv")],
        "list": [manifest(archive, *names, name="list.txt")],
        "index": [archive / "archive.arrow"],
        "videos": [archive / "a.mp4"],
    }[kind]
    if kind == "index":
        rows = ["a.mp4,x,train", "day/2/b.mp4,y,test", "day/2/b2.mp4,x,test", "b3.mp4,y,train"]
        touch(archive, "day/2/b2.mp4", "b3.mp4")
        index_file.write(read(manifest(archive, "path,label,split", *rows)), sources[0])
        names += ["b3.mp4", "day/2/b2.mp4"]
    if kind == "videos":
        names = names[:1]
    index = unlabeled.add(read(lab, unsplit="train"), sources)
    assert without_label(index) == sorted(f"unlabeled/{name}" for name in names)
    for row in index.rows("unlabeled").tolist():
        assert index.paths[row] == str(archive / index.ids[row].removeprefix("unlabeled/"))
    assert index.paths[0] == str(lab / "run/0.mp4")
    assert f"{len(names)} unlabeled clip" in index.notes[-1]
    if kind in ("folder", "manifest", "list"):
        assert index.fingerprint == inside.fingerprint
        assert index.ids.tolist() == inside.ids.tolist()


def test_several_sources_and_a_folder_of_the_same_name(tmp_path: Path, lab: Path) -> None:
    touch(tmp_path, "one/a.mp4", "two/a.mp4")
    index = unlabeled.add(read(lab), [tmp_path / "one", tmp_path / "two"])
    assert without_label(index) == [
        "unlabeled-2/a.mp4",
        "unlabeled-3/a.mp4",
        "unlabeled/a.mp4",
        "unlabeled/day/2/b.mp4",
    ]
    paths = dict(zip(index.ids.tolist(), index.paths, strict=True))
    assert paths["unlabeled-2/a.mp4"] == str(tmp_path / "one/a.mp4")
    assert paths["unlabeled-3/a.mp4"] == str(tmp_path / "two/a.mp4")
    assert paths["unlabeled/a.mp4"] == str(lab / "unlabeled/a.mp4")
    assert index.elsewhere == {"unlabeled-2": str(tmp_path / "one"), "unlabeled-3": str(tmp_path / "two")}


@pytest.mark.parametrize("link", ["no", "folder", "files", "list"])
def test_clips_that_the_data_set_has_are_not_added(tmp_path: Path, lab: Path, link: str) -> None:
    """A labeled or a test clip would otherwise be unlabeled as well."""
    before = read(lab)
    sources = [lab / "run", lab / "unlabeled"]
    if link == "folder":
        (tmp_path / "link").symlink_to(lab)
        sources = [tmp_path / "link/run", tmp_path / "link/unlabeled"]
    elif link == "files":
        (tmp_path / "some").mkdir()
        for clip in range(4):
            (tmp_path / f"some/{clip}.mp4").symlink_to(lab / f"run/{clip}.mp4")
        sources[0] = tmp_path / "some"
    elif link == "list":
        sources[0] = manifest(tmp_path, *(str(lab / f"run/{clip}.mp4") for clip in range(4)), name="l.txt")
    index = unlabeled.add(before, sources)
    assert without_label(index) == without_label(before)
    assert [note for note in index.notes if "not added" in note] == [
        f"4 clips of {sources[0]} not added: the data set has them already",
        f"2 clips of {sources[1]} not added: the data set has them already",
    ]


def test_sources_that_cannot_be_read(tmp_path: Path, lab: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.doc").write_text("nothing")
    touch(tmp_path, "z/a.mp4", content=b"")
    lost = manifest(tmp_path, "path", "gone.mp4", name="lost.csv")
    sources = [tmp_path / name for name in ("nowhere", "empty", "z")]
    found = problems(unlabeled.add, read(lab), [*sources, lost])
    assert f"{tmp_path / 'nowhere'} does not exist" in found[0]
    assert f"{tmp_path / 'empty'}: no videos found" in found[1]
    assert found[2].startswith(f"{tmp_path / 'z'}: 1 file is empty (0 bytes): 'a.mp4'")
    assert found[3].startswith(f"{lost}: 1 of 1 files do not exist in {tmp_path}")
    index = unlabeled.add(read(lab), [tmp_path / "z"], faulty=True)
    assert "unlabeled-2/a.mp4" in index.ids.tolist()


def test_an_index_file_keeps_them(tmp_path: Path, lab: Path) -> None:
    touch(tmp_path, "archive/c.mp4")
    index = unlabeled.add(read(lab), [tmp_path / "archive"])
    index_file.write(index, tmp_path / "lab.arrow")
    again = index_file.read(tmp_path / "lab.arrow")
    assert without_label(again) == without_label(index)
    assert again.fingerprint == index.fingerprint
    assert list(again.paths) == list(index.paths)
    np.testing.assert_array_equal(again.labels, index.labels)
    assert again.classes == index.classes


def test_columns_of_the_manifest_are_empty_for_further_clips(tmp_path: Path) -> None:
    touch(tmp_path / "lab", *LABELED)
    touch(tmp_path, "archive/c.mp4")
    rows = [f"{clip},{clip[:3]},north" for clip in LABELED]
    index = read(manifest(tmp_path / "lab", "path,label,camera", *rows))
    index = unlabeled.add(index, [tmp_path / "archive"])
    index_file.write(index, tmp_path / "all.arrow")
    for one in (index, index_file.read(tmp_path / "all.arrow")):
        assert dict(zip(one.ids.tolist(), one.columns["camera"].tolist(), strict=True)) == {
            **dict.fromkeys(LABELED, "north"),
            "unlabeled/c.mp4": "",
        }


def test_labels_of_a_source_are_never_read(tmp_path: Path, lab: Path) -> None:
    archive = tmp_path / "archive"
    touch(archive, "a.mp4", "b.mp4")
    found = list[Any]()
    for labels in (("run", "sit"), ("other", "unknown"), ("", "")):
        rows = [f"{name},{label}" for name, label in zip(("a.mp4", "b.mp4"), labels, strict=True)]
        index = unlabeled.add(read(lab), [manifest(archive, "path,label", *rows)])
        found.append((index.fingerprint, index.classes, index.labels.tolist()))
    assert found[0] == found[1] == found[2]
