"""Archives of records: what they hold, and archives that somebody else has made."""

import os
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from helpers.records import draws, write_result

import ssl_video as sv
from ssl_video.runs import archive
from ssl_video.runs.folder import IN_ARCHIVE, finished_folders, run_folders

RUN, OTHER = "cmpl-0-ccmpl", "supervised-0-csupervised"
RECORD = f"runs/{RUN}/result.json"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for run in (*draws("cmpl", 0.5, 0.52), *draws("supervised", 0.4, 0.42)):
        write_result(tmp_path / "results", **run)
    return tmp_path / "results"


@pytest.fixture
def made(results: Path, tmp_path: Path) -> Path:
    return sv.read_results(results).write_archive(tmp_path / "runs.zip")


def with_member(made: Path, name: str, content: bytes, mode: int = 0) -> None:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(made, "a") as file:
        file.writestr(info, content, zipfile.ZIP_DEFLATED)


def test_equal_runs_give_equal_bytes(results: Path, made: Path, tmp_path: Path) -> None:
    """Also of a copy with other times, in another order, from an archive."""
    copied = tmp_path / "copied"
    for place in sorted((results / "runs").iterdir(), reverse=True):
        shutil.copytree(place, copied / "runs" / place.name, copy_function=shutil.copyfile)
    for source in (copied, made):
        again = sv.read_results(source).write_archive(tmp_path / "again.zip")
        assert again.read_bytes() == made.read_bytes()
    archive.write(tmp_path / "backwards.zip", sv.read_results(results).runs[::-1])
    assert (tmp_path / "backwards.zip").read_bytes() == made.read_bytes()
    with zipfile.ZipFile(made) as file:
        names = [info.filename for info in file.infolist()]
    assert RECORD in names


