"""Training with videos that have no label: the same from every source, and never with a label."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import encode
from helpers.command_line import TINY, Done, call_here

import ssl_video as sv

KEYS: dict[str, Any] = {
    "frames": 4, "stride": 2, "size": 16, "width": 0.5, "steps": 4, "labeled_batch": 2, "unlabeled_batch": 4,
    "test_clips": 1, "options": {"threshold": 0.0},
}  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders with four videos each, and seven videos of a third colour without a label."""
    root = tmp_path_factory.mktemp("work") / "lab"
    for label, name in enumerate(("run", "walk")):
        for clip in range(4):
            encode(root / name / f"{clip}.mkv", 12, label=label, clip=clip)
    for clip in range(7):
        encode(root / "unlabeled" / f"day{clip % 2}" / f"{clip}.mkv", 12, label=2, clip=clip)
    return root


def call(*arguments: object, cwd: Path) -> Done:
    """Run a command in the process of the test."""
    return call_here(dict(os.environ), *arguments, cwd=cwd)


def apart(lab: Path, to: Path) -> tuple[Path, Path]:
    """Return copies of the labeled and of the unlabeled videos, in folders of their own."""
    shutil.copytree(lab, to / "lab", ignore=shutil.ignore_patterns("unlabeled"))
    shutil.copytree(lab / "unlabeled", to / "archive")
    return to / "lab", to / "archive"


def trained(results: Path, data: Path, **more: Any) -> tuple[sv.RunFolder, dict[str, torch.Tensor]]:
    run = sv.train("fixmatch", data=str(data), results=results, progress=False, **{**KEYS, **more})
    return run, {name: tensor.clone() for name, tensor in run.model().module.state_dict().items()}


@pytest.mark.slow
def test_training_is_the_same_from_every_source(lab: Path, tmp_path: Path) -> None:
    """Bit for bit: from a folder inside, a folder elsewhere, a list of files, a manifest of all."""
    inside, expected = trained(tmp_path / "inside", lab)
    result = inside.result
    assert (result.protocol, result.labeled, result.unlabeled, result.without_label, result.test) == (
        "all", 8, 7, 7, 0,
    )  # fmt: skip
    own, archive = apart(lab, tmp_path)
    names = sorted(file.relative_to(archive).as_posix() for file in archive.rglob("*.mkv"))
    (archive / "list.txt").write_text("\n".join(names))
    rows = [f"{file.relative_to(lab).as_posix()},{file.parent.name}" for file in lab.glob("[rw]*/*.mkv")]
    rows += [f"{file.relative_to(lab).as_posix()}," for file in lab.rglob("unlabeled/**/*.mkv")]
    (lab.parent / "lab.csv").write_text("\n".join(["path,label", *rows]))
    for number, (data, more) in enumerate(
        (
            (own, {"unlabeled": str(archive)}),
            (own, {"unlabeled": [str(archive / "list.txt")]}),
            (lab.parent / "lab.csv", {"root": str(lab)}),
        )
    ):
        run, weights = trained(tmp_path / f"{number}", data, **more)
        assert weights.keys() == expected.keys()
        for name, tensor in weights.items():
            assert torch.equal(tensor, expected[name]), (name, data)
        assert run.result.fingerprint == result.fingerprint
    # The clips matter: without them the network is another.
    _, alone = trained(tmp_path / "alone", own, protocol="per-class:2")
    assert any(not torch.equal(alone[name], expected[name]) for name in expected)


