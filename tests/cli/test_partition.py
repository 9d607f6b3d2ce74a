"""`ssl-video data partition`: what it prints, and what it says about wrong input."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.paths import SHARED

from ssl_video.cli import cli
from ssl_video.errors import InputError

needs_lists = pytest.mark.skipif(not (SHARED / "lists").is_dir(), reason="needs the published lists")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of five source videos with four clips each for training, and one of each for testing."""
    folder = tmp_path_factory.mktemp("data")
    lines = ["path,label,group,split"]
    for label in ("jump", "run"):
        for group in range(6):
            for clip in range(4):
                name = f"{label}/g{group}_{clip}.mp4"
                (folder / label).mkdir(exist_ok=True)
                (folder / name).write_bytes(b"not looked into")
                lines.append(f"{name},{label},g{group},{'test' if group == 5 else 'train'}")
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    return folder / "clips.csv"


Split = Callable[..., str]


@pytest.fixture
def split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Split:
    """`split(arguments)`: what the command prints, called in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: object) -> str:
        cli.main(["data", "partition", *map(str, arguments)], standalone_mode=False)
        return capsys.readouterr().out

    return run


def rows(text: str) -> dict[str, list[str]]:
    """Lines of a table by their first word."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.split()}


def test_make_then_show_then_use(manifest: Path, split: Split) -> None:
    rule = ("--protocol", "per-class:6+groups", "--validation", "2", "--draw", "3")
    made = split("make", manifest, *rule, "-o", "part.txt")
    table = rows(made)
    assert table["training"] == ["40", "2", "20", "5"]
    # Of each class six clips of two source videos; the later one, with two of the six, is for validation.
    assert [int(table[part][0]) for part in ("labeled", "validation", "unlabeled", "test")] == [8, 4, 24, 8]
    assert "4 training clips are not used: other clips of their source videos are labeled" in made
    assert "wrote part.txt" in made

    alone = split("show", "part.txt")
    assert "protocol: per-class:6+groups\ndraw: 3\n" in alone
    assert rows(alone)["labeled"][:2] == ["8", "2"]
    assert rows(alone)["unused"][:2] == ["4", "2"]

    within = split("show", manifest, "--protocol", "part.txt")
    assert rows(within)["unlabeled"] == table["unlabeled"]
    first, second = (text.splitlines()[0].split("fingerprint ")[1] for text in (made, within))
    assert first == second

    same = split("compare", "part.txt", "part.txt")
    assert rows(same)["clips"] == ["8", "0", "0", "100.0", "%", "100.0", "%"]


def test_compare_two_rules(manifest: Path, split: Split) -> None:
    table = rows(split("compare", "per-class:2", "per-class:6", "--data", manifest))
    assert table["clips"] == ["4", "0", "8", "100.0", "%", "33.3", "%"]  # nested
    assert table["jump"][:3] == ["2", "6", "2"]


@needs_lists
def test_compare_two_published_lists(split: Split) -> None:
    both = ("compare", "ucf101-svformer-1", "ucf101-svformer-10", "--lists", SHARED / "lists")
    few, all_ = split(*both), split(*both, "--all")
    table = rows(few)
    assert table["A:"] == ["ucf101-svformer-1"]
    assert table["A"] == ["101", "101", "1", "1"]
    assert table["B"] == ["1,010", "101", "10", "6", "to", "10,", "mean", "8.0"]
    assert table["clips"] == ["17", "84", "993", "16.8", "%", "1.7", "%"]
    assert "91 more: --all" in few
    assert len(all_.splitlines()) == len(few.splitlines()) + 91


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("show names.txt", "does not say of which classes its clips are"),
        ("show per-class:5", "is a rule: to draw clips, give a data set"),
        ("show names.txt --draw 1", "or give a data set and --protocol"),
        ("compare names.txt names.txt --draw 1", "give the data set with --data"),
        ("compare nowhere.txt names.txt", "unknown protocol 'nowhere.txt'"),
        ("list ucf101-videosl-5", "did you mean ucf101-videossl-5"),
        ("make MANIFEST -o no/where.txt --protocol per-class:1", "cannot write no/where.txt"),
        ("make MANIFEST -o a.txt --validation -1", "validation: input should be greater"),
        ("make MANIFEST -o a.txt --protocol per-class:99", "99 labeled clips of each class are wanted"),
    ],
)
def test_wrong_input(manifest: Path, split: Split, arguments: str, expected: str) -> None:
    Path("names.txt").write_text("one.avi\ntwo.avi\n")
    with pytest.raises(InputError) as caught:
        split(*(manifest if word == "MANIFEST" else word for word in arguments.split()))
    assert expected in str(caught.value)


def test_list(split: Split) -> None:
    table = rows(split("list"))
    assert " ".join(table["ucf101-videossl-10"]) == "953 1 to 21 per class percent:10+global+floor"
    assert " ".join(table["mini-ssv2-tcl-5"]) == "no list percent:5+ceil"
    one = split("list", "kinetics400-ltg-1")
    assert "labeled_in_unlabeled: True" in one
    assert "made with numpy.random.choice and seed 3" in one


def test_nothing_of_it_imports_torch(manifest: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from ssl_video.cli import cli\n"
        "for line in sys.argv[1:]: cli.main(['data', 'partition', *line.split()], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    part = tmp_path / "part.txt"
    making = f"make {manifest} -o {part} --protocol per-class:2"
    done = subprocess.run(
        [sys.executable, "-c", code, making, f"show {part}", f"compare {part} {part}", "list"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