def test_an_unzipped_archive_is_a_results_folder(results: Path, made: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(made) as file:
        file.extractall(tmp_path / "unzipped")
    expected, unzipped = (sv.read_results(folder).frame for folder in (results, tmp_path / "unzipped"))
    pd.testing.assert_frame_equal(unzipped, expected)


def test_reading_writes_nothing_beside_it(made: Path) -> None:
    before = made.read_bytes(), sorted(made.parent.iterdir())
    runs = sv.read_results(made)
    assert (runs.is_published, runs.has_records) == (True, True)
    assert (made.read_bytes(), sorted(made.parent.iterdir())) == before
    with pytest.raises(sv.InputError, match="is an archive, which holds no leaderboard"):
        runs.write()


def test_no_archive_with_other_runs_is_replaced(results: Path, made: Path) -> None:
    runs = sv.read_results(results)
    with pytest.raises(sv.InputError, match=r"records of 2 runs \('supervised-.*that would be lost"):
        runs.select("algorithm=cmpl", baseline="cmpl").write_archive(made)
    made.write_text("mine")
    with pytest.raises(sv.InputError, match="no archive of runs"):
        runs.write_archive(made)
    assert made.read_text() == "mine"


@pytest.mark.parametrize("own", [True, False])
def test_no_other_zip_file_is_replaced(own: bool, results: Path, made: Path, tmp_path: Path) -> None:
    """Of somebody's thesis, or of the records with something else beside them."""
    path = made if own else tmp_path / "thesis.zip"
    with_member(path, "thesis/chapter 1.tex", b"mine")
    before = path.read_bytes()
    with pytest.raises(sv.InputError, match=r"holds 1 file \('thesis/chapter 1.tex'\) other than records"):
        sv.read_results(results).write_archive(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("limit", "value"), [("_ALL", 3_000), ("_MOST", 3)])
def test_what_could_not_be_read_is_not_written(
    limit: str, value: int, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = sv.read_results(results)
    monkeypatch.setattr(archive, limit, value)
    with pytest.raises(sv.InputError, match=f"at most .*{value:,}.*4 runs have more"):
        runs.write_archive(tmp_path / "runs.zip")
    monkeypatch.undo()
    monkeypatch.setattr(archive, "_LARGEST", 100)
    with pytest.raises(sv.InputError, match=r"result\.json"):
        runs.write_archive(tmp_path / "runs.zip")
    assert [place.name for place in tmp_path.iterdir()] == ["results"]


@pytest.mark.parametrize("name", ["a:b", "a\\b", os.fsdecode(b"r\xff")])
def test_a_run_whose_name_no_archive_can_have(name: str, results: Path, tmp_path: Path) -> None:
    (results / "runs" / RUN).rename(results / "runs" / name)
    with pytest.raises(sv.InputError, match="has a name that an archive cannot have"):
        archive.write(tmp_path / "runs.zip", list(finished_folders(results)))
    assert not (tmp_path / "runs.zip").exists()


def test_a_damaged_record_is_not_archived(results: Path, tmp_path: Path) -> None:
    """An archive is published, so it is complete or is not made."""
    runs = sv.read_results(results)
    (results / RECORD).unlink()
    (results / RECORD).mkdir()
    with pytest.raises(sv.InputError, match=r"result\.json"):
        runs.write_archive(tmp_path / "runs.zip")
    assert not (tmp_path / "runs.zip").exists()


def test_a_table_alone_gives_no_archive(results: Path, tmp_path: Path) -> None:
    sv.read_results(results).write()
    shutil.copy(results / "leaderboard.csv", tmp_path)
    with pytest.raises(sv.InputError, match="has no records of runs"):
        sv.read_results(tmp_path).write_archive(tmp_path / "runs.zip")


@pytest.mark.parametrize(
    "name",
    [
        *("../evil/result.json", "runs/../result.json", "runs/./result.json", "/runs/a/result.json"),
        *("runs/a/b/result.json", "runs\\a\\result.json", "C:/runs/a/result.json", "runs/C:/result.json"),
        *("runs/a/final.safetensors", "runs/result.json", "notes.txt", "runs/a/result.json/x"),
    ],
)
def test_only_records_of_runs_are_unpacked(name: str, made: Path) -> None:
    with_member(made, name, b"{}")
    unpacked = archive.unpack(made)
    assert sorted(place.name for place in unpacked.folder.parent.iterdir()) == ["runs.zip"]
    assert {place.name for place in unpacked.folder.iterdir()} == {"runs", IN_ARCHIVE}
    assert len(list(unpacked.folder.rglob("*.*"))) == 4
    runs = sv.read_results(made)
    assert len(runs) == 4
    (problem,) = runs.problems
    assert name in problem
    assert "left out: an archive holds runs/RUN/{result.json," in problem


def test_links_are_not_followed(made: Path) -> None:
    with_member(made, "runs/a/result.json", b"/etc/passwd", stat.S_IFLNK | 0o777)
    runs = sv.read_results(made)
    assert (len(runs), runs.problems) == (
        4,
        ("runs.zip: runs/a/result.json is left out: it is a symbolic link",),
    )


def test_long_names_and_repeated_members(made: Path) -> None:
    with_member(made, f"runs/{'a' * 300}/result.json", b"{}")
    with pytest.warns(UserWarning, match="Duplicate name"):
        with_member(made, RECORD, b"{}")
    runs = sv.read_results(made)
    assert len(runs) == 4
    assert [problem.rpartition(": ")[2] for problem in runs.problems] == [
        "its name is too long",
        "the archive holds it twice",
    ]


def test_huge_members_are_not_unpacked(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that is too large, nor many that are together; nor one that states a small size."""
    monkeypatch.setattr(archive, "_LARGEST", 10**6)
    with_member(made, "runs/a/predictions.npz", bytes(2 * 10**6))
    runs = sv.read_results(made)
    assert len(runs) == 4
    assert "runs/a/predictions.npz is left out: it is larger than 1,000,000 bytes" in runs.problems[0]

    monkeypatch.setattr(archive, "_ALL", 3 * 10**6)
    for number in range(5):
        with_member(made, f"runs/b{number}/predictions.npz", bytes(10**6 - number))
    unpacked = archive.unpack(made)
    assert sum(file.stat().st_size for file in unpacked.folder.rglob("*.npz")) < 3 * 10**6
    assert len(unpacked.left_out) == 4


def test_an_archive_of_very_many_files_is_not_unpacked(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_MOST", 3)
    with pytest.raises(sv.InputError, match=r"runs\.zip holds 4 files: an archive of runs has 3 at most"):
        sv.read_results(made)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_kinds_of_compression_are_left_out(kind: int, made: Path) -> None:
    with zipfile.ZipFile(made, "a") as file:
        file.writestr("runs/a/predictions.npz", bytes(100), kind)
    (problem,) = sv.read_results(made).problems
    assert "compressed in another way" in problem


def test_a_size_beyond_that_of_deflate_is_damage(made: Path) -> None:
    """Nothing of it is written."""
    with_member(made, "runs/a/predictions.npz", bytes(1000))
    content = made.read_bytes()
    made.write_bytes(content.replace(struct.pack("<I", 1000), struct.pack("<I", 10**6)))
    assert archive.unpack(made).left_out == {"runs/a/predictions.npz": "it is damaged"}
    assert not (archive.unpack(made).folder / "runs/a").exists()


def test_a_forged_size_is_damage(made: Path) -> None:
    with_member(made, "runs/a/predictions.npz", bytes(10**6))
    content = made.read_bytes()
    # In the entry of the directory, which is read, as in the member's own header.
    assert content.count(struct.pack("<I", 10**6)) == 2
    made.write_bytes(content.replace(struct.pack("<I", 10**6), struct.pack("<I", 100)))
    runs = sv.read_results(made)
    assert (len(runs), runs.problems) == (
        4,
        ("runs.zip: runs/a/predictions.npz is left out: it is damaged",),
    )
    assert not list(archive.unpack(made).folder.rglob("*.npz"))


def flipped(made: Path, member: str) -> None:
    """Change a byte of a member's compressed content."""
    with zipfile.ZipFile(made) as file:
        info = file.getinfo(member)
    content = bytearray(made.read_bytes())
    content[info.header_offset + 30 + len(member) + info.compress_size // 2] ^= 255
    made.write_bytes(content)


def test_damaged_members_are_left_out(made: Path) -> None:
    flipped(made, RECORD)
    runs = sv.read_results(made)
    assert RUN not in set(runs.frame["run"])
    assert (len(runs), runs.problems) == (3, (f"runs.zip: {RECORD} is left out: it is damaged",))
    with pytest.raises(sv.InputError, match=f"{RECORD} is left out: it is damaged"):
        sv.analysis.compare(made / RUN, made / OTHER)


def test_encrypted_members_are_left_out(made: Path) -> None:
    content = bytearray(made.read_bytes())
    with zipfile.ZipFile(made) as file:
        directory = file.start_dir
    content[directory + 8] |= 1  # the flags of the first entry of the directory
    made.write_bytes(content)
    runs = sv.read_results(made)
    assert (len(runs), runs.problems[0].rpartition(": ")[2]) == (3, "it is encrypted")


@pytest.mark.parametrize("content", [b"", b"mine", b"PK\x05\x06"])
def test_what_is_no_archive(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "runs.zip").write_bytes(content)
    with pytest.raises(sv.InputError, match=r"runs\.zip is no archive of runs"):
        sv.read_results(tmp_path / "runs.zip")


def test_a_cut_archive(made: Path) -> None:
    content = made.read_bytes()
    for length in range(0, len(content), 97):
        made.write_bytes(content[:length])
        with pytest.raises(sv.InputError, match="no archive of runs, or was cut off"):
            sv.read_results(made)


def of_bad_utf8(made: Path) -> None:
    with_member(made, "runs/é/result.json", b"{}")
    made.write_bytes(made.read_bytes().replace("é".encode(), b"\xff\xff"))


def of_a_later_version(made: Path) -> None:
    with zipfile.ZipFile(made) as file:
        directory = file.start_dir
    content = bytearray(made.read_bytes())
    content[directory + 6] = 255
    made.write_bytes(content)


@pytest.mark.parametrize("damage", [of_bad_utf8, of_a_later_version])
def test_a_directory_that_zipfile_cannot_read(
    damage: Callable[[Path], None], results: Path, made: Path, tmp_path: Path
) -> None:
    """It is one sentence; beside a published table, that is read alone."""
    damage(made)
    with pytest.raises(sv.InputError, match=r"runs\.zip is no archive of runs, or was cut off: ") as error:
        sv.read_results(made)
    assert len(error.value.problems) == 1
    runs = sv.read_results(published(results, made, tmp_path / "published"))
    assert (len(runs), runs.has_records) == (4, False)
    assert "runs.zip is no archive of runs" in runs.problems[0]


def test_temporary_folders_are_removed_with_the_process(made: Path, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    code = f"""
import tempfile
tempfile.tempdir = {str(tmp_path / "temporary")!r}
import ssl_video as sv
from pathlib import Path
runs = sv.read_results({str(made)!r})
print(len(runs.runs[0].result.spec) > 0, len(list(Path(tempfile.tempdir).iterdir())))
"""
    shown = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert shown.split() == ["True", "1"]
    assert not list((tmp_path / "temporary").iterdir())


def published(results: Path, made: Path, folder: Path) -> Path:
    """A folder with the table and the archive alone."""
    folder.mkdir()
    sv.read_results(results).write()
    shutil.copy(results / "leaderboard.csv", folder)
    shutil.copy(made, folder)
    return folder


def test_a_published_table_with_its_records(results: Path, made: Path, tmp_path: Path) -> None:
    """It has what the table alone has not: further networks, all settings, the runs."""
    folder = published(results, made, tmp_path / "published")
    before = {place.name: place.read_bytes() for place in folder.iterdir()}
    runs, expected = sv.read_results(folder), sv.read_results(results)
    pd.testing.assert_frame_equal(runs.frame, expected.frame)
    assert runs.problems == ()
    assert runs.compare(predictors=True).to_csv() == expected.compare(predictors=True).to_csv()
    assert [run.result for run in runs.runs] == [run.result for run in expected.runs]
    with pytest.raises(sv.InputError, match="whose folders are not in"):
        runs.write()
    assert {place.name: place.read_bytes() for place in folder.iterdir()} == before
    assert not list(run_folders(folder))


def test_an_archive_that_lacks_runs_of_the_table(results: Path, made: Path, tmp_path: Path) -> None:
    made.unlink()
    sv.read_results(results).only([RUN]).write_archive(made)
    folder = published(results, made, tmp_path / "published")
    runs = sv.read_results(folder)
    assert (len(runs), runs.has_records) == (4, False)
    (problem,) = runs.problems
    assert "runs.zip has no record of 3 runs of leaderboard.csv" in problem


def test_a_table_that_differs_from_its_records(results: Path, made: Path, tmp_path: Path) -> None:
    folder = published(results, made, tmp_path / "published")
    table = pd.read_csv(folder / "leaderboard.csv")
    table.loc[table["run"] == RUN, "top1"] = 0.99
    table.loc[table["run"] == OTHER, "fingerprint"] = "p9999999999999"
    table.to_csv(folder / "leaderboard.csv", index=False)
    runs = sv.read_results(folder)
    (problem,) = runs.problems
    assert f"runs.zip and leaderboard.csv differ in 2 runs ('{RUN}', '{OTHER}')" in problem
    assert runs.frame.set_index("run")["top1"][RUN] == 0.5


def test_a_damaged_archive_beside_a_table(results: Path, made: Path, tmp_path: Path) -> None:
    folder = published(results, made, tmp_path / "published")
    (folder / "runs.zip").write_text("mine")
    runs = sv.read_results(folder)
    assert (len(runs), runs.has_records) == (4, False)
    assert "no archive of runs" in runs.problems[0]
