"""`ssl-video algorithm page`, in this process: the counting is what takes time, and is tested elsewhere."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from ssl_video.cli.page import command
from ssl_video.errors import InputError
from ssl_video.registry import Registry


def run(*arguments: object) -> list[str]:
    done = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_without_a_file_the_generated_part_is_printed() -> None:
    lines = run("supervised")
    assert lines[0] == "<!-- generated: ssl-video algorithm page supervised -->"
    assert "| `weak` | labeled | weak | T × s | shared |" in lines
    assert lines[-1] == "<!-- end -->"


def test_pages_of_several_go_into_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    assert run("supervised", "fixmatch", "-o", folder) == [
        f"{folder}/supervised.md: new; fill in the places marked TODO",
        f"{folder}/fixmatch.md: new; fill in the places marked TODO",
    ]
    assert run("fixmatch", "-o", folder / "fixmatch.md") == [f"{folder}/fixmatch.md: unchanged"]
    with pytest.raises(InputError, match=r"one\.md is a single file, but there are 2 pages"):
        run("supervised", "fixmatch", "-o", folder / "one.md")
    assert sorted(file.name for file in folder.iterdir()) == ["fixmatch.md", "supervised.md"]


def test_all_pages_come_with_a_table_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "builtin", lambda self: ["fixmatch", "supervised"])
    assert [line.split(": ")[1][:9] for line in run("all", "-o", tmp_path)] == [
        "new; fill",
        "new; fill",
        "refreshed",
    ]
    table = (tmp_path / "README.md").read_text()
    names = [line.split("]")[0][3:] for line in table.splitlines() if line.startswith("| [")]
    assert names == ["supervised", "fixmatch"]  # by year, the one without a paper first
    assert "| [fixmatch](fixmatch.md) | [FixMatch: Simplifying" in table
    assert "| 2020 |" in table
    assert table.count("| 2.35 |") == 1
    (tmp_path / "README.md").write_text(f"My words.\n\n{table}\nMore.\n")
    run("all", "-o", tmp_path)
    again = (tmp_path / "README.md").read_text()
    assert again == f"My words.\n\n{table}\nMore.\n"
