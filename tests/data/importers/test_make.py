"""Sources of any kind: which one it is, and what does not fit together."""

from pathlib import Path

import pytest
from helpers.input_errors import problems
from helpers.sources import FILES, ROWS, manifest, touch

from ssl_video.data.importers import read
from ssl_video.data.importers.make import IndexRequest, make
from ssl_video.data.importers.source_kinds import KINDS, recognise


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """A source of each kind."""
    manifest(tmp_path / "ucf101", "Archery/v_Archery_g01_c01.avi 1", name="trainlist01.txt")
    manifest(tmp_path / "hmdb51", "x_climb_f_cm_np1_ba_bad_0.avi 1", name="climb_test_split1.txt")
    manifest(
        tmp_path / "kinetics", "label,youtube_id,time_start,time_end,split", "a,b,1,2,train", name="k.csv"
    )
    manifest(tmp_path / "something-something", "[]", name="train.json")
    touch(tmp_path / "folder", *FILES)
    manifest(tmp_path / "folder", *ROWS)
    return {file.name: file for file in tmp_path.iterdir()} | {"manifest": tmp_path / "folder/manifest.csv"}


def test_every_kind_is_recognised(folders: dict[str, Path]) -> None:
    assert {name: recognise(path) for name, path in folders.items()} == {name: name for name in KINDS}


def test_other_kinds_than_folders_and_manifests_are_indexed_before_they_are_used(
    folders: dict[str, Path],
) -> None:
    for kind in ("ucf101", "hmdb51", "kinetics", "something-something"):
        [problem] = problems(read, folders[kind])
        assert f"ssl-video data index {folders[kind]} --videos FOLDER -o {kind}.arrow" in problem


@pytest.mark.parametrize(
    ("names", "kind", "expected"),
    [
        (["ucf101", "manifest"], None, "the sources are of several kinds: "),
        (["manifest", "manifest"], None, "a manifest: expected one source, found 2"),
        (["manifest"], "hmdb51", "HMDB-51's official lists: expected a folder, "),
        (["folder"], "manifest", "a manifest: expected a file, "),
    ],
)
def test_sources_that_do_not_fit(
    folders: dict[str, Path], names: list[str], kind: str | None, expected: str
) -> None:
    request = IndexRequest([folders[name] for name in names], kind=kind)
    assert problems(request.recognised)[0].startswith(expected)


def test_class_folders_hold_their_videos(folders: dict[str, Path]) -> None:
    request = IndexRequest([folders["folder"]], videos=folders["folder"])
    assert "leave --videos out, or name the format by --kind" in problems(make, request, "set")[0]


def test_lists_are_not_sources(folders: dict[str, Path]) -> None:
    [problem] = problems(recognise, folders["ucf101"] / "trainlist01.txt")
    assert "lists of clips are given as --train LIST --test LIST" in problem


def test_a_manifest_is_found_as_bench_finds_it_or_by_name(folders: dict[str, Path], tmp_path: Path) -> None:
    request = IndexRequest([folders["manifest"]], kind="manifest")
    index = make(request, "set")
    assert (index.name, index.root, index.fingerprint) == (
        "set",
        str(folders["folder"]),
        read(folders["manifest"]).fingerprint,
    )
    rows = (ROWS[0], *(f"folder/{row}" for row in ROWS[1:]))
    above = make(IndexRequest([manifest(folders["folder"], *rows, name="above.csv")]), "set")
    assert (above.root, above.ids[0]) == (str(tmp_path), "folder/a/1.mp4")
    touch(tmp_path / "elsewhere", *(name.replace(".mp4", ".webm") for name in FILES))
    index = make(IndexRequest([folders["manifest"]], kind="manifest", videos=tmp_path / "elsewhere"), "set")
    assert index.ids[0] == "a/1.webm"
    assert index.splits.tolist() == ["train", "test", "train", "test", ""]


def test_progress_is_told(folders: dict[str, Path]) -> None:
    told: list[tuple[str, int, int]] = []
    request = IndexRequest([folders["manifest"]], kind="manifest", videos=folders["folder"])
    make(request, "set", lambda *news: told.append(news))
    assert told[0] == ("looking for videos, folders", 1, 2)
    assert told[-1] == ("looking at files", 5, 5)


def test_a_folder_that_is_none(folders: dict[str, Path]) -> None:
    [problem] = problems(make, IndexRequest([folders["manifest"]], videos=folders["manifest"]), "set")
    assert problem == f"{folders['manifest']}: Not a directory"


def test_a_source_without_clips(tmp_path: Path) -> None:
    file = manifest(tmp_path, "[]", name="train.json")
    [problem] = problems(make, IndexRequest([file], kind="something-something"), "set")
    assert "there are no clips" in problem
