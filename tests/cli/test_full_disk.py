"""Commands on a full disk: a sentence, and nothing half written; with room, the same command works."""

from pathlib import Path

import pytest
from helpers.command_line import TINY, Call
from helpers.small_disk import fill, small_disk

pytestmark = pytest.mark.slow
COMMANDS = {
    "predict": ("predict", "RUN", "DATA/test", "-o", "labels.csv"),
    "suggest": ("suggest", "RUN", "-o", "todo"),
    "features": ("features", "RUN", "DATA/test", "-o", "features.npz"),
    "export pt2": ("export", "RUN", "-o", "model.pt2"),
    "export onnx": ("export", "RUN", "-o", "model.onnx"),
    "report": ("report", "--results", "RESULTS", "-o", "report"),
    "views": ("data", "views", "DATA/test/dark/0.mp4", "-o", "views.png"),
    "split": ("data", "partition", "make", "DATA", "--protocol", "per-class:2", "-o", "split.txt"),
    "index": ("data", "index", "DATA", "-o", "index.arrow"),
    "labels": ("data", "labels", "DATA/labels.csv", "-o", "labels.json", "--to", "label-studio"),
    "new": ("algorithm", "new", "mine.py"),
    "train": ("train", "--data", "DATA", "--algo", "fixmatch", "--protocol", "per-class:2", *TINY),
}
# They keep what they have: predict its rows, and a run its folder.
CONTINUED = "predict", "train"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk(name: str, run: Path, dataset: Path, call: Call, tmp_path: Path) -> None:
    values, command = {"RUN": run, "DATA": dataset, "RESULTS": run.parents[1]}, list[object]()
    for part in COMMANDS[name]:
        key, _, rest = part.partition("/")
        command.append(values[key] / rest if key in values else part)
    if name == "labels":
        command[2] = tmp_path / "labels.csv"
        (tmp_path / "labels.csv").write_text("path,label\na.mp4,walk\n")
    with small_disk(tmp_path / "disk"):
        whole, told = set[str](), 0
        for room in (None, 0, 4096, 3 * 4096, 8 * 4096):
            folder = tmp_path / "disk" / str(room)
            folder.mkdir()
            other = None if room is None else fill(folder.parent, room)
            done = call(*command, cwd=folder)
            if done.returncode:
                assert "No space left on device" in " ".join(done.stderr.split())
                assert name in CONTINUED or contents(folder).keys() <= whole
                told += 1
            if other:
                other.unlink()
            if done.returncode:
                done = call(*command, cwd=folder)
            assert done.returncode == 0, done.stderr
            whole = whole or set(contents(folder))
            assert set(contents(folder)) == whole
            assert not [path for path in whole if path.endswith(".part")]
        assert told
