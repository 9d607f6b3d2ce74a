"""Labels kept apart from the videos: corrections, additions and mistakes in them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.input_errors import problems
from helpers.sources import manifest, parts, touch

from ssl_video.data import dataset
from ssl_video.data.importers import read, unlabeled
from ssl_video.data.importers.label_files import add_labels
from ssl_video.data.index import Index
from ssl_video.spec import build

LABELED = tuple(f"{label}/{clip}.mp4" for label in ("run", "sit") for clip in range(4))
WITHOUT = ("unlabeled/a.mp4", "unlabeled/b.mp4", "unlabeled/c.mp4")


def labels(index: Index) -> dict[str, str]:
    return dict(zip(index.ids, index.label.tolist(), strict=True))


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    touch(tmp_path / "lab", *LABELED, *WITHOUT)
    return tmp_path / "lab"


@pytest.fixture
def labeled(lab: Path, tmp_path: Path) -> Callable[..., Index]:
    """A function that returns the index with the rows of a label file."""

    def of(*rows: str, header: str = "path,label", folder: Path = tmp_path) -> Index:
        return add_labels(read(lab), [manifest(folder, header, *rows, name="todo.csv")])

    return of


def test_a_label_is_added_changed_kept_or_taken_away(lab: Path, labeled: Callable[..., Index]) -> None:
    index = labeled(
        f"{lab}/unlabeled/a.mp4,sit",  # new
        f"{lab}/run/0.mp4,sit",  # changed
        f"{lab}/run/1.mp4,run",  # as before
        f"{lab}/run/2.mp4,unlabeled",  # taken away
        f"{lab}/unlabeled/b.mp4,",  # not yet
    )
    found, part = labels(index), parts(index)
    assert found["unlabeled/a.mp4"] == found["run/0.mp4"] == "sit"
    assert (found["run/1.mp4"], found["run/2.mp4"], found["unlabeled/b.mp4"]) == ("run", "", "")
    assert part["unlabeled/a.mp4"] == part["run/0.mp4"] == "train"
    assert part["run/2.mp4"] == part["unlabeled/b.mp4"] == "unlabeled"
    assert index.ids.tolist() == sorted([*LABELED, *WITHOUT])
    counts = "1 unlabeled clip labeled, 1 label changed, 1 label as before, 1 label taken away"
    assert f"{lab.parent.name}/todo.csv: {counts}" in index.notes


def test_it_is_as_if_the_labels_had_been_there(lab: Path, tmp_path: Path) -> None:
    """The fingerprint names the content: equal clips and labels, from whatever file."""
    rows = [f"{name},{name[:3]}" for name in LABELED]
    once = read(manifest(lab, "path,label", *rows, "unlabeled/a.mp4,sit", "unlabeled/b.mp4,"))
    wrong = [row.replace("run/0.mp4,run", "run/0.mp4,sit") for row in rows]
    twice = read(manifest(lab, "path,label", *wrong, "unlabeled/a.mp4,", "unlabeled/b.mp4,"))
    corrected = add_labels(
        twice, [manifest(tmp_path, "path,label", f"{lab}/run/0.mp4,run", f"{lab}/unlabeled/a.mp4,sit")]
    )
    assert corrected.fingerprint == once.fingerprint != twice.fingerprint


def test_a_new_class_and_one_that_is_gone(lab: Path, labeled: Callable[..., Index]) -> None:
    index = labeled(*(f"{lab}/run/{clip}.mp4,jump" for clip in range(4)), f"{lab}/unlabeled/a.mp4,fly")
    assert index.classes == ("fly", "jump", "sit")
    assert index.labels[index.ids.tolist().index("sit/0.mp4")] == 2
    assert f"2 classes are new by the labels of {lab.parent.name}/todo.csv: 'fly', 'jump'" in index.notes
    assert "1 class has no clip any more: 'run'" in index.notes


@pytest.mark.parametrize(("label", "meant"), [("Sit", "sit"), ("runn", "run"), ("fly", "")])
def test_a_label_that_is_almost_a_class(
    lab: Path, labeled: Callable[..., Index], label: str, meant: str
) -> None:
    notes = labeled(f"{lab}/unlabeled/a.mp4,{label}").notes
    said = [note for note in notes if "did you mean" in note]
    assert said == ([f"is {label!r} a class of its own, or did you mean {meant!r}?"] if meant else [])


@pytest.mark.parametrize("place", ["beside", "above", "data"])
def test_relative_paths(lab: Path, labeled: Callable[..., Index], tmp_path: Path, place: str) -> None:
    folder, row = {
        "beside": (lab / "unlabeled", "a.mp4,sit"),
        "above": (lab / "todo", "unlabeled/a.mp4,sit"),
        "data": (tmp_path / "far" / "away", "unlabeled/a.mp4,sit"),
    }[place]
    assert labels(labeled(row, folder=folder))["unlabeled/a.mp4"] == "sit"


def test_links_and_clips_from_elsewhere(lab: Path, labeled: Callable[..., Index], tmp_path: Path) -> None:
    (tmp_path / "link.mp4").symlink_to(lab / "unlabeled" / "a.mp4")
    touch(tmp_path / "other", "x.mp4", "deep/y.mp4")
    index = labeled(
        f"{tmp_path}/link.mp4,run", f"{tmp_path}/other/x.mp4,sit", f"{tmp_path}/other/deep/y.mp4,run"
    )
    found, part = labels(index), parts(index)
    assert found["unlabeled/a.mp4"] == "run"
    assert (found["labels/x.mp4"], found["labels/deep/y.mp4"]) == ("sit", "run")
    assert part["labels/x.mp4"] == "train"
    row = index.ids.tolist().index("labels/deep/y.mp4")
    assert index.paths[row] == str(tmp_path / "other/deep/y.mp4")
    assert f"{tmp_path.name}/todo.csv: 1 unlabeled clip labeled, 2 clips added" in index.notes


def test_a_part_of_a_recording(lab: Path, labeled: Callable[..., Index]) -> None:
    """The recording stays: only segments of it that overlap the part are left out later."""
    index = labeled(
        f"{lab}/unlabeled/a.mp4,20,30,run", f"{lab}/unlabeled/a.mp4,30,,sit", header="path,start,end,label"
    )
    found = labels(index)
    assert (found["unlabeled/a.mp4#t=20,30"], found["unlabeled/a.mp4#t=30"]) == ("run", "sit")
    assert found["unlabeled/a.mp4"] == ""
    assert index.groups is not None
    group = dict(zip(index.ids, index.groups.tolist(), strict=True))
    assert group["unlabeled/a.mp4#t=20,30"] == group["unlabeled/a.mp4#t=30"] == group["unlabeled/a.mp4"]
    assert group["run/0.mp4"] != group["run/1.mp4"]


def test_parts_are_matched_by_their_seconds(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    index = read(
        manifest(
            tmp_path,
            "path,label",
            '"a.mp4#t=20.50,30",run',
            '"a.mp4#t=0,9",',
            '"b.mp4#f=0,16",sit',
            '"b.mp4#f=16,32",',
        )
    )
    file = manifest(
        tmp_path / "todo", "path,start,end,label", "a.mp4,0.0,9.0,sit", "a.mp4,20.5,30,fly", name="todo.csv"
    )
    found = labels(add_labels(index, [file]))
    assert (found["a.mp4#t=0,9"], found["a.mp4#t=20.50,30"]) == ("sit", "fly")
    assert len(found) == 4


def test_later_files_replace_earlier_labels(lab: Path, tmp_path: Path) -> None:
    files = [
        manifest(tmp_path, "path,label", f"{lab}/run/0.mp4,{label}", name=f"{label}.csv")
        for label in ("sit", "fly")
    ]
    assert labels(add_labels(read(lab), files))["run/0.mp4"] == "fly"
    assert labels(add_labels(read(lab), files[::-1]))["run/0.mp4"] == "sit"


def test_a_test_clip_stays_one(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{part}/{clip}" for part in ("train", "test") for clip in LABELED))
    rows = (f"{tmp_path}/test/run/0.mp4,sit", f"{tmp_path}/test/run/1.mp4,?")
    index = add_labels(read(tmp_path), [manifest(tmp_path, "path,label", *rows)])
    assert labels(index)["test/run/0.mp4"] == "sit"
    assert (parts(index)["test/run/0.mp4"], parts(index)["test/run/1.mp4"]) == ("test", "")


def test_videos_that_have_no_label_but_those_of_the_file(tmp_path: Path) -> None:
    touch(tmp_path / "videos", *(f"{clip}.mp4" for clip in range(6)))
    rows = [f"videos/{clip}.mp4,{'run' if clip % 2 else 'sit'}" for clip in range(4)]
    spec = {"data": str(tmp_path / "videos"), "labels": [str(manifest(tmp_path, "path,label", *rows))]}
    index = dataset.read_index(build(spec))
    assert (len(index.rows("train")), len(index.rows("unlabeled")), index.classes) == (4, 2, ("run", "sit"))
    one = manifest(tmp_path, "path,label", *rows[::2], name="one.csv")
    (problem,) = problems(dataset.read_index, build(spec | {"labels": [str(one)]}))
    assert "all 2 labeled clips are of one class, 'sit'; expected two or more" in problem


def test_labels_of_an_unlabeled_source(lab: Path, tmp_path: Path) -> None:
    touch(tmp_path / "archive", "x.mp4", "y.mp4")
    index = unlabeled.add(read(lab), [tmp_path / "archive"])
    file = manifest(tmp_path, "path,label", f"{tmp_path}/archive/x.mp4,run")
    assert parts(add_labels(index, [file]))["unlabeled-2/x.mp4"] == "train"


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["./lab/run/0.mp4,sit", "lab/run/0.mp4,fly"], "a clip has two labels: lab/run/0.mp4 (line 3)"),
        ([",run"], "the path is empty (line 2)"),
        (["lab/run,run"], "1 of 1 files do not exist in "),
        (["lab/notes.txt,run"], "1 file empty, or no video: "),
        (["lab/empty.mp4,run"], "1 file empty, or no video: "),
    ],
)
def test_paths_that_are_no_clips(
    labeled: Callable[..., Index], lab: Path, rows: list[str], problem: str
) -> None:
    touch(lab, "notes.txt")
    touch(lab, "empty.mp4", content=b"")
    assert problem in problems(labeled, *rows)[0]


def test_one_clip_by_several_paths(lab: Path, tmp_path: Path) -> None:
    """A link, a dot and decimals are no other clip; the last file decides."""
    (tmp_path / "link.mp4").symlink_to(lab / "run" / "0.mp4")
    files = [
        manifest(tmp_path, "path,label", f"{path},{label}", name=f"{number}.csv")
        for number, (path, label) in enumerate(
            [("lab/run/0.mp4", "x"), ("link.mp4", "y"), ("./lab/run/0.mp4", "z")]
        )
    ]
    assert labels(add_labels(read(lab), files))["run/0.mp4"] == "z"
    touch(tmp_path, "new.mp4")
    rows = [f"{tmp_path}/new.mp4,2.50,7,run", f"{tmp_path}/new.mp4,2.5,7.0,run", f"{tmp_path}/new.mp4,0,,sit"]
    index = add_labels(read(lab), [manifest(tmp_path, "path,start,end,label", *rows, name="parts.csv")])
    assert [name for name in index.ids if "new" in name] == ["labels/new.mp4#t=0", "labels/new.mp4#t=2.5,7"]


def test_a_clip_of_a_tested_source_is_tested(tmp_path: Path) -> None:
    """Otherwise a model would be trained on videos that it is tested on."""
    touch(tmp_path, *(f"data/{part}/{clip}" for part in ("train", "test") for clip in LABELED))
    rows = [f"{tmp_path}/data/test/run/0.mp4,0,5,sit", f"{tmp_path}/data/train/run/0.mp4,0,5,sit"]
    file = manifest(tmp_path, "path,start,end,label", *rows, name="parts.csv")
    index = add_labels(read(tmp_path / "data"), [file])
    part = parts(index)
    assert (part["test/run/0.mp4#t=0,5"], part["train/run/0.mp4#t=0,5"]) == ("test", "train")
    assert "1 newly labeled clip is for testing, as the other clips of the source videos are" in index.notes


def test_sources_in_names(tmp_path: Path) -> None:
    names = [f"{c}/v_{c}_g0{g}_c0{n}.avi" for c in ("A", "B") for g in (1, 2, 3, 4) for n in (1, 2)]
    touch(tmp_path, *(f"data/{name}" for name in names), *(f"new/v_A_g0{g}_c09.avi" for g in (1, 2, 3, 4, 5)))
    index = read(tmp_path / "data")
    (held,) = {index.groups[row] for row in index.rows("test") if index.groups[row].startswith("v_A")}
    rows = [f"new/v_A_g0{g}_c09.avi,A" for g in (1, 2, 3, 4, 5)]
    part = parts(add_labels(index, [manifest(tmp_path, "path,label", *rows, name="new.csv")]))
    for g in (1, 2, 3, 4, 5):
        assert part[f"labels/v_A_g0{g}_c09.avi"] == ("test" if held == f"v_A_g0{g}" else "train")


def test_a_clip_that_is_not_used_stays_out(tmp_path: Path) -> None:
    touch(tmp_path, *LABELED, "x.mp4")
    rows = [f"{clip},{clip[:3]},{'test' if '0' in clip else 'train'}" for clip in LABELED]
    index = read(manifest(tmp_path, "path,label,split", *rows, "x.mp4,,test"))
    found = add_labels(index, [manifest(tmp_path, "path,label", "x.mp4,run", name="labels.csv")])
    assert parts(found)["x.mp4"] == ""
    assert "1 clip with these labels not used: neither train nor test" in found.notes


def test_notes_of_a_folder_without_class_folders(tmp_path: Path) -> None:
    touch(tmp_path / "videos", *(f"{clip}.mp4" for clip in range(6)))
    rows = [f"videos/{clip}.mp4,{'run' if clip % 2 else 'sit'}" for clip in range(4)]
    file = manifest(tmp_path, "path,label", *rows)
    index = dataset.read_index(build({"data": str(tmp_path / "videos"), "labels": [str(file)]}))
    said = " ".join(index.notes)
    assert "all 4 labeled clips are for training, none is for testing" in said
    assert "ignored" not in said
    assert "groups" not in said


def test_a_class_with_one_clip_of_its_own(tmp_path: Path) -> None:
    """More of its clips are in the label file, so that a test part need not be held out of it."""
    touch(tmp_path, *(f"lab/{clip}" for clip in LABELED), "lab/fly/0.mp4", "more/1.mp4", "more/2.mp4")
    file = manifest(tmp_path, "path,label", "more/1.mp4,fly", "more/2.mp4,fly")
    index = dataset.read_index(build({"data": str(tmp_path / "lab"), "labels": [str(file)]}))
    assert index.counts("train").tolist() == [3, 3, 3]
    assert index.counts("test").tolist() == [0, 1, 1]


def test_a_table_of_predict(lab: Path, tmp_path: Path) -> None:
    """`unknown` stands for a low probability there, and takes no label away."""
    header = "path,start,end,label,probability,second_label,second_probability,margin,windows,error"
    rows = [f"{lab}/run/0.mp4,,,unknown,0.4,run,0.4,0,1,", f"{lab}/unlabeled/a.mp4,,,sit,0.9,run,0.1,0.8,1,"]
    index = add_labels(read(lab), [manifest(tmp_path, header, *rows, name="labels.csv")])
    assert (labels(index)["run/0.mp4"], labels(index)["unlabeled/a.mp4"]) == ("run", "sit")
    assert "labels.csv is a table of predict: its labels are taken for right" in index.notes


def test_no_label_yet(labeled: Callable[..., Index], lab: Path) -> None:
    index = labeled(f"{lab}/unlabeled/a.mp4,", f"{lab}/unlabeled/b.mp4,")
    assert "todo.csv: no row has a label yet" in index.notes
    assert index.fingerprint == read(lab).fingerprint


@pytest.mark.parametrize(
    ("rows", "header", "problem"),
    [
        (
            ["{lab}/run/0.mp4,sit", "{lab}/run/0.mp4,fly"],
            "path,label",
            "a clip has two labels: {lab}/run/0.mp4 (line 3)",
        ),
        (["{lab}/run/9.mp4,sit"], "path,label", "1 of 1 files do not exist in "),
        (["{lab}/run/0.mp4,sit"], "video,label", "has the columns path and label, and perhaps start and end"),
        (["{lab}/run/0.mp4,9,3,sit"], "path,start,end,label", "end must be after start (line 2)"),
    ],
)
def test_what_is_wrong(
    labeled: Callable[..., Index], lab: Path, rows: list[str], header: str, problem: str
) -> None:
    (found,) = problems(labeled, *(row.format(lab=lab) for row in rows), header=header)
    assert "todo.csv" in found
    assert problem.format(lab=lab) in found


def test_a_file_that_does_not_exist(lab: Path, tmp_path: Path) -> None:
    (problem,) = problems(add_labels, read(lab), [tmp_path / "todo.csv"])
    assert problem.startswith(f"{tmp_path}/todo.csv does not exist")


def test_a_class_that_loses_its_training_clips(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{part}/{clip}" for part in ("train", "test") for clip in LABELED))
    rows = [f"{tmp_path}/train/run/{clip}.mp4,sit" for clip in range(4)]
    (problem,) = problems(add_labels, read(tmp_path), [manifest(tmp_path, "path,label", *rows)])
    assert "1 class has no training clip: 'run'" in problem