@pytest.mark.slow
def test_the_labels_of_unlabeled_clips_are_nowhere(lab: Path, tmp_path: Path) -> None:
    """A label that somebody forgot in the source changes no weight, and no accuracy counts its clip."""
    own, archive = apart(lab, tmp_path)
    names = sorted(file.relative_to(archive).as_posix() for file in archive.rglob("*.mkv"))
    found = []
    for number, label in enumerate(("run", "secret", "")):
        (archive / "m.csv").write_text("\n".join(["path,label", *(f"{name},{label}" for name in names)]))
        run, weights = trained(tmp_path / f"{number}", own, unlabeled=[str(archive / "m.csv")])
        found.append(weights)
        labels = run.pseudo_labels
        assert set(labels.truths.tolist()) == {-1}
        assert labels.classes.tolist() == ["run", "walk"]
        assert not any(b"secret" in file.read_bytes() for file in run.path.iterdir())
        precisions = [key for key in run.metrics if key.startswith("precision")]
        assert precisions
        assert run.metrics[precisions].isna().all(axis=None), "no clip can be right or wrong"
    for weights in found[1:]:
        assert all(torch.equal(weights[name], tensor) for name, tensor in found[0].items())
    audited = call("analyze", "audit", run.path, cwd=tmp_path)
    assert audited.returncode == 2
    assert "stores no pseudo-labels that can be checked" in audited.stderr


def test_load_data_and_its_batches(lab: Path, tmp_path: Path) -> None:
    own, archive = apart(lab, tmp_path)
    keys = {"size": 8, "frames": 2, "stride": 2}
    inside = sv.load_data(str(lab), **keys)
    outside = sv.load_data(str(own), unlabeled=str(archive), **keys)
    assert (
        inside.unlabeled
        == outside.unlabeled
        == [f"unlabeled/day{n % 2}/{n}.mkv" for n in (0, 2, 4, 6, 1, 3, 5)]
    )
    assert (len(inside.labeled), inside.test, inside.classes) == (8, [], ("run", "walk"))
    assert inside.spec.protocol == "all"
    algorithm = sv.create("fixmatch", data=inside, width=0.125)
    seen = set[int]()
    for batch, _ in inside.batches(algorithm, labeled=2, unlabeled=7, steps=2):
        assert set(batch.labels.tolist()) <= {0, 1}
        seen |= set(batch.indices.tolist())
    assert seen == set(range(7))
    tested = sv.load_data(str(lab), **keys, folds=2)
    assert set(sv.evaluate(algorithm, tested)) == {"model"}


def test_hidden_labels_come_first_and_partition_files_know_both(lab: Path, tmp_path: Path) -> None:
    made = sv.data.make_partition(str(lab), tmp_path / "p.txt", protocol="per-class:1")
    index, partition = made.index, made.partition
    hidden, without = partition.unlabeled[:6], partition.unlabeled[6:]
    assert (index.labels[hidden] >= 0).all()
    assert (index.labels[without] == -1).all()
    assert len(without) == 7
    again = sv.data.make_partition(str(lab), protocol=str(tmp_path / "p.txt")).partition
    assert again.fingerprint == partition.fingerprint
    np.testing.assert_array_equal(again.unlabeled, partition.unlabeled)
    assert "# unlabeled: 13" in (tmp_path / "p.txt").read_text()
    assert made.parts["unlabeled"].summary.clips == 13
    frame = made.to_frame()
    assert frame[frame["id"].str.startswith("unlabeled/")]["label"].unique().tolist() == [""]


@pytest.mark.parametrize("protocol", ["list:one.txt", "column:chosen"])
def test_a_protocol_that_labels_a_clip_without_a_class(lab: Path, tmp_path: Path, protocol: str) -> None:
    (tmp_path / "one.txt").write_text("unlabeled/day0/0.mkv run\nrun/0.mkv run\n")
    rows = [f"{file.relative_to(lab).as_posix()},{file.parent.name},0" for file in lab.glob("[rw]*/*.mkv")]
    rows.append("unlabeled/day0/0.mkv,,1")
    (tmp_path / "m.csv").write_text("\n".join(["path,label,chosen", *rows]))
    if protocol.startswith("list"):
        protocol = f"list:{tmp_path / 'one.txt'}"
    with pytest.raises(sv.InputError, match=r"clips? without a class: 'unlabeled/day0/0\.mkv'"):
        sv.data.make_partition(str(tmp_path / "m.csv"), root=str(lab), protocol=protocol)


