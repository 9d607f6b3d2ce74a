"""Runs whose labeled batches are even over the classes, of three labeled clips, one and one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ssl_video as sv
from ssl_video.runs.folder import METRICS, run_folder
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, Stopped, run
from ssl_video.training.state import Training

MakePlan = Callable[..., Plan]
ONCE = Execution("cpu", checkpoint_seconds=1e9)


def imbalanced(make_plan: MakePlan, **values: object) -> Plan:
    """A plan of 8 steps whose labeled clips are three of the first class, one of each other one."""
    made = make_plan(algorithm="fixmatch", protocol="per-class:3", steps=8, labeled_batch=6, **values)
    rows, labels = made.partition.labeled, made.data.index.labels
    kept = [rows[labels[rows] == label][: 1 if label else 3] for label in range(3)]
    return Plan(made.spec, made.data, replace(made.partition, labeled=np.concatenate(kept)))


def counts(plan: Plan, folder: Path, **keywords: int) -> list[list[int]]:
    batches = Training(plan.spec, plan.data, plan.partition, folder, replace(ONCE, **keywords)).batches()
    return [torch.bincount(batch.labels, minlength=3).tolist() for batch in batches]


def test_a_run_reads_as_many_labeled_clips_of_every_class(make_plan: MakePlan, tmp_path: Path) -> None:
    even = counts(imbalanced(make_plan, balance=True), tmp_path)
    assert even == [[2, 2, 2]] * 8
    assert counts(imbalanced(make_plan, balance=True), tmp_path, workers=2) == even
    # Without it, 48 clips are nine epochs of 5 clips, 27 of them of the first class, and three more.
    left = np.sum(counts(imbalanced(make_plan), tmp_path), axis=0)
    assert left[0] >= 27


def test_only_labeled_clips_change(make_plan: MakePlan, tmp_path: Path) -> None:
    """Those of a class do not tell whether an unlabeled clip is of it."""
    for one, other in zip(
        *(Training(p.spec, p.data, p.partition, tmp_path, ONCE).batches()
          for p in (imbalanced(make_plan, balance=True), imbalanced(make_plan))),
        strict=True,
    ):  # fmt: skip
        assert torch.equal(one.indices, other.indices)
        assert torch.equal(one.unlabeled["strong"], other.unlabeled["strong"])


def test_a_stopped_run_equals_a_straight_one(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = imbalanced(make_plan, balance=True)
    straight, stopped = (run_folder(tmp_path / name, plan.name).path for name in ("straight", "stopped"))
    whole = run(plan, straight, ONCE)
    for _ in range(3):
        answers = iter([False, True])
        with pytest.raises(Stopped):
            run(plan, stopped, ONCE, stopping=lambda answers=answers: next(answers))  # type: ignore[misc]
    assert run(plan, stopped, ONCE).top1 == whole.top1
    assert (stopped / METRICS).read_bytes() == (straight / METRICS).read_bytes()


def test_batches_of_a_plain_loop(video_folder: Path, tmp_path: Path) -> None:
    """9 of 12 training clips, chosen without regard to classes: drawn evenly, and in the order of a run."""
    keys = {"protocol": "percent:75+global", "draw": 1, "frames": 2, "stride": 2, "size": 8}
    data = sv.load_data(str(video_folder), **keys, balance=True)
    labels = data.data.index.labels[data.partition.labeled]
    assert len(set(np.bincount(labels))) > 1
    algorithm = sv.create("fixmatch", data=data, width=0.125)
    read = [batch.labels for batch, _ in data.batches(algorithm, labeled=4, unlabeled=2, steps=6)]
    assert all(sorted(torch.bincount(some, minlength=3).tolist()) == [1, 1, 2] for some in read)
    rest = data.batches(algorithm, labeled=4, unlabeled=2, steps=6, start=4)
    assert [batch.labels.tolist() for batch, _ in rest] == [some.tolist() for some in read[4:]]
