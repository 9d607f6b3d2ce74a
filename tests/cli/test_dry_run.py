"""What `ssl-video bench` makes of its flags and of suites, listed without training."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from helpers.partitions import make_index
from helpers.records import result

from ssl_video.benchmarks.running.carry_out import _data_sets, _unused
from ssl_video.cli import cli
from ssl_video.errors import InputError
from ssl_video.networks import assemble
from ssl_video.spec import build

DATA = ("--data", "absent.arrow", "--protocol", "per-class:1", "--frames", "4", "--size", "16")
PLUGIN = '''from ssl_video import algorithm
from ssl_video.algorithms.supervised import Supervised

@algorithm("{name}")
class Mine(Supervised):
    """Nothing new."""
'''


def bench(*arguments: object) -> str:
    """What a dry run prints, without line breaks."""
    done = CliRunner().invoke(cli, ["bench", "--dry-run", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return " ".join(done.stdout.split())


def test_flags_are_axes(tmp_path: Path) -> None:
    """Two methods on two backbones, two data sets, three draws and two seeds."""
    printed = bench(
        *("--algo", "fixmatch", "--backbone", "tiny3d,c2d_r50", *DATA, "--data", "other.arrow"),
        *("--draws", 3, "--seeds", 2, "--results", tmp_path / "none"),
    )
    assert " 48 runs, 0 of them finished" in printed
    # A row for each method on each backbone.
    assert printed.count("backbone=tiny3d") == printed.count("backbone=c2d_r50") == 2
    assert "other.arrow is not available" in printed


def test_measuring_also_predicts_memory(tmp_path: Path) -> None:
    """In the devices of all processes; TCL's depends on the values of its clips."""
    given = ("--algo", "supervised,fixmatch,tcl", *DATA, "--results", tmp_path / "none", "--no-baseline")
    assert "memory" not in bench(*given)
    lines = bench(*given, "--measure").split("supervised")[1]
    assert lines.count(" MiB") == 2
    assert " ? " in lines


def test_an_entry_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    again = "[supervised, fixmatch, {algorithm: fixmatch, options: {threshold: 0.95}}]"
    (tmp_path / "mine.yaml").write_text(f"algorithms: {again}\nseeds: 3\n")
    printed = bench("--suite", tmp_path / "mine.yaml", *DATA, "--results", tmp_path / "none")
    assert " 6 runs, 0 of them finished" in printed


@pytest.mark.parametrize("data", ["absent.arrow", "demo"])
def test_a_dry_run_refuses_what_the_run_would_refuse(data: str, tmp_path: Path) -> None:
    """Whether the data is here or not."""
    given = ("bench", "--dry-run", *DATA, "--data", data, "--algo", "freematch", "--accumulate", "2")
    with pytest.raises(InputError, match="freematch needs the whole batch at once"):
        CliRunner().invoke(cli, [*given, "--results", str(tmp_path / "none")], catch_exceptions=False)


def test_the_flag_match_is_the_suite_s_key(tmp_path: Path) -> None:
    """100 steps of 8 + 16 videos are 300 of 8."""
    (tmp_path / "mine.yaml").write_text("algorithms: [fixmatch]\nmatch: clips\nsettings: {steps: 100}\n")
    suite = ("--suite", tmp_path / "mine.yaml", *DATA, "--seeds", 1, "--results", tmp_path / "none")
    printed = bench(*suite)
    assert "supervised tiny3d 1 0 300 2,400" in printed
    assert "matched: clips:2400 for all methods; --match clips:2400 keeps this budget" in printed
    assert "supervised tiny3d 1 0 100 800" in bench(*suite, "--match", "steps")
    assert "fixmatch tiny3d 1 0 10 240" in bench(*suite, "--match", "clips:240")


