"""The measurements of suggestions, on clips whose classes are far apart."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ssl_video.annotation.rules import RULES
from ssl_video.benchmarks.annotation import rules, wrong_labels
from ssl_video.benchmarks.annotation.data import LabeledClips, read, written
from ssl_video.errors import InputError


def clouds(count: int = 60, spread: float = 0.3) -> LabeledClips:
    """Clips of three classes, two of each source video."""
    generator, labels = np.random.default_rng(0), np.arange(count) // 2 % 3
    features = 5 * np.eye(8)[labels] + spread * generator.normal(size=(count, 8))
    return LabeledClips(features.astype(np.float32), labels, np.arange(count) // 2, ("a", "b", "c"))


def save(path: Path, clips: LabeledClips) -> Path:
    names = [
        f"/v/{clips.classes[k]}/x_g{s}_c{n}.mp4"
        for n, (k, s) in enumerate(zip(clips.labels, clips.sources, strict=True))
    ]
    labels = np.array(clips.classes)[clips.labels]
    np.savez(path, features=clips.features, labels=labels, paths=np.array(names))
    return path


def test_held_out_sources_are_three_tenths_of_each_class() -> None:
    clips = clouds()
    pool, held = rules.split(clips, np.random.default_rng(0))
    assert not set(pool.sources) & set(held.sources)
    assert len(pool.labels) + len(held.labels) == 60
    assert np.bincount(held.labels).tolist() == [6, 6, 6]


def test_rounds_of_labels() -> None:
    """Clips of classes that are far apart are right from the first; the gain of each rule is none."""
    found = rules.measure(clouds(), None, draws=2, rounds=2)
    assert found.labels == [3, 6, 9]
    assert list(found.accuracies) == list(RULES)
    assert all((scores == 1).all() and scores.shape == (2, 3) for scores in found.accuracies.values())
    assert not found.gains("badge").any()
    assert found.gains("badge").shape == (2, 3)  # two rounds and their mean
    assert rules.measure(clouds(), clouds(6), draws=2, rounds=1, number=5).labels == [3, 8]


def test_gains_are_paired_differences() -> None:
    found = rules.RuleAccuracies(
        [3, 6, 9], {"badge": np.array([[0.5, 0.75, 1]]), "random": np.array([[0.5, 0.5, 0.5]])}
    )
    assert found.gains("badge").tolist() == [[0.25, 0.5, 0.375]]
    with_two = rules.RuleAccuracies(
        [3, 6], {"badge": np.array([[0.5, 0.7], [0.5, 0.9]]), "random": np.full((2, 2), 0.5)}
    )
    # Differences of 20 and 40 points: mean 30, and 12.706 (t, one degree of freedom) times 10.
    assert "| badge | +30.0 ± 127.1 | +30.0 ± 127.1 |" in rules.table(with_two)


def test_an_interval() -> None:
    """1, 2, 3, 4: standard deviation 1.290994, half width 3.182446 * 1.290994 / 2."""
    assert written(np.array([1.0, 2, 3, 4]), "+.3f") == "+2.500 ± 2.054"


def test_planted_labels_are_wrong() -> None:
    labels = np.arange(30) % 3
    changed, planted = wrong_labels.plant(labels, 3, 7, np.random.default_rng(0))
    assert planted.sum() == 7
    assert ((changed != labels) == planted).all()


def test_planted_labels_are_found_first() -> None:
    found = wrong_labels.measure(clouds(), draws=2, size=40, wrong=0.1)
    first = found.precision["suspected"]
    assert first.shape == (2, 5)
    assert first[:, 0].tolist() == [0.8, 0.8]  # four wrong labels among the first five
    assert (found.recall["suspected"] == 1).all()
    assert (found.sets["suspected"][:, 2] == 1).all()


def test_the_scripts_print_tables(tmp_path: Path) -> None:
    file = str(save(tmp_path / "clips.npz", clouds()))
    done = CliRunner().invoke(
        rules.main, [file, "--test", file, "--source", "_g[0-9]+", "--draws", "2", "--rounds", "1"]
    )
    assert done.exit_code == 0, done.output
    assert "| badge | 100.0 | 100.0 | |" in done.output
    done = CliRunner().invoke(wrong_labels.main, [file, "--draws", "2", "--size", "40"])
    assert done.exit_code == 0, done.output
    assert "| random | 10 | 10 | 10 | 10 | 10 |" in done.output


def test_sources_by_names(tmp_path: Path) -> None:
    clips = clouds()
    file = save(tmp_path / "clips.npz", clips)
    found = read(file, "_g[0-9]+")
    assert found.classes == clips.classes
    np.testing.assert_array_equal(found.sources[::2], found.sources[1::2])
    assert len(set(found.sources)) == 30
    assert len(set(read(file).sources)) == 60


def test_files_that_are_none(tmp_path: Path) -> None:
    file = save(tmp_path / "clips.npz", clouds())
    with pytest.raises(InputError, match="clips of 3 classes"):
        read(file, classes=("a", "b"))
    np.savez(tmp_path / "other.npz", a=np.zeros(2))
    with pytest.raises(InputError, match="is not a file of ssl-video features"):
        read(tmp_path / "other.npz")
    with pytest.raises(InputError, match="write it with ssl-video features"):
        read(tmp_path / "absent.npz")
