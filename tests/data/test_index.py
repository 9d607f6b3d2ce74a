"""Manifests and folders -> indexes. Clips are files of one byte: nothing here is decoded."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ssl_video.data.importers import read
from ssl_video.data.index import Index
from ssl_video.errors import InputError

UCF = Path(__file__).parents[2] / "../shared/data/ucf101_5c"


def touch(root: Path, *names: str, content: bytes = b"x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def manifest(folder: Path, *lines: str, name: str = "manifest.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def problems(*args: object, **kwargs: object) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        read(*args, **kwargs)  # type: ignore[arg-type]
    return caught.value.problems


ROWS = (
    "path,label,split,extra",
    "b/1.mp4,B,train,1",
    "a/1.mp4,A,train,0",
    "a/2.mp4,A,test,",
    "b/2.mp4,B,test,x",
    "b/3.mp4,B,,0",
)
FILES = ("a/1.mp4", "a/2.mp4", "b/1.mp4", "b/2.mp4", "b/3.mp4")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    touch(tmp_path / "set", *FILES)
    return manifest(tmp_path / "set", *ROWS)


def parts(index: Index) -> dict[str, str]:
    return dict(zip(index.ids.tolist(), index.splits.tolist(), strict=True))


# Manifests


def test_manifest_becomes_columns_sorted_by_id(small: Path) -> None:
    index = read(small)
    assert index.name == "set"
    assert index.classes == ("A", "B")
    assert index.ids.tolist() == ["a/1.mp4", "a/2.mp4", "b/1.mp4", "b/2.mp4", "b/3.mp4"]
    assert index.labels.tolist() == [0, 0, 1, 1, 1]
    assert index.labels.dtype == np.int64
    assert index.splits.tolist() == ["train", "test", "train", "test", ""]
    assert list(index.paths) == [str(small.parent / name) for name in index.ids]
    assert index.groups is None
    assert {name: values.tolist() for name, values in index.columns.items()} == {
        "extra": ["0", "", "1", "x", "0"]
    }
    assert index.notes == ("1 clips are neither train nor test and are not used",)


@pytest.mark.parametrize("prefix", ["", "set/", "./set/../set/"])
def test_paths_may_start_with_the_manifests_folder(tmp_path: Path, prefix: str) -> None:
    touch(tmp_path / "set", *FILES)
    index = read(manifest(tmp_path / "set", ROWS[0], *(prefix + row for row in ROWS[1:])))
    assert index.paths[2] == str(tmp_path / "set/b/1.mp4")
    assert index.ids[2] == ("set/" if prefix else "") + "b/1.mp4"


def test_base_is_chosen_once_for_the_whole_manifest(tmp_path: Path) -> None:
    # Three files lie beside the manifest, one of the same name as the missing fourth beside its folder.
    touch(tmp_path, "set/a/1.mp4", "set/a/2.mp4", "set/b/1.mp4", "b/2.mp4")
    found = problems(manifest(tmp_path / "set", *ROWS[:5]))
    assert len(found) == 1
    assert f"1 of 4 files do not exist in {tmp_path / 'set'}: 'b/2.mp4'" in found[0]
    # With as many files in either place, the manifest's own folder counts.
    touch(tmp_path, "a/1.mp4", "a/2.mp4")
    assert problems(tmp_path / "set/manifest.csv") == found


def test_root_replaces_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "videos", *FILES)
    file = manifest(tmp_path / "lists", *ROWS)
    monkeypatch.chdir(tmp_path / "lists")
    index = read("manifest.csv", root=Path("../videos"))
    assert index.name == "lists"
    assert index.paths[2] == str(tmp_path / "videos/b/1.mp4")
    assert index.ids[2] == "b/1.mp4"
    [problem] = problems(file, root=tmp_path / "video")
    assert f"did you mean {tmp_path / 'videos'}?" in problem


def test_absolute_paths_below_the_base_become_relative_ids(small: Path) -> None:
    rows = [f"{small.parent}/{row}" for row in ROWS[1:]]
    absolute = manifest(small.parent, ROWS[0], *rows, name="absolute.csv")
    assert read(absolute).ids.tolist() == read(small).ids.tolist()
    assert read(absolute).fingerprint == read(small).fingerprint


def test_paths_that_lead_out_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "secret.mp4", *(f"up/set/{name}" for name in FILES))
    inside, secret = tmp_path / "up/set", f"{tmp_path}/secret.mp4"
    file = manifest(inside, *ROWS, "../../secret.mp4,A,train,", f"{secret},A,train,")
    [problem] = problems(file)
    assert f"2 paths lead out of {inside}: '../../secret.mp4 (line 7)', '{secret} (line 8)'" in problem
    # A name that merely starts like the base is outside, too.
    touch(tmp_path, "up/set2/x.mp4")
    assert "'../set2/x.mp4 (line 7)'" in problems(manifest(inside, *ROWS, "../set2/x.mp4,A,train,"))[0]


def test_root_slash_allows_every_absolute_path(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", *FILES)
    rows = [f"{tmp_path}/elsewhere/{row}" for row in ROWS[1:]]
    file = manifest(tmp_path / "set/deep", ROWS[0], *rows)
    assert "5 paths lead out" in problems(file)[0]
    index = read(file, root=Path("/"))
    assert index.paths[2] == f"{tmp_path}/elsewhere/b/1.mp4"
    assert index.ids[2] == f"{tmp_path}/elsewhere/b/1.mp4"[1:]


def test_links_below_the_base_are_followed(tmp_path: Path) -> None:
    touch(tmp_path / "disk", *FILES)
    file = manifest(tmp_path / "set", *ROWS)
    for name in ("a", "b"):
        (tmp_path / "set" / name).symlink_to(tmp_path / "disk" / name)
    assert len(read(file).ids) == 5


def test_labels_are_names_whatever_they_look_like(tmp_path: Path) -> None:
    touch(tmp_path, "1.mp4", "2.mp4", "3.mp4", "4.mp4", "5.mp4", "6.mp4")
    index = read(
        manifest(
            tmp_path,
            "\ufefflabel, path ,split",
            *("10,1.mp4,train", "10,2.mp4,test", "NA , 3.mp4,Train", "NA,4.mp4,TEST", ""),
            *('"9,5",5.mp4,train', '"9,5",6.mp4,test'),
        )
    )
    assert index.classes == ("10", "9,5", "NA")
    assert index.labels.tolist() == [0, 0, 2, 2, 1, 1]
    assert index.splits.tolist() == ["train", "test"] * 3


def test_other_split_columns(tmp_path: Path) -> None:
    touch(tmp_path, *FILES[:4])
    file = manifest(
        tmp_path,
        "path,label,split,split2",
        "a/1.mp4,A,train,test",
        "a/2.mp4,A,test,train",
        "b/1.mp4,B,train,test",
        "b/2.mp4,B,test,train",
    )
    assert read(file, split="split2").splits.tolist() == ["test", "train"] * 2
    assert list(read(file, split="split2").columns) == ["split"]
    assert read(file, split="split2").fingerprint != read(file).fingerprint
    [problem] = problems(file, split="split3")
    assert "unknown split column 'split3'; did you mean split" in problem


@pytest.mark.parametrize(
    ("third", "expected", "note"),
    [
        ("test", ["train", "", "test", "train", "", "test"], "2 clips are neither"),
        ("train", ["train", "test", "train"] * 2, "there is no test part: val is used as test"),
    ],
)
def test_val_is_test_only_where_there_is_no_test(
    tmp_path: Path, third: str, expected: list[str], note: str
) -> None:
    rows = [f"{c}/{k}.mp4,{c},{part}" for c in "ab" for k, part in enumerate(("train", "val", third))]
    touch(tmp_path, *(row.split(",")[0] for row in rows))
    index = read(manifest(tmp_path, "path,label,split", *rows))
    assert index.splits.tolist() == expected
    assert index.notes[0].startswith(note)


def test_source_videos_in_both_parts_are_pointed_out(tmp_path: Path) -> None:
    # "x" is in train and test of A; "y" is in train of A and in test of B, which is another source video;
    # the last two clips have no source video and therefore share none.
    rows = [
        "1,A,x,train",
        "2,A,x,test",
        "3,A,y,train",
        "4,B,y,test",
        "5,B,z,train",
        "6,B,,train",
        "7,B,,test",
    ]
    rows = [f"{row[0]}.mp4{row[1:]}" for row in rows]
    touch(tmp_path, *(row.split(",")[0] for row in rows))
    index = read(manifest(tmp_path, "path,label,group,split", *rows))
    assert index.groups is not None
    assert index.groups.tolist() == ["x", "x", "y", "y", "z", "6.mp4", "7.mp4"]
    assert index.notes == (
        "1 source videos have clips in train and in test, which makes test results too good: 'x'",
    )


# Problems of manifests


def test_all_problems_of_a_manifest_at_once(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "b/1.mp4", "c/1.mp4")
    touch(tmp_path, "a/2.mp4", content=b"")
    found = problems(
        manifest(
            tmp_path,
            "path,label,split",
            "a/1.mp4,A,train",
            "a/2.mp4,A,train",
            "a/./1.mp4,A,train",
            "gone.mp4,B,train",
            "b/1.mp4,,train",
            ",B,train",
            "c/1.mp4,C,tset",
        )
    )
    text = "\n".join(found)
    assert len(found) == 8
    assert "path is empty in line 7" in text
    assert "label is empty in line 6" in text
    assert "1 of 7 files do not exist in" in text
    assert "'gone.mp4'" in text
    assert "1 paths are listed more than once: 'a/1.mp4'" in text
    assert "column 'split' has 'tset'; expected train, test, val or nothing" in text
    assert "1 files are empty (0 bytes): 'a/2.mp4'" in text
    assert "there is no test clip" in text
    assert "1 classes have no training clip: 'C'" in text


def test_many_missing_files_are_counted_and_five_named(tmp_path: Path) -> None:
    rows = [f"{k}.mp4,{'AB'[k % 2]},{('train', 'test')[k // 4]}" for k in range(8)]
    touch(tmp_path / "set", "0.mp4")
    [problem] = problems(manifest(tmp_path / "set", "path,label,split", *rows))
    assert "7 of 8 files" in problem
    assert "'1.mp4', '2.mp4', '3.mp4', '4.mp4', '5.mp4', ... (7 in all)" in problem
    os.remove(tmp_path / "set/0.mp4")
    [problem] = problems(tmp_path / "set/manifest.csv")
    assert f"8 of 8 files do not exist in {tmp_path / 'set'} and not in {tmp_path}: " in problem


def test_a_folder_is_not_a_clip(small: Path) -> None:
    (small.parent / "b/3.mp4").unlink()
    (small.parent / "b/3.mp4").mkdir()
    assert "1 of 5 files do not exist" in problems(small)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "lists no clips"),
        ("path,label\n", "lists no clips"),
        ("path,lable\na.mp4,A\n", "unknown column 'label'; did you mean lable?"),
        ("file\tclass\na.mp4\tA\n", "unknown column 'path'; known: class, file"),
        ("path,label,label\na.mp4,A,B\n", "column 'label' appears twice"),
        ("path,label\n\na,b.mp4,A\nb.mp4,B\nc.mp4\n", "expected 2 fields, as in the header, in line 3, 5"),
        ('path,label\n"a.mp4,A\n', "not valid CSV"),
        ("path,label\na.mp4,caf\xe9\n", "not a text file in UTF-8"),
    ],
)
def test_what_is_no_manifest(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "m.csv").write_bytes(text.encode("latin-1"))
    assert any(expected in problem for problem in problems(tmp_path / "m.csv"))


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("train", "train", "train", "train"), ["there is no test clip"]),
        (("test", "test", "test", "test"), ["there is no train clip"]),
        (("", "", "", ""), ["there is no train clip", "there is no test clip"]),
        (("train", "test", "test", "test"), ["1 classes have no training clip: 'B'"]),
        (("train", "test", "test", ""), ["1 classes have no training clip: 'B'"]),
    ],
)
def test_parts_that_lack_clips(tmp_path: Path, splits: tuple[str, ...], expected: list[str]) -> None:
    touch(tmp_path, *FILES[:4])
    rows = [f"{name},{name[0].upper()},{part}" for name, part in zip(FILES, splits, strict=False)]
    found = problems(manifest(tmp_path, "path,label,split", *rows))
    assert len(found) == len(expected)
    assert all(sentence in problem for sentence, problem in zip(expected, found, strict=True))


def test_a_class_without_a_test_clip_is_pointed_out(tmp_path: Path) -> None:
    touch(tmp_path, *FILES[:3])
    rows = ["a/1.mp4,A,train", "a/2.mp4,A,test", "b/1.mp4,B,train"]
    assert read(manifest(tmp_path, "path,label,split", *rows)).notes == ("1 classes have no test clip: 'B'",)


def test_one_class_is_a_problem(tmp_path: Path) -> None:
    touch(tmp_path, *FILES[:2])
    [problem] = problems(manifest(tmp_path, "path,label,split", "a/1.mp4,A,train", "a/2.mp4,A,test"))
    assert "all 2 clips are of one class, 'A'" in problem


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    touch(tmp_path / "ucf101", "a/1.mp4")
    assert problems(tmp_path / "ucf10") == (
        f"{tmp_path / 'ucf10'} does not exist; did you mean {tmp_path / 'ucf101'}?",
    )
    assert f"{tmp_path / 'ucf101'} is the nearest folder" in problems(tmp_path / "ucf101/x/y.csv")[0]


# Folders


def test_folder_of_class_folders(tmp_path: Path) -> None:
    touch(
        tmp_path / "set", "run/1.MP4", "run/2.avi", "run/.3.mp4", "run/notes.txt", "top.mp4", ".cache/x.mp4"
    )
    touch(tmp_path / "set", "walk it/1.webm", "walk it/2.mov", "walk it/deep/3.mp4", "docs/a.pdf")
    index = read(tmp_path / "set")
    assert index.name == "set"
    assert index.classes == ("run", "walk it")
    assert index.ids.tolist() == ["run/1.MP4", "run/2.avi", "walk it/1.webm", "walk it/2.mov"]
    assert index.paths[2] == str(tmp_path / "set/walk it/1.webm")
    ignored = index.notes[0].split(": ")[1].split(", ")
    assert sorted(ignored) == [
        "1 folders inside class folders",
        "1 folders without videos",
        "1 videos outside of class folders",
        "2 files that are not videos",
    ]
    assert index.notes[1].startswith("no split is given: held out 25% of each class as test, by whole clips")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train", "test"), {"train": "train", "test": "test"}),
        (("Train", "validation"), {"Train": "train", "validation": "test"}),
        (("train", "val", "test"), {"train": "train", "val": "", "test": "test"}),
    ],
)
def test_folder_of_parts(tmp_path: Path, names: tuple[str, ...], expected: dict[str, str]) -> None:
    touch(tmp_path, *(f"{part}/{label}/{part}.mp4" for part in names for label in "ab"), "beside/c/1.mp4")
    index = read(tmp_path)
    assert index.classes == ("a", "b")
    assert parts(index) == {f"{n}/{c}/{n}.mp4": part for n, part in expected.items() for c in "ab"}
    assert "1 folders beside train/ and test/" in index.notes[0]


def test_train_and_test_with_videos_are_classes(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{label}/{k}.mp4" for label in ("train", "test") for k in range(4)))
    assert read(tmp_path).classes == ("test", "train")


def test_problems_of_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert (
        "no videos found (the folder is empty); expected a folder for each" in problems(tmp_path / "empty")[0]
    )
    touch(tmp_path / "flat", "1.mp4", "2.mp4")
    assert "no videos found (2 videos outside of class folders)" in problems(tmp_path / "flat")[0]
    touch(tmp_path / "half", "train/a/1.mp4", "train/b/1.mp4")
    assert "no videos found (2 folders inside class folders" in problems(tmp_path / "half")[0]
    touch(tmp_path / "one", "a/1.mp4", "a/2.mp4")
    assert "all 2 clips are of one class, 'a'" in problems(tmp_path / "one")[0]
    touch(tmp_path / "parts", "train/a/1.mp4", "train/b/1.mp4", "test/c/1.mp4")
    assert "1 classes have no training clip: 'c'" in problems(tmp_path / "parts")[0]
    touch(tmp_path / "bad", "a/1.mp4", "a/2.mp4", "b/1.mp4")
    touch(tmp_path / "bad", "b/2.mp4", content=b"")
    (tmp_path / "bad/b/3.mp4").symlink_to(tmp_path / "nowhere")
    found = problems(tmp_path / "bad")
    assert "1 files cannot be read (broken links?): 'b/3.mp4'" in found[0]
    assert "1 files are empty (0 bytes): 'b/2.mp4'" in found[1]
    assert len(problems(tmp_path / "bad", root=tmp_path, split="split2")) == 2


def test_file_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, *FILES[:4])
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/a/caf\xe9.mp4")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system only takes UTF-8 names")
    [problem] = problems(tmp_path)
    assert "1 file names are not UTF-8: 'a/caf\\udce9.mp4'" in problem


# Holding out a test part


@pytest.mark.parametrize(("clips", "held"), [(2, 1), (4, 1), (5, 1), (6, 2), (8, 2), (40, 10)])
def test_a_quarter_of_each_class_is_held_out(tmp_path: Path, clips: int, held: int) -> None:
    # Rounded half up: 6 clips / 4 = 1.5 -> 2.
    touch(tmp_path, *(f"{label}/{k}.mp4" for label in "ab" for k in range(clips)))
    index = read(tmp_path)
    assert np.bincount(index.labels[index.rows("test")]).tolist() == [held, held]
    assert np.bincount(index.labels[index.rows("train")]).tolist() == [clips - held] * 2


def test_source_videos_are_held_out_as_a_whole(tmp_path: Path) -> None:
    names = [
        f"{c}/v_{c}_g{g:02d}_c{k:02d}.avi" for c in ("Run", "Walk") for g in range(1, 9) for k in range(3)
    ]
    touch(tmp_path, *names)
    index = read(tmp_path)
    assert index.groups is not None
    assert sorted(set(index.groups.tolist()))[0] == "v_Run_g01"
    group = np.array(index.groups.tolist())
    held = set(group[index.rows("test")])
    # 24 clips of a class / 4 = 6 clips = 2 source videos of 3 clips
    assert len(held) == 4
    assert not held & set(group[index.rows("train")])
    assert "groups) are taken from the file names" in index.notes[0]
    # One name of another kind, and nothing is known about any.
    touch(tmp_path, "Run/extra.avi")
    assert read(tmp_path).groups is None


def test_one_source_video_always_stays_in_train(tmp_path: Path) -> None:
    # 1 and 9 clips: a quarter of 10 is 3, so that the small source video alone would not be enough.
    labels = [f"c{k}" for k in range(8)]
    sizes = {"g01": 1, "g02": 9}
    touch(
        tmp_path, *(f"{c}/v_{c}_{g}_c{k:02d}.avi" for c in labels for g, n in sizes.items() for k in range(n))
    )
    index = read(tmp_path)
    held = np.bincount(index.labels[index.rows("test")]).tolist()
    assert set(held) == {1, 9}  # whichever comes first by its hash


def test_holding_out_depends_on_names_only(tmp_path: Path) -> None:
    names = [f"{label}/{k}.mp4" for label in "ab" for k in range(12)]
    touch(tmp_path / "one", *names)
    touch(tmp_path / "two", *names, "c/1.mp4", "c/2.mp4")
    rows = [f"{name},{name[0]}" for name in names]
    forwards, backwards = (
        read(manifest(tmp_path / "one", "path,label", *order, name=f"{len(order)}{order[0][0]}.csv"))
        for order in (rows, rows[::-1])
    )
    folder, larger = read(tmp_path / "one"), parts(read(tmp_path / "two"))
    assert parts(forwards) == parts(backwards) == parts(folder)
    held = [
        {name[1:] for name, part in parts(folder).items() if part == "test" and name[0] == c} for c in "ab"
    ]
    assert held[0] != held[1]  # a hash, not the first names of each class
    assert {name: part for name, part in larger.items() if name[0] != "c"} == parts(folder)
    assert forwards.fingerprint == backwards.fingerprint == folder.fingerprint


def test_a_class_that_cannot_be_divided(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "a/2.mp4", "b/1.mp4")
    assert any("held out of 1 classes with one clip: 'b'" in problem for problem in problems(tmp_path))
    touch(tmp_path / "ucf", *(f"{c}/v_{c}_g01_c0{k}.avi" for c in "ab" for k in (1, 2)))
    [first, *_] = problems(tmp_path / "ucf")
    assert "held out of 2 classes with one source video: 'a', 'b'" in first


# Fingerprints


def test_fingerprint_is_a_function_of_ids_classes_and_splits(tmp_path: Path) -> None:
    def fingerprint(folder: str, *rows: str) -> str:
        touch(tmp_path / folder, *FILES[:4])
        return read(manifest(tmp_path / folder, "path,label,split,extra", *rows)).fingerprint

    rows = ["a/1.mp4,A,train,0", "a/2.mp4,A,test,0", "b/1.mp4,B,train,0", "b/2.mp4,B,test,0"]
    first = fingerprint("one", *rows)
    assert re.fullmatch("[0-9a-f]{12}", first)
    assert fingerprint("two", *rows[::-1]) == first  # another folder and another order
    assert fingerprint("one", *(row[:-1] + "1" for row in rows)) == first  # another column
    assert fingerprint("one", *(row.replace("A", "C") for row in rows)) != first
    swapped = [row.replace("test", "x").replace("train", "test").replace("x", "train") for row in rows]
    assert fingerprint("one", *swapped) != first
    (tmp_path / "one/a/1.mp4").rename(tmp_path / "one/a/9.mp4")
    assert fingerprint("one", rows[0].replace("1.mp4", "9.mp4"), *rows[1:]) != first


def test_neither_torch_nor_pandas_is_imported() -> None:
    code = "import sys, ssl_video.data.partition; print({'torch', 'pandas'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


# The five-class subset of UCF-101


@pytest.mark.skipif(not UCF.is_dir(), reason="needs the five-class subset of UCF-101")
def test_real_manifest_and_real_folder() -> None:
    index = read(UCF / "manifest.csv")
    assert (index.name, len(index.ids), index.notes) == ("ucf101_5c", 740, ())
    assert index.classes == ("CricketBowling", "CricketShot", "PizzaTossing", "PlayingCello", "PlayingSitar")
    assert [len(index.rows(part)) for part in ("train", "test", "")] == [534, 206, 0]
    folder = read(UCF)
    assert folder.classes == index.classes
    assert index.groups is not None
    assert folder.groups is not None
    assert sorted(folder.groups.tolist()) == sorted(index.groups.tolist())
    assert sorted(folder.paths) == sorted(index.paths)


def test_a_class_that_loses_its_last_test_clip_is_named(tmp_path: Path) -> None:
    lines = ["path,label,split"]
    for label, clips in (("a", ("train", "test", "test")), ("b", ("train", "train", "test"))):
        for number, split in enumerate(clips):
            (tmp_path / f"{label}{number}.mp4").write_bytes(b"x")
            lines.append(f"{label}{number}.mp4,{label},{split}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    index = read(tmp_path / "manifest.csv")
    # b's only test clip is left out; a keeps one of its two.
    kept = index.without(np.flatnonzero(np.isin(index.ids.tolist(), ["b2.mp4", "a2.mp4"])))
    assert [note for note in kept.notes if note not in index.notes] == ["no test clip is left of 'b'"]
    assert kept.classes == ("a", "b")
