"""`ssl-video bench` as a process: tables, repetition, dry runs, broken videos, plugins, options."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from helpers.command_line import TINY, Call, results
from helpers.paths import ROOT

from ssl_video.cli import cli


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
    assert "4 runs, 4 of them already finished" in " ".join(again.stderr.split())
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
    assert f"note: {result.relative_to(tmp_path)} cannot be used, so its run is repeated" in again.stderr
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


def test_the_readmes_algorithm_runs_and_keeps_the_contract(dataset: Path, call: Call, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(\"\"\"Two speeds.*?)```", readme, re.DOTALL)
    (tmp_path / "two_speed.py").write_text(code)
    checked = call("algorithm", "check", "two_speed.py", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    done = call(
        *("bench", "--data", dataset, "--algo", "two_speed.py:two-speed", "--protocol", "per-class:2"),
        *("--seeds", "1", "--no-baseline", *TINY),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(tmp_path / "ssl-video-results" / "leaderboard.csv")["algorithm"].tolist() == [
        "two-speed"
    ]
