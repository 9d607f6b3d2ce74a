"""`ssl-video bench` as a process: tables, repetition, stopping, sharing a folder."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from command_line import TINY, Call

from ssl_video.cli import cli


def results(folder: Path) -> list[Path]:
    return sorted((folder / "ssl-video-results" / "runs").glob("*/result.json"))


def test_ends_with_a_table_and_a_leaderboard(bench: Path) -> None:
    printed = (bench / "stdout.txt").read_text()
    for word in ("supervised", "fixmatch", "per-class:2", "gain", "leaderboard.csv", "predict"):
        assert word in printed
    frame = pd.read_csv(bench / "ssl-video-results" / "leaderboard.csv")
    assert sorted(zip(frame["algorithm"], frame["seed"], strict=True)) == [
        *(("fixmatch", 0), ("fixmatch", 1), ("supervised", 0), ("supervised", 1)),
    ]
    # Of each of two classes: two labeled clips, the six that are left of eight, and four for test.
    assert (frame[["labeled", "unlabeled", "test", "classes"]] == [4, 12, 8, 2]).all(axis=None)
    # Six steps of four labeled clips, and for FixMatch of four unlabeled ones.
    assert dict(zip(frame["algorithm"], frame["clips_seen"], strict=True)) == {
        "supervised": 24,
        "fixmatch": 48,
    }
    # A seed draws its own labels, the same for both algorithms.
    assert frame.groupby("seed")["fingerprint"].nunique().tolist() == [1, 1]
    assert frame["fingerprint"].nunique() == 2


def test_a_second_time_only_prints(bench: Path, dataset: Path, call: Call) -> None:
    before = {path: path.stat().st_mtime_ns for path in results(bench)}
    again = call(
        *(
            "bench",
            "--data",
            dataset,
            "--algo",
            "fixmatch",
            "--protocol",
            "per-class:2",
            "--seeds",
            "2",
            *TINY,
        ),
        cwd=bench,
    )
    assert again.returncode == 0
    assert "4 runs, 4 of them finished before" in " ".join(again.stderr.split())
    assert again.stdout == (bench / "stdout.txt").read_text()
    assert {path: path.stat().st_mtime_ns for path in results(bench)} == before


def test_a_dry_run_counts_the_very_runs(
    bench: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column has no draws: three of them are one run."""
    rows = [path.relative_to(dataset).as_posix() for path in sorted(dataset.rglob("*.mp4"))]
    lines = [f"{row},{row.split('/')[1]},{row.split('/')[0]},{int('train' in row)}" for row in rows]
    (tmp_path / "data.csv").write_text("\n".join(["path,label,split,known", *lines[:-1], ""]))
    monkeypatch.chdir(bench)

    def counted(*arguments: object) -> str:
        given = ("bench", "--dry-run", "--algo", "fixmatch", "--protocol", "per-class:2", "--seeds", "2")
        given += (*TINY, *map(str, arguments))
        done = CliRunner().invoke(cli, given, catch_exceptions=False)
        assert done.exit_code == 0
        return re.findall(r"\d+ runs?, \d+ of them finished", done.stdout)[0]

    assert counted("--data", dataset) == "4 runs, 4 of them finished"
    assert counted("--data", dataset, "--seeds", 1, "--no-baseline") == "1 run, 1 of them finished"
    other = tmp_path / "data.csv", "--root", dataset
    assert counted("--data", *other) == "4 runs, 0 of them finished"
    for flags in (("--validation", 1), ("--labeled-in-unlabeled",)):
        assert counted("--data", dataset, *flags) == "4 runs, 0 of them finished"
    # Two methods and two seeds: of three draws under per-class:2, and of one under the column.
    column = ("--protocol", "column:known", "--labeled-in-unlabeled", "--draws", 3)
    assert counted("--data", *other, *column) == "16 runs, 0 of them finished"