def test_one_draw_and_a_number_of_draws_exclude_each_other(tmp_path: Path) -> None:
    arguments = (*DATA, "--algo", "supervised", "--seeds", 2, "--results", tmp_path / "none")
    with pytest.raises(InputError, match="--draws counts draws from 0"):
        bench(*arguments, "--draw", 1, "--draws", 2)
    (tmp_path / "mine.yaml").write_text("algorithms: [supervised]\ndraws: 3\n")
    suite = ("--suite", tmp_path / "mine.yaml", *arguments)
    assert " 6 runs, " in bench(*suite)
    assert " 2 runs, " in bench(*suite, "--draw", 1)


def test_a_suite_whose_data_is_not_there_says_how_to_make_it() -> None:
    done = CliRunner().invoke(cli, ["bench", "--suite", "ucf101"])
    assert isinstance(done.exception, InputError)
    assert done.exception.problems == (
        "there is no file or folder ucf101.arrow: give the location of the data as --data",
        "the suite's command to make it: ssl-video data index ucfTrainTestlist --videos UCF-101 -o "
        "ucf101.arrow",
    )


def test_a_file_with_one_algorithm_needs_no_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN.format(name="mine"))
    shown = bench(*DATA, "--algo", file, "--results", tmp_path / "none", "--recipe", "scratch")
    assert "mine tiny3d 3 0 400" in shown
    spec = assemble.resolve(build({"algorithm": str(file)}), torch.device("cpu"))
    assert spec == assemble.resolve(build({"algorithm": f"{file}:mine"}), torch.device("cpu"))
    file.write_text(PLUGIN.format(name="mine") + PLUGIN.format(name="yours"))
    with pytest.raises(InputError, match=rf"several algorithms: give {file}:mine or {file}:yours"):
        bench(*DATA, "--algo", file)


def test_weights_that_are_nearly_a_word(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file pretraind; did you mean pretrained"):
        bench(*DATA, "--algo", "supervised", "--weights", "pretraind", "--results", tmp_path / "none")


def test_pseudo_labels_that_were_never_used_are_told() -> None:
    results = [
        result(algorithm="cmpl", pseudo_labels_used={"primary": 0.0, "auxiliary": 0.5}),
        result(algorithm="cmpl", pseudo_labels_used={"primary": 0.2, "auxiliary": 0.5}),
        result(algorithm="supervised", pseudo_labels_used={}),
        # Notes of the table report these.
        result(algorithm="fixmatch", pseudo_labels_used={"model": 0.0}),
        result(algorithm="uda", pseudo_labels_used={"model": 0.0}),
        result(algorithm="uda", pseudo_labels_used={"model": 0.1}),
        # This one is in no table.
        result(algorithm="freematch", pseudo_labels_used={"model": 0.0}, test=0),
    ]
    assert _unused(results) == [
        "cmpl used no pseudo-label of its network 'primary' in 1 of 2 runs: is its threshold too high?",
        "freematch used no pseudo-label of its network 'model' in 1 of 1 run: is its threshold too high?",
    ]


def test_a_data_set_of_two_sizes_is_introduced_once() -> None:
    index = make_index(["a/0.mp4", "a/1.mp4", "b/2.mp4", "b/3.mp4"])
    broken = {f"a/{n}.mkv": "empty (0 bytes)" for n in range(7)}

    def planned(size: int, note: str) -> Any:
        data = SimpleNamespace(index=index, broken=broken, size=size)
        return SimpleNamespace(data=data, partition=SimpleNamespace(notes=[note]))

    plans = [planned(64, "b has one clip"), planned(64, "all are labeled"), planned(96, "all are labeled")]
    assert _data_sets(plans) == [
        "small: 4 training and no test clips, 2 classes",
        "  b has one clip",
        "  all are labeled",
        *(f"  left out a/{n}.mkv: empty (0 bytes)" for n in range(5)),
        "  and 2 more, see left-out.txt of any run",
    ]


def test_training_has_to_be_asked_for() -> None:
    done = CliRunner().invoke(cli, ["train"])
    assert "Usage: cli train" in done.output
