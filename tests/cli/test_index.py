"""`ssl-video data index` as a user calls it."""

from pathlib import Path

import pytest
from helpers.command_line import TINY, Call
from helpers.sources import manifest, touch

from ssl_video.data.importers import read


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """UCF-101's form, two classes: four clips of four source videos each."""
    for split in (1, 2):
        for part in ("train", "test"):
            lines = [
                f"{label}/v_{label}_g{group:02}_c01.avi" + (f" {number}" if part == "train" else "")
                for number, label in enumerate(("Archery", "Biking"), 1)
                for group in range(1, 5)
                if (group == split) == (part == "test")
            ]
            manifest(tmp_path / "lists", *lines, name=f"{part}list0{split}.txt")
    return tmp_path / "lists"


def videos(folder: Path, count: int = 4) -> Path:
    names = [f"{c}/v_{c}_g{g:02}_c01.mp4" for c in ("Archery", "Biking") for g in range(1, 1 + count)]
    touch(folder / "videos", *names)
    return folder / "videos"


def test_the_screen(lists: Path, call: Call, tmp_path: Path) -> None:
    videos(tmp_path)
    done = call("data", "index", "lists", "--videos", "videos", "-o", "two.arrow", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == "reading lists as UCF-101's official lists"
    first, *lines = done.stdout.splitlines()
    assert first == "two: 8 clips of 2 classes, from UCF-101's official lists"
    table = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(("train", "test"))}
    # clips, classes, clips per class (min, mean, max), source videos
    assert table == {
        "train": ["6", "2", "3", "3.0", "3", "6"],
        "test": ["2", "2", "1", "1.0", "1", "2"],
    }
    assert "  --split split2: 6 train, 2 test" in lines
    assert f"the videos are those in {tmp_path / 'videos'}" in done.stdout
    assert lines[-1] == "  ssl-video bench --data two.arrow --algo cmpl --protocol per-class:1"


def test_what_is_missing_is_an_error_or_counted(lists: Path, call: Call, tmp_path: Path) -> None:
    folder = videos(tmp_path, 3)
    done = call("data", "index", lists, "--videos", folder, "-o", "two.arrow", cwd=tmp_path)
    assert done.returncode == 2
    assert "2 of 8 files do not exist" in done.stderr
    assert "(train 2 of 6, test 0 of 2)" in done.stderr
    assert not (tmp_path / "two.arrow").exists()
    done = call("data", "index", lists, "--videos", folder, "--skip-missing", "-o", "two.arrow", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (
        "2 of 8 clips are left out, since their files are missing (train 2 of 6, test 0 of 2)" in done.stdout
    )


def test_all_problems_of_a_call_at_once(lists: Path, call: Call, tmp_path: Path) -> None:
    done = call(
        "data", "index", "list", "--videos", "vids", "--classes", "names", "-o", "no/two.csv", cwd=tmp_path
    )
    assert done.returncode == 2
    found = done.stderr.splitlines()
    assert len(found) == 6
    assert f"did you mean {lists}?" in found[0]
    for text in ("names does not exist", "vids does not exist", "--classes is for lists", "ends in .arrow"):
        assert any(text in line for line in found), text
    done = call("data", "index", lists, "--test", "a", "--kind", "ucf", "-o", "two.arrow", cwd=tmp_path)
    for text in ("a does not exist", "unknown kind 'ucf'; did you mean ucf101?", "expected only one of them",
                 "only --test is given", "--kind is for a SOURCE"):  # fmt: skip
        assert text in done.stderr


@pytest.mark.parametrize("form", ["list", "unlabeled"])
def test_nothing_for_testing(call: Call, tmp_path: Path, form: str) -> None:
    """A list of training clips alone, or class folders beside unlabeled clips from elsewhere."""
    touch(tmp_path / "lab", *(f"{label}/{clip}.mp4" for label in ("run", "sit") for clip in range(4)))
    touch(tmp_path / "more", "x.mp4")
    manifest(
        tmp_path, *(f"{label}/{clip}.mp4" for label in ("run", "sit") for clip in range(4)), name="all.txt"
    )
    sources = {
        "list": ["--train", "all.txt", "--videos", "lab"],
        "unlabeled": ["lab", "--unlabeled", "more"],
    }[form]
    done = call("data", "index", *sources, "-o", "two.arrow", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--folds 5 tests every labeled clip once" in done.stdout
    index = read(tmp_path / "two.arrow")
    assert [len(index.rows(part)) for part in ("train", "test")] == [8, 0]
    more = " --protocol per-class:2" if form == "list" else ""
    assert done.stdout.endswith(f"  ssl-video bench --data two.arrow --algo cmpl --folds 5{more}\n")


def test_an_index_is_data_to_bench(dataset: Path, call: Call, tmp_path: Path) -> None:
    """Lists with foreign prefixes and no extensions, made for the videos of the small data set."""
    for part in ("train", "test"):
        lines = [
            f"/mnt/x/{part}/{number}/{file.stem} 12 {number}"
            for number, name in enumerate(("dark", "light"))
            for file in sorted((dataset / part / name).glob("*.mp4"))
        ]
        manifest(tmp_path, *lines, name=f"{part}.txt")
    manifest(tmp_path, "dark", "light", name="classes.txt")
    # Names are 0 to 7 in both parts and classes: only the class folders tell them apart, and not the parts.
    arguments = [
        "--train",
        "train.txt",
        "--test",
        "test.txt",
        "--classes",
        "classes.txt",
        "--videos",
        dataset,
    ]
    done = call("data", "index", *arguments, "-o", "b.arrow", cwd=tmp_path)
    assert done.returncode == 2
    assert "names fit several files" in done.stderr
    for part in ("train", "test"):
        text = (tmp_path / f"{part}.txt").read_text()
        for number, name in enumerate(("dark", "light")):
            text = text.replace(f"/mnt/x/{part}/{number}/", f"{part}/{name}/")
        lines = [line.replace(" 12 ", ".mp4 ") for line in text.splitlines()]
        manifest(tmp_path, *lines, name=f"{part}.txt")
    done = call("data", "index", *arguments, "-o", "b.arrow", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = ("--data", "b.arrow", "--algo", "fixmatch", "--protocol", "per-class:2", "--no-baseline", *TINY)
    done = call("bench", *run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "b: 16 training and 8 test clips, 2 classes" in done.stderr
