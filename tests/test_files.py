"""A file is whole or absent: errors, permissions, and a process that dies while it writes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssl_video.files import replace_text, replacing


def test_new_content_takes_the_place_of_old_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with replacing(target) as file:
        file.write(b"new")
        file.flush()
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


def write_half(target: Path, error: type[BaseException]) -> None:
    with replacing(target) as file:
        file.write(b"half")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("before", ["old", None])
def test_error_while_writing_changes_nothing(
    tmp_path: Path, error: type[BaseException], before: str | None
) -> None:
    target = tmp_path / "file"
    if before:
        target.write_text(before)
    with pytest.raises(error):
        write_half(target, error)
    assert [path.read_text() for path in tmp_path.iterdir()] == ([before] if before else [])


def test_killed_process_leaves_the_old_content(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom ssl_video.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as file:\n    file.write(b'half'); file.flush(); os._exit(9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "file")], check=False)
    assert ended.returncode == 9
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        replace_text(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_text_is_utf_8_without_changed_line_ends(tmp_path: Path) -> None:
    replace_text(tmp_path / "file", "é\n")
    assert (tmp_path / "file").read_bytes() == b"\xc3\xa9\n"


def test_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_text(tmp_path / "absent" / "file", "text")
