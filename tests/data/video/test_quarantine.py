"""The list of clips that no run uses: what it holds, where it lies, who may write it."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ssl_video.data.paths import cache_dir
from ssl_video.data.video import quarantine
from ssl_video.errors import InputError

REASONS = {"b/2.mkv": "cut off, at 3 s", "a/é 1.mkv": 'says "no"'}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_VIDEO_CACHE", str(tmp_path / "cache"))


def test_list_beside_the_data(tmp_path: Path) -> None:
    (tmp_path / "ucf").mkdir()
    assert quarantine.read(tmp_path / "ucf") == {}
    assert quarantine.write(tmp_path / "ucf", REASONS) == tmp_path / "ucf.quarantine.csv"
    assert (tmp_path / "ucf.quarantine.csv").read_text(encoding="utf-8") == (
        'path,reason\na/é 1.mkv,"says ""no"""\nb/2.mkv,"cut off, at 3 s"\n'
    )
    assert quarantine.read(tmp_path / "ucf") == quarantine.read(f"{tmp_path}/x/../ucf/") == REASONS
    # A manifest of the same name has a list of its own.
    assert quarantine.place(tmp_path / "ucf.csv") == tmp_path / "ucf.csv.quarantine.csv"
    quarantine.add(tmp_path / "ucf", {"c": "new"})
    assert quarantine.read(tmp_path / "ucf") == REASONS | {"c": "new"}
    quarantine.write(tmp_path / "ucf", {})
    assert list(tmp_path.glob("*.csv")) == []


@pytest.mark.parametrize(
    "text", ["", "path\na\n", "name,why\na,b\n", "path,reason\na\n", "path,reason\na,b,c\n"]
)
def test_what_is_no_list(tmp_path: Path, text: str) -> None:
    (tmp_path / "ucf.quarantine.csv").write_text(text)
    with pytest.raises(
        InputError, match=r"ucf.quarantine.csv is not a quarantine list: expected columns path,"
    ):
        quarantine.read(tmp_path / "ucf")


def test_read_only_data_has_its_list_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, access = tmp_path / "data" / "ucf", os.access
    source.mkdir(parents=True)
    # Tests may run as a user who may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: path != source.parent and access(path, mode))
    place = quarantine.write(source, REASONS)
    assert place.parent == cache_dir() / "quarantine"
    assert quarantine.read(source) == REASONS
    monkeypatch.undo()
    monkeypatch.setenv("SSL_VIDEO_CACHE", str(tmp_path / "cache"))
    # Both lists hold; the next one is written where the last one was, and the other one goes.
    (tmp_path / "data" / "ucf.quarantine.csv").write_text("path,reason\nb/2.mkv,other\nd,e\n")
    assert quarantine.read(source) == REASONS | {"b/2.mkv": "other", "d": "e"}
    assert quarantine.add(source, {"f": "g"}) == tmp_path / "data" / "ucf.quarantine.csv"
    assert quarantine.read(source) == REASONS | {"b/2.mkv": "other", "d": "e", "f": "g"}
    assert not place.exists()


def test_several_that_add_at_once_lose_nothing(tmp_path: Path) -> None:
    def add(number: int) -> None:
        for clip in range(20):
            quarantine.add(tmp_path / "ucf", {f"{number}/{clip}.mkv": "broken"})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert len(quarantine.read(tmp_path / "ucf")) == 80
