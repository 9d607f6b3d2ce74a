"""What runs do with broken clips: none is replaced, and what is left out is listed and said."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.partitions import make_index
from helpers.sources import manifest, touch

from ssl_video.data.dataset import check_present, draw, load, read_index
from ssl_video.data.importers import index_file
from ssl_video.data.video import quarantine
from ssl_video.errors import InputError
from ssl_video.spec import Spec, build


@pytest.fixture
def spec(video_folder: Path, tmp_path: Path) -> Spec:
    """Three classes of six clips, of which one cannot be decoded."""
    shutil.copytree(video_folder, tmp_path / "data")
    (tmp_path / "data" / "jump" / "3.mkv").write_bytes(b"noise" * 1000)
    return build({"data": str(tmp_path / "data")})


def test_further_unlabeled_clips_decide_whether_clips_are_held_out(tmp_path: Path) -> None:
    touch(tmp_path / "lab", *(f"{label}/{clip}.mp4" for label in "ab" for clip in range(4)))
    touch(tmp_path / "more", "x.mp4")
    rows = [
        f"{label}/{clip}.mp4,{label},{'test' if clip else 'train'}" for label in "ab" for clip in range(4)
    ]
    table = manifest(tmp_path / "lab", "path,label,split", *rows)

    def sizes(data: Path, **more: Any) -> list[int]:
        index = read_index(build({"data": str(data), **more}), unsplit="hold-out")
        return [len(index.rows(part)) for part in ("train", "test", "unlabeled")]

    more = {"unlabeled": str(tmp_path / "more")}
    assert sizes(tmp_path / "lab") == [6, 2, 0]
    assert sizes(tmp_path / "lab", **more) == [8, 0, 1]
    assert sizes(tmp_path / "lab", **more, folds=4) == [6, 2, 1]
    assert sizes(table, **more) == [2, 6, 1], "a split stays as it is"
    index_file.write(read_index(build({"data": str(tmp_path / "lab")})), tmp_path / "lab.arrow")
    assert sizes(tmp_path / "lab.arrow", **more) == [6, 2, 1]


def test_broken_clips_stop_a_run_or_are_quarantined_for_all(spec: Spec, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(spec)
    assert "1 of 18 videos cannot be decoded:\n  jump/3.mkv: invalid data found" in str(caught.value)
    assert f"ssl-video data doctor {tmp_path}/data" in str(caught.value)
    assert quarantine.read(tmp_path / "data") == {}
    reasons = {"jump/3.mkv": "invalid data found when processing input"}
    data = load(spec, skip_broken=True)
    assert data.broken == quarantine.read(tmp_path / "data") == reasons
    assert len(data.index.rows("train", "test")) == 17
    # The next run needs no flag, and is told.
    index = read_index(spec)
    assert f"1 clip is quarantined ({tmp_path}/data.quarantine.csv)" in index.notes
    again = load(spec, index)
    assert again.broken == reasons
    assert again.index.fingerprint == data.index.fingerprint
    assert "jump/3.mkv" not in {index.ids[row] for row in again.index.rows("train", "test")}


def test_files_that_are_gone_do_not_stop_runs_once_they_are_quarantined(spec: Spec, tmp_path: Path) -> None:
    (tmp_path / "data" / "jump" / "3.mkv").write_bytes(b"")
    with pytest.raises(InputError, match=r"1 file is empty \(0 bytes\): 'jump/3.mkv'"):
        read_index(spec)
    quarantine.write(
        tmp_path / "data", {"jump/3.mkv": "empty (0 bytes)", "jump/other.mkv": "left the data set"}
    )
    data = load(spec)
    # Only what the data set holds is counted.
    assert data.broken == {"jump/3.mkv": "empty (0 bytes)"}
    # Those that nobody knew of are found when they are decoded.
    (tmp_path / "data" / "bow" / "0.mkv").write_bytes(b"")
    with pytest.raises(InputError, match=r"1 of 17 videos cannot be decoded:\n  bow/0.mkv: "):
        load(spec)


def test_empty_and_missing_files_are_quarantined_with_the_broken_ones(spec: Spec, tmp_path: Path) -> None:
    (tmp_path / "data" / "bow" / "0.mkv").write_bytes(b"")
    (tmp_path / "data" / "wave" / "1.mkv").unlink()
    (tmp_path / "data" / "wave" / "1.mkv").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"1 file is empty .* --skip-broken, or ssl-video data doctor"):
        load(spec)
    assert quarantine.read(tmp_path / "data") == {}
    data = load(spec, skip_broken=True)
    assert set(data.broken) == {"bow/0.mkv", "wave/1.mkv", "jump/3.mkv"}
    assert data.broken == quarantine.read(tmp_path / "data")
    assert len(data.index.rows("train", "test")) == 15
    assert load(spec).index.fingerprint == data.index.fingerprint


def test_a_class_that_is_quarantined_whole_is_said(spec: Spec, tmp_path: Path) -> None:
    quarantine.write(tmp_path / "data", {f"jump/{clip}.mkv": "broken" for clip in range(6)})
    notes = read_index(spec).notes
    assert "no train clip is left of 'jump'" in notes
    assert notes[-1].startswith("6 clips are quarantined (")
    everything = {f"{name}/{clip}.mkv": "broken" for name in ("bow", "jump", "wave") for clip in range(6)}
    quarantine.write(tmp_path / "data", everything)
    with pytest.raises(InputError, match="data: no usable train clip is left"):
        read_index(spec)


def test_clips_that_a_protocol_lacks_may_be_quarantined(spec: Spec, tmp_path: Path) -> None:
    quarantine.write(tmp_path / "data", {f"jump/{clip}.mkv": "cut off" for clip in range(6)})
    spec = spec.model_copy(update={"protocol": "per-class:1"})
    with pytest.raises(InputError, match=r"'jump \(0\)'") as caught:
        draw(spec, read_index(spec))
    assert caught.value.problems[-1] == f"6 clips are quarantined ({tmp_path}/data.quarantine.csv)"


def test_a_disk_that_is_not_mounted_is_told_from_broken_files(tmp_path: Path) -> None:
    """One file of many is enough to show that the folder is the right one."""
    names = [f"{label}/{n:03d}.mp4" for label in "ab" for n in range(100)]
    index = dataclasses.replace(make_index(names), root=str(tmp_path))
    with pytest.raises(InputError, match=r"none of 50 files looked for exists, the first being .*a/000.mp4"):
        check_present(index)
    (tmp_path / "a").mkdir()
    (tmp_path / names[0]).touch()
    check_present(index)


def test_a_file_that_was_away_is_used_once_it_is_back(video_folder: Path, tmp_path: Path) -> None:
    """A file that cannot be decoded stays in quarantine."""
    root = tmp_path / "set"
    shutil.copytree(video_folder, root)
    (root / "bow/1.mkv").write_bytes(b"this is no video" * 100)
    (root / "bow/0.mkv").rename(tmp_path / "0.mkv")
    (root / "bow/0.mkv").symlink_to(tmp_path / "gone")
    spec = build({"data": str(root), "size": 8, "protocol": "per-class:2"})
    found = load(spec, skip_broken=True)
    assert sorted(found.broken) == ["bow/0.mkv", "bow/1.mkv"]
    assert "no such file" in found.broken["bow/0.mkv"]
    (root / "bow/0.mkv").unlink()
    (tmp_path / "0.mkv").rename(root / "bow/0.mkv")
    assert list(load(spec).broken) == ["bow/1.mkv"]
