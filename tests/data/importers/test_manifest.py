"""Manifests -> indexes."""

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.input_errors import problems
from helpers.sources import FILES, ROWS, manifest, touch

from ssl_video.data.importers import read


@pytest.fixture
def small(tmp_path: Path) -> Path:
    touch(tmp_path / "set", *FILES)
    return manifest(tmp_path / "set", *ROWS)


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
    assert index.notes == ("1 clip is neither train nor test: not used",)


@pytest.mark.parametrize("prefix", ["", "set/", "./set/../set/"])
def test_paths_may_start_with_the_manifests_folder(tmp_path: Path, prefix: str) -> None:
    touch(tmp_path / "set", *FILES)
    index = read(manifest(tmp_path / "set", ROWS[0], *(prefix + row for row in ROWS[1:])))
    assert index.paths[2] == str(tmp_path / "set/b/1.mp4")
    assert index.ids[2] == ("set/" if prefix else "") + "b/1.mp4"


def test_base_is_chosen_once_for_the_whole_manifest(tmp_path: Path) -> None:
    # Three files lie beside the manifest, one of the same name as the missing fourth beside its folder.
    touch(tmp_path, "set/a/1.mp4", "set/a/2.mp4", "set/b/1.mp4", "b/2.mp4")
    found = problems(read, manifest(tmp_path / "set", *ROWS[:5]))
    assert len(found) == 1
    assert f"1 of 4 files do not exist in {tmp_path / 'set'}: 'b/2.mp4'" in found[0]
    # With as many files in either place, the manifest's own folder counts.
    touch(tmp_path, "a/1.mp4", "a/2.mp4")
    assert problems(read, tmp_path / "set/manifest.csv") == found


def test_root_replaces_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "videos", *FILES)
    file = manifest(tmp_path / "lists", *ROWS)
    monkeypatch.chdir(tmp_path / "lists")
    index = read("manifest.csv", root=Path("../videos"))
    assert index.name == "lists"
    assert index.paths[2] == str(tmp_path / "videos/b/1.mp4")
    assert index.ids[2] == "b/1.mp4"
    [problem] = problems(read, file, root=tmp_path / "video")
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
    [problem] = problems(read, file)
    assert f"2 paths lead out of {inside}: '../../secret.mp4 (line 7)', '{secret} (line 8)'" in problem
    # A name that merely starts like the base is outside, too.
    touch(tmp_path, "up/set2/x.mp4")
    assert "'../set2/x.mp4 (line 7)'" in problems(read, manifest(inside, *ROWS, "../set2/x.mp4,A,train,"))[0]


def test_root_slash_allows_every_absolute_path(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", *FILES)
    rows = [f"{tmp_path}/elsewhere/{row}" for row in ROWS[1:]]
    file = manifest(tmp_path / "set/deep", ROWS[0], *rows)
    assert "5 paths lead out" in problems(read, file)[0]
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
    [problem] = problems(read, file, split="split3")
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


# Problems


def test_all_problems_of_a_manifest_at_once(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "b/1.mp4", "c/1.mp4")
    touch(tmp_path, "a/2.mp4", content=b"")
    found = problems(
        read,
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
        ),
    )
    text = "\n".join(found)
    assert len(found) == 6, "a clip without a label is no problem, nor a test part without clips"
    assert "path is empty in line 7" in text
    assert "1 of 7 files do not exist in" in text
    assert "'gone.mp4'" in text
    assert "1 path is listed more than once: 'a/1.mp4'" in text
    assert "column 'split' has 'tset'; expected train, test, val or nothing" in text
    assert "1 file is empty (0 bytes): 'a/2.mp4'" in text
    assert "1 class has no training clip: 'C'" in text


def test_many_missing_files_are_counted_and_five_named(tmp_path: Path) -> None:
    rows = [f"{k}.mp4,{'AB'[k % 2]},{('train', 'test')[k // 4]}" for k in range(8)]
    touch(tmp_path / "set", "0.mp4")
    [problem] = problems(read, manifest(tmp_path / "set", "path,label,split", *rows))
    assert "7 of 8 files" in problem
    assert "'1.mp4', '2.mp4', '3.mp4', '4.mp4', '5.mp4', ... (7 in all)" in problem
    os.remove(tmp_path / "set/0.mp4")
    [problem] = problems(read, tmp_path / "set/manifest.csv")
    assert f"8 of 8 files do not exist in {tmp_path / 'set'} and not in {tmp_path}: " in problem


