"""`ssl-video evaluate`."""

import csv
import json
import shutil
from pathlib import Path

from helpers.command_line import TINY, Call


def test_evaluate_gives_the_runs_own_numbers(run: Path, call: Call) -> None:
    done = call("evaluate", run, "--json", cwd=run)
    assert done.returncode == 0, done.stderr
    assert (
        json.loads(done.stdout)["predictors"] == json.loads((run / "result.json").read_text())["predictors"]
    )


def test_two_classes_have_no_top5(run: Path, call: Call) -> None:
    """Every guess would be right: nothing is shown in its place, as in leaderboard.csv."""
    done = call("evaluate", run, cwd=run)
    rows = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.startswith("│")]
    assert rows
    assert {row[2].strip() for row in rows} == {"–"}
    result = json.loads((run / "result.json").read_text())
    assert result["top5"] is None
    assert [scores["top5"] for scores in result["predictors"].values()] == [None] * len(rows)


def test_a_checkpoint_of_other_classes(run: Path, call: Call, tmp_path: Path) -> None:
    for label in ("dark", "bright", "grey"):
        for number in range(4):
            target = tmp_path / "other" / label / f"{number}.mp4"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"x")
    done = call("evaluate", run, "--data", tmp_path / "other", cwd=tmp_path)
    assert done.returncode == 2
    assert "has 2 classes" in done.stderr
    assert "bright, grey" in done.stderr


def test_clips_of_another_folder_are_all_tested_and_counted(
    run: Path, dataset: Path, call: Call, tmp_path: Path
) -> None:
    for label in ("dark", "light"):
        shutil.copytree(dataset / "train" / label, tmp_path / "camera" / label)
    done = call("evaluate", run, "--data", tmp_path / "camera", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["test"] == 16
    assert "note: no split is given: all 16 labeled clips are tested" in done.stderr
    # A part for testing alone, and a single class of it.
    shutil.rmtree(tmp_path / "camera" / "light")
    shutil.copytree(dataset / "test" / "light", tmp_path / "later" / "test" / "light")
    for data, count in (("camera", 8), ("later", 4)):
        done = call("evaluate", run, "--data", tmp_path / data, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"{data}, test clips: {count}" in done.stdout


def test_tables_of_classes_confusions_and_clips(run: Path, call: Call, tmp_path: Path) -> None:
    """They agree with each other and with the accuracies, in more views than the run had."""
    flags = ("--per-class", "--reliability", "--test-clips", "3", "--test-crops", "3")
    files = ("--confusion", "confusion.csv", "--predictions", "predictions.csv")
    done = call("evaluate", run, *flags, *files, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (
        "note: not calibrated: the run has no validation clips (--validation 0.2, or --folds 5)"
        in done.stderr
    )
    found = json.loads(done.stdout)
    with (tmp_path / "predictions.csv").open() as file:
        said = list(csv.DictReader(file))
    with (tmp_path / "confusion.csv").open() as file:
        confusion = list(csv.DictReader(file))
    assert len(said) == 8 * len(found["predictors"])
    for name, scores in found["predictors"].items():
        right = [row["label"] == row["true_label"] for row in said if row["predictor"] == name]
        assert sum(right) / len(right) == scores["top1"]
        rows = [row for row in confusion if row["predictor"] == name]
        assert sum(int(row[row["true_label"]]) for row in rows) == sum(right)
        recalls = [row["recall"] for row in found["per_class"] if row["predictor"] == name]
        assert sum(recalls) / 2 == scores["mean_class"]
        bins = [row for row in found["calibration"]["reliability"] if row["predictor"] == name]
        assert sum(row["clips"] for row in bins) == 8
    shown = call("evaluate", run, *flags, cwd=tmp_path)
    first = next(iter(found["predictors"]))
    assert f"{first}, by class" in shown.stdout
    assert f"{first}, clips by probability" in shown.stdout
    assert [" dark " in shown.stdout, " light " in shown.stdout] == [True, True]


def test_more_views_are_others(run: Path, call: Call, tmp_path: Path) -> None:
    """Their number is that which is given: probabilities differ from those of the run's views."""
    texts = []
    for number in ("1", "5"):
        done = call("evaluate", run, "--test-clips", number, "--predictions", "said.csv", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        texts.append((tmp_path / "said.csv").read_text())
    assert texts[0] != texts[1]


def test_a_place_that_cannot_be_written_is_named_before_the_test(
    run: Path, call: Call, tmp_path: Path
) -> None:
    done = call("evaluate", run, "--confusion", "absent/confusion.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot write absent/confusion.csv: there is no folder absent" in done.stderr


def test_clips_without_a_label_and_clips_that_cannot_be_read(
    run: Path, dataset: Path, call: Call, tmp_path: Path
) -> None:
    for label in ("dark", "light"):
        shutil.copytree(dataset / "test" / label, tmp_path / "camera" / label)
    shutil.copytree(dataset / "test" / "dark", tmp_path / "camera" / "unlabeled")
    (tmp_path / "camera" / "dark" / "broken.mp4").write_text("no video")
    done = call("evaluate", run, "--data", "camera", cwd=tmp_path)
    assert done.returncode == 2
    assert "1 of 13 videos cannot be decoded:" in done.stderr
    assert "dark/broken.mp4: " in done.stderr
    done = call("evaluate", run, "--data", "camera", "--skip-broken", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["test"] == 8
    assert "note: 1 clip that cannot be read is left out: dark/broken.mp4: " in done.stderr
    shutil.copytree(dataset / "test" / "dark", tmp_path / "later" / "unlabeled")
    done = call("evaluate", run, "--data", "later", cwd=tmp_path)
    assert done.returncode == 2
    assert "later has no clip with a label to compare the model's with; predict labels its" in done.stderr


def test_a_run_on_all_labels_shows_what_its_folds_found(dataset: Path, call: Call, tmp_path: Path) -> None:
    done = call("train", "--data", dataset, "--folds", "2", *TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "expected top-1 " in done.stdout
    (path,) = (
        file.parent
        for file in tmp_path.glob("*/runs/*/result.json")
        if '"expected_by_fold": []' not in file.read_text()
    )
    expected = json.loads((path / "result.json").read_text())["expected_accuracies"]
    done = call("evaluate", path, "--json", "--confusion", "confusion.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["predictors"] == expected
    assert content["dataset"] == dataset.name
    assert content["test"] == 16, "the test part of the data is not used with folds"
    rows = list(csv.DictReader((tmp_path / "confusion.csv").open()))
    assert sum(int(row[label]) for row in rows for label in ("dark", "light")) == 16 * len(expected)
    done = call("evaluate", path, "--test-clips", "2", "--skip-broken", cwd=tmp_path)
    assert done.returncode == 2
    assert "--test-clips and --skip-broken: the outputs of a cross-validation are shown as" in done.stderr
