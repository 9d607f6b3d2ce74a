"""`ssl-video train`."""

from pathlib import Path

import pytest
from helpers.command_line import TINY, Call, results

from ssl_video.benchmarks.running.suite import merge
from ssl_video.cli import options, train
from ssl_video.spec import AugmentationSpec, build, read_yaml


def test_train_from_a_file_is_the_same_run_as_in_the_benchmark(bench: Path, run: Path, call: Call) -> None:
    done = call("train", run / "spec.yaml", cwd=bench)
    assert done.returncode == 0, done.stderr
    assert "1 run, 1 of them already finished" in " ".join(done.stderr.split())


@pytest.mark.parametrize("resume", [False, True])
def test_what_the_file_makes_useless_is_refused(run: Path, call: Call, resume: bool) -> None:
    there = ["--resume", run, "--set", "width=0.25"] if resume else [run / "spec.yaml", "--width", "0.25"]
    done = call("train", *there, cwd=run)
    assert done.returncode == 2
    assert "--set networks.model.width=0.25" in done.stderr


def test_a_typo_in_a_file_is_named_with_the_nearest_key(call: Call, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("algorithm: fixmatch\nlearning_rat: 0.1\nstep: 3\n")
    done = call("train", "run.yaml", cwd=tmp_path)
    assert done.returncode == 2
    for word in ("'learning_rat'", "learning_rate", "'step'", "steps"):
        assert word in done.stderr


def test_flags_of_keys_inside_a_key(tmp_path: Path) -> None:
    """A flag changes its own key and leaves those of the file that it does not name."""
    file = tmp_path / "run.yaml"
    file.write_text("augmentation:\n  cutout: 0\n  flip: 1\n")
    flags = options.given(
        train.command.make_context(
            "train", ["--augmentation.flip", "0", "--augmentation.area", "1", str(file)]
        ).params
    )
    assert flags["augmentation"] == {"flip": "0", "area": "1"}
    spec = build(merge(read_yaml(file), {"augmentation": flags["augmentation"]}))
    assert spec.augmentation == AugmentationSpec(flip=0, area=1, cutout=0)


def test_the_log_names_the_weights_that_a_run_started_from(
    run: Path, dataset: Path, call: Call, tmp_path: Path
) -> None:
    weights = run / "final.safetensors"
    flags = ("--protocol", "per-class:2", "--weights", weights, *TINY)
    done = call("train", "--data", dataset, *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (record,) = results(tmp_path)
    notes = [line for line in (record.parent / "log.txt").read_text().splitlines() if "tensors" in line]
    assert len(notes) == 1
    assert f"tensors loaded from {weights}" in notes[0]
