"""Wrong input to commands: what is reported, and how soon."""

from pathlib import Path

import pytest
from helpers.command_line import TINY, Call, start_python


def test_all_problems_of_a_command_at_once_before_anything_is_decoded(
    dataset: Path, call: Call, tmp_path: Path
) -> None:
    wrong = ("--algo", "fixmatsch,cmpl", "--backbone", "tiny3", "--protocol", "per-klass:3")
    done = call("bench", "--data", dataset, *wrong, cwd=tmp_path)
    assert done.returncode == 2
    for words in ("'fixmatsch'", "fixmatch", "'tiny3'", "tiny3d", "per-klass", "per-class"):
        assert words in done.stderr
    assert "decoding" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "optoins.threshold=1"], ["'optoins'", "options"]),
        (["--set", "options.treshold=1", "--algo", "cmpl"], ["'treshold'", "threshold"]),
        (["--set", "networks.auxilary.width=1", "--algo", "cmpl"], ["'auxilary'", "auxiliary"]),
        (["--steps", "many"], ["steps", "many"]),
        (["--protocol", "per-class:9"], ["dark", "8"]),
        (["--algo", "nowhere.py:mine"], ["nowhere.py"]),
        (["--device", "cuda:99"], ["cuda:99"]),
        (["--weights", "nowhere.pt"], ["nowhere.pt"]),
    ],
)
def test_a_mistake_is_named(
    arguments: list[str], words: list[str], dataset: Path, call: Call, tmp_path: Path
) -> None:
    done = call("bench", "--data", dataset, "--protocol", "per-class:2", *TINY, *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("error:") >= 1
    for word in words:
        assert word in done.stderr


def test_a_flag_or_a_command_that_is_not_there(call: Call, tmp_path: Path) -> None:
    done = call("bench", "--flip-share", "0.3", cwd=tmp_path)
    assert done.returncode == 2
    assert "An option of an algorithm is given as --set options.flip_share=VALUE." in done.stderr
    # A letter is no option of an algorithm.
    done = call("bench", "-z", "0.3", cwd=tmp_path)
    assert done.returncode == 2
    assert "options." not in done.stderr
    # Where no algorithm is chosen, none has options.
    done = call("analyze", "audit", "--flip-share", cwd=tmp_path)
    assert done.returncode == 2
    assert "options." not in done.stderr
    done = call("bnch", cwd=tmp_path)
    assert done.returncode == 2
    assert "unknown command 'bnch'; did you mean bench?" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_data_that_is_not_there(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "one" / "only").mkdir(parents=True)
    (tmp_path / "one" / "only" / "a.mp4").write_bytes(b"x")
    for data, word in (("nowhere", "nowhere"), ("empty", "empty"), ("one", "one class")):
        done = call("bench", "--data", data, cwd=tmp_path)
        assert done.returncode == 2
        assert word in done.stderr


def test_an_unwritable_results_folder(dataset: Path, call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = call("bench", "--data", dataset, "--results", "file/results", *TINY, cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot write to the results folder file/results" in done.stderr


@pytest.mark.parametrize(
    "command", [["bench", "--algo", "supervised"], ["train", "--algorithm", "supervised"]]
)
def test_a_published_table_is_left_alone(command: list[str], call: Call, tmp_path: Path) -> None:
    table = tmp_path / "published" / "leaderboard.csv"
    table.parent.mkdir()
    table.write_text("run,algorithm\na,fixmatch\nb,cmpl\n")
    done = call(*command, "--results", "published", cwd=tmp_path)
    assert done.returncode == 2
    assert (
        "published/leaderboard.csv is a table of 2 runs whose folders are not in published/runs"
        in done.stderr
    )
    assert table.read_text() == "run,algorithm\na,fixmatch\nb,cmpl\n"
    assert [path.name for path in table.parent.iterdir()] == ["leaderboard.csv"]


def test_a_table_that_cannot_be_read_is_left_alone(call: Call, tmp_path: Path) -> None:
    """As a published one it has no runs by which it could be made again."""
    table = tmp_path / "published" / "leaderboard.csv"
    table.parent.mkdir()
    table.write_text("run,algorithm\na,fixmatch\nb,cmpl\n")
    done = call("leaderboard", "--results", "published", cwd=tmp_path)
    assert done.returncode == 2
    assert "published/leaderboard.csv is not a leaderboard of ssl-video: it lacks backbone," in done.stderr
    assert table.read_text() == "run,algorithm\na,fixmatch\nb,cmpl\n"
    assert [path.name for path in table.parent.iterdir()] == ["leaderboard.csv"]


# Of every command that imports torch in the end: a wrong name, or a file that is missing.
NAMES = [
    ["bench", "--algo", "fixmach"],
    ["bench", "--algo", "nowhere.py:mine"],
    ["bench", "--algo", "fixmach", "--set", "options.threshold=0.8"],
    ["bench", "--backbone", "tiny3", "--set", "seed=1"],
    ["bench", "--backbone", "tim/resnet18"],
    ["bench", "--protocol", "per-klass:3"],
    ["bench", "--data", "nowhere"],
    ["bench", "--suite", "nowhere"],
    ["bench", "--steps", "many"],
    ["train", "--algorithm", "fixmach"],
    ["train", "nowhere.yaml"],
    ["train", "--resume", "nowhere"],
    ["train", "--data", "nowhere"],
    ["evaluate", "nowhere"],
    ["predict", "nowhere", "a.mp4"],
    ["analyze", "audit", "nowhere"],
    ["analyze", "dynamics", "nowhere"],
    ["algorithm", "check", "fixmach"],
    ["algorithm", "page", "fixmach"],
    ["data", "cache", "nowhere"],
    ["data", "doctor", "nowhere"],
    ["data", "views", "nowhere.mp4"],
    ["analyze", "speed", "step", "--algo", "fixmach"],
    ["analyze", "speed", "data", "nowhere"],
]


def test_a_wrong_name_is_reported_without_torch(environment: dict[str, str], tmp_path: Path) -> None:
    """Importing torch takes seconds, in which nothing is said."""
    code = f"""
import contextlib, io, sys
from ssl_video.cli import main
for arguments in {NAMES!r}:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            main(arguments)
    except SystemExit as leaving:
        assert leaving.code == 2, (arguments, leaving.code, said.getvalue())
    assert "error: " in said.getvalue(), (arguments, said.getvalue())
    assert "torch" not in sys.modules, arguments
"""
    process = start_python(environment, "-c", code, cwd=tmp_path)
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert list(tmp_path.iterdir()) == []