def test_a_folder_is_not_a_clip(small: Path) -> None:
    (small.parent / "b/3.mp4").unlink()
    (small.parent / "b/3.mp4").mkdir()
    assert "1 of 5 files do not exist" in problems(read, small)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "lists no clips"),
        ("path,label\n", "lists no clips"),
        ("path,lable\na.mp4,A\n", "unknown column 'label'; did you mean lable?"),
        (
            "file\tclass\na.mp4\tA\n",
            "with the columns path and label in the first line, found 'file",
        ),
        ("path,label,label\na.mp4,A,B\n", "column 'label' appears twice"),
        ("path,label\n\na,b.mp4,A\nb.mp4,B\nc.mp4\n", "expected 2 fields, as in the header, in line 3, 5"),
        ('path,label\n"a.mp4,A\n', "not valid CSV"),
        ("path,label\na.mp4,caf\xe9\n", "not a text file in UTF-8"),
        ("path,label\na.mp4,caf\xe9,3\nb.mp4,B\n", "not a text file in UTF-8"),
    ],
)
def test_what_is_no_manifest(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "m.csv").write_bytes(text.encode("latin-1"))
    assert any(expected in problem for problem in problems(read, tmp_path / "m.csv"))


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("test", "test", "test", "test"), ["there is no training clip"]),
        (("", "", "", ""), ["there is no training clip"]),
        (("train", "test", "test", "test"), ["1 class has no training clip: 'B'"]),
        (("train", "test", "test", ""), ["1 class has no training clip: 'B'"]),
    ],
)
def test_parts_that_lack_clips(tmp_path: Path, splits: tuple[str, ...], expected: list[str]) -> None:
    touch(tmp_path, *FILES[:4])
    rows = [f"{name},{name[0].upper()},{part}" for name, part in zip(FILES, splits, strict=False)]
    found = problems(read, manifest(tmp_path, "path,label,split", *rows))
    assert len(found) == len(expected)
    assert all(sentence in problem for sentence, problem in zip(expected, found, strict=True))


def test_a_split_without_test_clips_is_for_training(tmp_path: Path) -> None:
    touch(tmp_path, *FILES)
    rows = [f"{name},{name[0].upper()},{'train' if name != FILES[4] else ''}" for name in FILES]
    index = read(manifest(tmp_path, "path,label,split", *rows))
    assert [len(index.rows(part)) for part in ("train", "test", "")] == [4, 0, 1]
    assert index.notes == (
        "1 clip is neither train nor test: not used",
        "there is no test clip: runs have no accuracy (--folds 5 tests every labeled clip once, "
        "--validation 0.2 keeps some for validation)",
    )
    assert index.sizes == "4 training and no test clips, 2 classes"
    # Rows out of use are no reason to refuse it, either.
    assert len(index.without(index.rows("train")[:1]).rows("train")) == 3


def test_a_class_without_a_test_clip_is_pointed_out(tmp_path: Path) -> None:
    touch(tmp_path, *FILES[:3])
    rows = ["a/1.mp4,A,train", "a/2.mp4,A,test", "b/1.mp4,B,train"]
    assert read(manifest(tmp_path, "path,label,split", *rows)).notes == ("1 class has no test clip: 'B'",)


def test_one_class_is_a_problem(tmp_path: Path) -> None:
    touch(tmp_path, *FILES[:2])
    [problem] = problems(read, manifest(tmp_path, "path,label,split", "a/1.mp4,A,train", "a/2.mp4,A,test"))
    assert "all 2 labeled clips are of one class, 'A'" in problem


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    touch(tmp_path / "ucf101", "a/1.mp4")
    assert problems(read, tmp_path / "ucf10") == (
        f"{tmp_path / 'ucf10'} does not exist; did you mean {tmp_path / 'ucf101'}?",
    )
    assert f"{tmp_path / 'ucf101'} is the nearest folder" in problems(read, tmp_path / "ucf101/x/y.csv")[0]


@pytest.mark.parametrize(
    ("file", "name"),
    [("a.csv", "a"), ("b.csv", "b"), ("Index.csv", "set"), ("labels.csv", "set"), ("split.2.csv", "split.2")],
)
def test_the_name_is_that_of_the_file_unless_it_is_an_ordinary_one(
    tmp_path: Path, file: str, name: str
) -> None:
    touch(tmp_path / "set", *FILES)
    assert read(manifest(tmp_path / "set", *ROWS, name=file)).name == name


@pytest.mark.parametrize("mark", [";", "\t"])
def test_fields_may_be_separated_by_other_marks(tmp_path: Path, mark: str) -> None:
    touch(tmp_path / "set", *FILES)
    index = read(manifest(tmp_path / "set", *(row.replace(",", mark) for row in ROWS)))
    assert index.classes == ("A", "B")
    assert len(index) == 5


def test_a_table_without_a_header(tmp_path: Path) -> None:
    touch(tmp_path, *FILES)
    (found,) = problems(read, manifest(tmp_path, "a/1.mp4,A", "b/1.mp4,B"))
    assert "expected a header with the columns path and label in the first line, found 'a/1.mp4,A'" in found


@pytest.mark.parametrize("named", [False, True])
def test_backslashes_separate_folders_unless_a_file_is_called_so(tmp_path: Path, named: bool) -> None:
    names = [name.replace("/", "\\") if named else name for name in FILES]
    touch(tmp_path / "set", *names)
    rows = [row.replace("/", "\\") for row in ROWS]
    index = read(manifest(tmp_path / "set", *rows))
    assert index.ids.tolist() == sorted(names)


@pytest.mark.parametrize("part", ["training", "Testing"])
def test_words_for_parts(tmp_path: Path, part: str) -> None:
    touch(tmp_path / "set", *FILES)
    mean = "train" if part == "training" else "test"
    index = read(manifest(tmp_path / "set", *(row.replace(f",{mean},", f",{part},") for row in ROWS)))
    assert index.splits.tolist() == ["train", "test", "train", "test", ""]