def test_broken_videos_stop_it_before_training_and_can_be_left_out(
    dataset: Path, call: Call, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    for path in dataset.rglob("*.mp4"):
        target = broken / path.relative_to(dataset)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (broken / "train" / "dark" / "noise.mp4").write_bytes(b"this is no video" * 100)
    arguments = (
        "bench",
        "--data",
        broken,
        "--algo",
        "supervised",
        "--protocol",
        "per-class:2",
        "--seeds",
        "1",
    )
    stopped = call(*arguments, *TINY, cwd=tmp_path)
    assert stopped.returncode == 2
    assert "train/dark/noise.mp4" in stopped.stderr
    assert "--skip-broken" in stopped.stderr
    assert results(tmp_path) == []
    (broken / "train" / "dark" / "empty.mp4").write_bytes(b"")
    done = call(*arguments, *TINY, "--skip-broken", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "left out train/dark/noise.mp4" in done.stderr
    (result,) = results(tmp_path)
    assert json.loads(result.read_text())["left_out"] == 2
    left_out = (result.parent / "left-out.txt").read_text()
    assert "empty.mp4" in left_out
    assert "noise.mp4" in left_out
    # A record that a full disk has cut is not taken for a finished run, and the next run needs no flag.
    result.write_text("{")
    again = call(*arguments, *TINY, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert f"note: {result.relative_to(tmp_path)} is damaged: its run is made again" in again.stderr
    assert json.loads(result.read_text())["left_out"] == 2


def test_a_plugin_by_path(dataset: Path, call: Call, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        '''from torch.nn import functional as F
from ssl_video import Algorithm, LossOutput, algorithm

@algorithm("scaled")
class Scaled(Algorithm):
    """Cross-entropy, scaled."""

    def __init__(self, task, model, *, scale=2.0):
        super().__init__()
        self.model, self.scale = model, scale

    def loss(self, batch, progress):
        logits = self.model(batch.labeled["weak"])
        return LossOutput({"labeled": self.scale * F.cross_entropy(logits, batch.labels)})
'''
    )
    done = call(
        *(
            "bench",
            "--data",
            dataset,
            "--algo",
            "mine.py:scaled",
            "--protocol",
            "per-class:2",
            "--seeds",
            "1",
        ),
        *(*TINY, "--set", "options.scale=0.5", "--no-baseline"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    (result,) = results(tmp_path)
    record = json.loads(result.read_text())
    assert (record["algorithm"], record["options"]) == ("scaled", {"scale": 0.5})


def start(dataset: Path, environment: dict[str, str], folder: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "ssl_video", "bench", "--data", str(dataset), "--algo", "fixmatch"]
    command += ["--protocol", "per-class:2", "--seeds", "2", *TINY, *more]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: object, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_keeps_what_is_done_and_the_same_command_goes_on(
    number: signal.Signals, dataset: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    long = ("--steps", "400", "--jobs", "2")
    process = start(dataset, environment, tmp_path, *long)
    runs = tmp_path / "ssl-video-results" / "runs"
    wait_for(lambda: any(p.stat().st_size for p in runs.glob("*/metrics.jsonl")), process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: to every process
    else:
        process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 75), stderr
    assert "the same command goes on" in stderr
    assert "Traceback" not in stderr
    assert list(runs.glob("*/checkpoint.pt"))
    process = start(dataset, environment, tmp_path, *long)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert len(results(tmp_path)) == 4
    for result in results(tmp_path):
        lines = (result.parent / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == list(range(400))


def test_two_processes_share_a_folder(dataset: Path, environment: dict[str, str], tmp_path: Path) -> None:
    both = [start(dataset, environment, tmp_path, "--steps", "60") for _ in range(2)]
    for process in both:
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
    frame = pd.read_csv(tmp_path / "ssl-video-results" / "leaderboard.csv")
    assert len(frame) == 4
    for result in results(tmp_path):
        # A run that both had trained would have its steps twice.
        lines = (result.parent / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == list(range(60))


KILLED = '''import os, pathlib, signal
from ssl_video import algorithm
from ssl_video.algorithms.supervised import Supervised

@algorithm("killed")
class Killed(Supervised):
    """Ends its process as the system does when memory runs out."""

    def loss(self, batch, progress):
        if progress > 0.5 and {condition}:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(batch, progress)
'''


def test_a_run_that_is_killed_once_goes_on_by_itself(
    dataset: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """To the same weights as without that: the records are those of every step, once."""
    once = f'os.path.exists("{tmp_path}/mark") and not os.remove("{tmp_path}/mark")'
    (tmp_path / "mark").touch()
    (tmp_path / "killed.py").write_text(KILLED.format(condition=once))
    process = start(dataset, environment, tmp_path, "--algo", "killed.py:killed", "--seeds", "1")
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert stderr.count("once more from its last checkpoint") == 1
    killed = next(file for file in results(tmp_path) if file.parent.name.startswith("killed"))
    lines = (killed.parent / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(6))


def test_a_run_that_is_killed_again_is_reported_and_the_others_finish(
    dataset: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "killed.py").write_text(KILLED.format(condition=True))
    process = start(dataset, environment, tmp_path, "--algo", "killed.py:killed")
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 1
    assert stderr.count("once more from its last checkpoint") == 2
    assert stderr.count("failed killed") == 2
    assert "killed by SIGKILL" in stderr
    assert len(results(tmp_path)) == 4  # fixmatch and supervised


def test_a_crash_in_an_algorithm_is_told_in_one_line_with_the_place_of_its_log(
    dataset: Path, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "crash.py").write_text(
        '''from ssl_video import algorithm
from ssl_video.algorithms.supervised import Supervised

@algorithm("crash")
class Crash(Supervised):
    """Fails."""

    def loss(self, batch, progress):
        return open("prototypes.npy")
'''
    )
    done = call(
        *(
            "bench",
            "--data",
            dataset,
            "--algo",
            "crash.py:crash",
            "--protocol",
            "per-class:2",
            "--seeds",
            "1",
        ),
        *(*TINY, "--no-baseline"),
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "FileNotFoundError: [Errno 2] No such file or directory: 'prototypes.npy'" in done.stderr
    (log,) = tmp_path.glob("ssl-video-results/runs/*/log.txt")
    assert str(log.relative_to(tmp_path)) in done.stderr
    assert "Traceback" in log.read_text()


def test_a_clip_shorter_than_the_window_is_used(
    call: Call, tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    for part in ("train", "test"):
        for label, name in enumerate(("dark", "light")):
            for clip in range(2):
                make_video(tmp_path / "short" / part / name / f"{clip}.mkv", 1 + clip, 20, 24, label=label)
    done = call(
        *(
            "bench",
            "--data",
            "short",
            "--algo",
            "supervised",
            "--protocol",
            "per-class:1",
            "--seeds",
            "1",
            *TINY,
        ),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


def test_an_option_goes_to_the_algorithms_that_have_it(dataset: Path, call: Call, tmp_path: Path) -> None:
    done = call(
        *("bench", "--data", dataset, "--algo", "cmpl", "--protocol", "per-class:2", "--seeds", "1", *TINY),
        *("--set", "options.threshold=0.7", "--set", "networks.auxiliary.width=0.375"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    records = {r["algorithm"]: r for r in (json.loads(path.read_text()) for path in results(tmp_path))}
    assert records["cmpl"]["options"]["threshold"] == 0.7
    assert records["cmpl"]["spec"]["networks"]["auxiliary"]["width"] == 0.375
    assert records["supervised"]["options"] == {}
