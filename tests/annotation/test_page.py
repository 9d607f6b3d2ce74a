"""The page for labels: its files, and all that a name may do to it."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.label_pages import CLASSES, HOSTILE, row
from helpers.paths import UCF

from ssl_video.annotation import page
from ssl_video.annotation.moving_pictures import FRAMES, MovingPicture
from ssl_video.errors import InputError


def content(html: str) -> dict[str, Any]:
    """The data of a page, as a browser finds it: up to the first end of a script."""
    start = '<script type="application/json" id="content">'
    found: dict[str, Any] = json.loads(html.split(start)[1].split("</script>")[0])
    return found


def html(rows: list[dict[str, Any]], classes: tuple[str, ...] = CLASSES) -> str:
    names = [str(number) for number in range(len(rows))]
    return page.html(rows, classes, names, [MovingPicture(24, 16, 16, 2.5)] * len(rows))


def test_a_page_has_a_picture_of_every_clip(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    whole = make_video(tmp_path / "a.mkv", 12)
    broken = tmp_path / "b.avi"
    broken.write_bytes(b"no video")
    rows = [row(str(whole)), row(str(broken)), row(str(whole), start=0.5, end=0.75)]
    told = list[tuple[str, int, int]]()
    written = page.write_page(tmp_path / "new/todo", rows, CLASSES, lambda *step: told.append(step))
    assert written == tmp_path / "new/todo/index.html"
    assert told == [("drawing clips", done, 3) for done in (1, 2, 3)]
    films = content(written.read_text("utf-8"))["films"]
    assert [film["frames"] for film in films] == [12, 0, 3]
    assert [film["problem"] for film in films] == ["", "invalid data found when processing input", ""]
    shown = {film[kind] for film in films if film["frames"] for kind in ("sheet", "still")}
    made = {str(file.relative_to(written.parent)) for file in (written.parent / "clips").iterdir()}
    assert made == shown == {f"clips/{name}" for name in ("0001.webp", "0001.jpg", "0003.webp", "0003.jpg")}


def test_a_new_page_replaces_an_older_one(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    video = str(make_video(tmp_path / "a.mkv", 3))
    page.write_page(tmp_path, [row(video)] * 3, CLASSES, lambda *_: None)
    (tmp_path / "clips/notes.jpg").touch()
    page.write_page(tmp_path, [row(video)], CLASSES, lambda *_: None)
    assert {file.name for file in (tmp_path / "clips").iterdir()} == {"0001.webp", "0001.jpg", "notes.jpg"}


def test_nothing_to_label_and_no_place_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no clip to label"):
        page.write_page(tmp_path, [], CLASSES, lambda *_: None)
    (tmp_path / "file").touch()
    with pytest.raises(
        InputError, match=r"cannot write .*file: Not a directory; give another folder with -o"
    ):
        page.write_page(tmp_path / "file", [row("a.avi")], CLASSES, lambda *_: None)


def test_a_full_disk_is_an_error(
    tmp_path: Path, make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> MovingPicture:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page.moving_pictures, "write", full)
    rows = [row(str(make_video(tmp_path / "a.mkv", 3)))]
    with pytest.raises(InputError, match="No space left on device; give another folder with -o"):
        page.write_page(tmp_path, rows, CLASSES, lambda *_: None)
    assert not (tmp_path / "index.html").exists()


def test_names_cannot_leave_the_data() -> None:
    rows = [row(f"/data/{name}", "", name) for name in HOSTILE]
    written = html(rows, HOSTILE)
    found = content(written)
    assert [cells[0] for cells in found["rows"]] == [f"/data/{name}" for name in HOSTILE]
    assert found["classes"] == list(HOSTILE)
    # One element for the data, one for the script.
    assert written.count("<script") == written.count("</script") == 2
    assert "alert(1)" not in written.split('id="content">')[1].split("</script>")[1]


def test_names_that_are_not_utf_8_reach_the_page() -> None:
    name = os.fsdecode(b"/data/caf\xe9.avi")
    assert content(html([row(name)]))["rows"][0][0] == name == "/data/caf\udce9.avi"


def test_cells_are_those_of_the_table() -> None:
    """Numbers have up to six decimals; what is no column of the table is left out."""
    values = {"start": 20.0, "end": np.float64(0.1) + 0.2, "probability": 1 / 3, "margin": float("nan")}
    found = content(html([row("a.avi", **values, quality=None, file="/data/a.avi")]))
    assert found["columns"] == [*page.COLUMNS, "quality"]
    cells = ["a.avi", "20", "0.3", "", "bow", "0.333333", "jump", "0.00001", "", ""]
    assert found["rows"] == [cells]
    assert content(html([row("a.avi")]))["columns"] == list(page.COLUMNS)


def test_the_policy_allows_this_style_and_script_alone() -> None:
    written = html([row("a.avi")])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', written)
    assert policy
    for kind, text in (
        ("style", written.split("<style>")[1].split("</style>")[0]),
        ("script", written.split("<script>")[1].split("</script>")[0]),
    ):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy[1]
    assert policy[1].startswith("default-src 'none';")
    assert "unsafe" not in policy[1]
    assert not re.search(r"https?:", written)


def test_labels_are_kept_for_one_table() -> None:
    """Under a key that depends on the clips and the classes."""
    tables = [html([row("a.avi")]), html([row("b.avi")]), html([row("a.avi")], ("bow", "jump"))]
    keys = [content(text)["key"] for text in tables]
    assert len(set(keys)) == 3
    assert content(html([row("a.avi")]))["key"] == keys[0]


def test_the_title_says_the_work() -> None:
    assert "<title>Label 2 clips</title>" in html([row("a.avi")] * 2)
    assert "<title>Check 1 label</title>" in html([row("a.avi", "wave")])


@pytest.mark.skipif(not UCF.is_dir(), reason="no real videos")
def test_real_videos_have_their_own_shape(tmp_path: Path) -> None:
    videos = sorted((UCF / "PizzaTossing").iterdir())[:2]
    written = page.write_page(tmp_path, [row(str(video)) for video in videos], CLASSES, lambda *_: None)
    for film in content(written.read_text("utf-8"))["films"]:
        assert film["frames"] == FRAMES
        assert film["width"] / film["height"] == pytest.approx(4 / 3, rel=0.05)
