"""docs/own-data.md, followed command by command, and the times and accuracies that it names.

    PYTHONPATH=tests python -m helpers.own_data FOLDER [--labeled 5] [--unlabeled 250] [--test 206]

makes the folders `lab` and `newcamera` in FOLDER, from the clips of split 1 of five classes of UCF-101, with
links whose names do not tell the class, and executes the commands of the page. In place of a person, it fills
in the true labels of the clips that `suggest` names. `--wrong` labeled clips are in the folder of another
class.
"""

import argparse
import csv
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parents[2]
CLIPS = ROOT.parent / "shared" / "data" / "ucf101_5c"
PAGE = ROOT / "docs" / "own-data.md"
FENCE = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Clip(NamedTuple):
    """A clip, and the name of the source video that it was cut from."""

    path: Path
    source: str


def commands() -> list[str]:
    """The lines of the page's blocks, of which a block may have several."""
    return [line for block in FENCE.findall(PAGE.read_text(encoding="utf-8")) for line in block.splitlines()]


def prepare(folder: Path, labeled: int, unlabeled: int, test: int, wrong: int) -> dict[str, str]:
    """Make `lab` and `newcamera`; return the true labels by file name."""
    draw = np.random.default_rng(0)
    of_class = {part: defaultdict[str, list[Clip]](list) for part in ("train", "test")}
    with (CLIPS / "manifest.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            of_class[row["split"]][row["label"]].append(Clip(CLIPS.parent / row["path"], row["group"]))
    classes, truth, rest = sorted(of_class["train"]), dict[str, str](), list[tuple[str, Clip]]()

    def link(clip: Clip, label: str, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        name = f"clip{len(truth):04d}{clip.path.suffix}"
        truth[name] = label
        os.symlink(clip.path, place / name)

    def drawn(clips: Sequence[Any]) -> list[Any]:
        return [clips[place] for place in draw.permutation(len(clips))]

    for number, label in enumerate(classes):
        clips = drawn(of_class["train"][label])
        # From one source video each, as people would choose them.
        chosen = [*{clip.source: clip for clip in clips}.values()][:labeled]
        for place, clip in enumerate(chosen):
            # The last one of the first classes is in the folder of the next.
            moved = place == labeled - 1 and number < wrong
            link(clip, label, folder / "lab" / classes[number + moved] / clip.source)
        rest += [(label, clip) for clip in clips if clip not in chosen]
        for clip in drawn(of_class["test"][label])[: test // len(classes)]:
            link(clip, label, folder / "newcamera" / label / clip.source)
    for label, clip in drawn(rest)[:unlabeled]:
        link(clip, label, folder / "lab" / "unlabeled")
    return truth


def follow(
    folder: Path, truth: dict[str, str], more: dict[str, list[str]]
) -> Iterator[tuple[str, float, str]]:
    """Execute the page's lines; yield each with its seconds and its output.

    Args:
        folder: the folder with `lab`.
        truth: the true labels by file name.
        more: further arguments by command, which shorten it.

    Raises:
        RuntimeError: a command failed.
    """
    variables = folder / "variables.sh"
    variables.touch()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for line in commands():
        words = line.split()
        text = " ".join([line, *more.get(words[1], [])]) if words[0] == "ssl-video" else line
        script = f"set -e; . ./variables.sh; {text}\ndeclare -p RUN > variables.sh 2>/dev/null || true"
        began = time.monotonic()
        done = subprocess.run(
            ["bash", "-c", script], cwd=folder, env=os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{text}\n{done.stdout}")
        yield text, time.monotonic() - began, done.stdout
        if found := re.search(r"suggest .*-o (\w+)", line):
            fill_in(folder / found[1] / "clips.csv", truth)


def fill_in(file: Path, truth: dict[str, str]) -> None:
    """Give every clip its true label, as a person would on the page."""
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows:
        row["label"] = truth[Path(row["path"]).name]
    with file.open("w", newline="") as lines:
        table = csv.DictWriter(lines, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name, number in (("labeled", 5), ("unlabeled", 250), ("test", 206), ("wrong", 2)):
        parser.add_argument(f"--{name}", type=int, default=number)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    truth = prepare(given.folder, given.labeled, given.unlabeled, given.test, given.wrong)
    for line, seconds, output in follow(given.folder, truth, {}):
        print(f"== {seconds:6.1f} s  {line}", flush=True)
        if line.startswith("RUN="):
            # The accuracy after each round, which the page names and does not ask for.
            run = (given.folder / "variables.sh").read_text().partition('"')[2].rpartition('"')[0]
            done = subprocess.run(
                [f"{Path(sys.executable).parent}/ssl-video", "evaluate", run, "--data", "newcamera"],
                cwd=given.folder, capture_output=True, text=True, check=True,
            )  # fmt: skip
            output = done.stdout
        print("\n".join(output.splitlines()[-16:]), flush=True)


if __name__ == "__main__":
    main()