def test_the_commands(lab: Path, tmp_path: Path) -> None:
    own, archive = apart(lab, tmp_path)
    made = call("data", "index", own, "--unlabeled", archive, "-o", "all.arrow", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "unlabeled       7" in made.stdout
    assert "ssl-video bench --data all.arrow --algo cmpl --folds 5\n" in made.stdout
    shown = call("data", "partition", "show", "all.arrow", "--protocol", "all", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "all, draw 0" in shown.stdout
    both = ("--data", own, "--unlabeled", archive / "day0", "--unlabeled", archive / "day1/1.mkv")
    folds = ("--folds", 2, "--draws", 1, "--no-baseline")
    done = call("bench", *both, *folds, "--algo", "fixmatch", *TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "lab: 8 labeled and 5 unlabeled clips, 2 classes" in done.stderr
    assert "lab all (2 folds): 4 labeled, 5 unlabeled" in " ".join(done.stdout.split())
    (run,) = (tmp_path / "ssl-video-results/runs").glob("fixmatch-*")
    assert "unlabeled:" in (run / "spec.yaml").read_text()
    # What was not labeled is not needed to test the model.
    shutil.rmtree(archive)
    tested = call("evaluate", run, cwd=tmp_path)
    assert tested.returncode == 0, tested.stderr
    lost = call("bench", *both, *folds, "--algo", "fixmatch", *TINY, cwd=tmp_path)
    assert lost.returncode == 2
    assert "archive/day0" in lost.stderr


@pytest.mark.slow
def test_folds_are_draws_of_a_table(lab: Path, tmp_path: Path) -> None:
    done = call("bench", "--data", lab, "--algo", "fixmatch", "--folds", 2, *TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "lab: 8 labeled and 7 unlabeled clips, 2 classes" in done.stderr
    assert done.stderr.count("a run tests one of 2 folds of the labeled clips, by whole clips") == 1
    assert "all (2 folds)" in done.stdout
    frame = sv.read_results(tmp_path / "ssl-video-results").frame
    assert sorted(zip(frame["algorithm"], frame["draw"], frame["seed"], strict=True)) == [
        ("fixmatch", 0, 0), ("fixmatch", 1, 0), ("supervised", 0, 0), ("supervised", 1, 0),
    ]  # fmt: skip
    assert (set(frame["labeled"]), set(frame["test"]), set(frame["unlabeled"])) == ({4}, {4}, {7})
    assert len(set(frame["dataset_fingerprint"])) == 1
    assert len(set(frame["fingerprint"])) == 2
    # Each labeled clip is tested in one of the folds.
    runs = [sv.open_run(tmp_path / "ssl-video-results/runs" / name) for name in frame["run"]]
    tested = [clip for run in runs if run.result.algorithm == "fixmatch" for clip in run.predictions.clips]
    assert sorted(tested) == sorted(f"{label}/{n}.mkv" for label in ("run", "walk") for n in range(4))
    again = call("evaluate", runs[0].path, "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)["predictors"]["model"]["top1"]
    assert found == pytest.approx(runs[0].result.top1), "on the clips of its own fold"


def test_broken_clips_are_listed_beside_their_source(lab: Path, tmp_path: Path) -> None:
    own, archive = apart(lab, tmp_path)
    (archive / "bad.mkv").write_bytes(b"this is no video" * 100)
    given = {"unlabeled": str(archive), "size": 8, "frames": 2, "stride": 2}
    with pytest.raises(sv.InputError, match=r"unlabeled/bad\.mkv"):
        sv.load_data(str(own), **given)
    assert len(sv.load_data(str(own), **given, skip_broken=True).unlabeled) == 7
    assert "bad.mkv" in (tmp_path / "archive.quarantine.csv").read_text()
    assert not (tmp_path / "lab.quarantine.csv").exists()
    # Listed, it is left out without a flag; another source's file of this name is not.
    assert len(sv.load_data(str(own), **given).unlabeled) == 7
    (tmp_path / "other").mkdir()
    shutil.copy(archive / "day0/0.mkv", tmp_path / "other/bad.mkv")
    other = sv.load_data(str(own), **given | {"unlabeled": str(tmp_path / "other")})
    assert other.unlabeled == ["unlabeled/bad.mkv"]
