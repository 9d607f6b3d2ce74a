"""What a training step costs: parts that add up, operations, and the textbook step beside it."""

from pathlib import Path

import pytest
import torch
from torch import nn

from ssl_video.benchmarks.speed import step as speed_step
from ssl_video.data.dataset import load
from ssl_video.spec import build
from ssl_video.training.execution import Execution
from ssl_video.training.run import plan
from ssl_video.training.state import Training


def test_operations_are_counted_as_the_papers_do() -> None:
    """A linear layer 3 -> 2 on 5 rows: 5 * 3 * 2 multiply-adds, two operations each."""
    layer = nn.Linear(3, 2, bias=False)
    assert speed_step._flops(lambda: layer(torch.zeros(5, 3))) == 2 * 5 * 3 * 2


def test_share_of_a_gpus_peak() -> None:
    assert speed_step.fraction_of_peak(98.9e12, "NVIDIA H100 80GB HBM3") == pytest.approx(0.1)
    assert speed_step.fraction_of_peak(36.2e12, "NVIDIA L40S") == pytest.approx(0.1)
    assert speed_step.fraction_of_peak(1e12, "Quadro") is None


def test_a_step_is_measured_beside_a_textbook_one(
    video_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_VIDEO_CACHE", str(tmp_path / "cache"))
    values = {"algorithm": "cmpl", "data": str(video_folder), "protocol": "per-class:2", "width": 0.25}
    small = {"frames": 2, "stride": 2, "size": 16, "labeled_batch": 3, "unlabeled_batch": 4, "steps": 9}
    spec = build(values | small)
    cpu = torch.device("cpu")
    data = load(spec)
    made = plan(speed_step.assemble.resolve(spec, cpu), data, cpu)
    run = Training(made.spec, made.data, made.partition, tmp_path, Execution("cpu", threads=1))
    textbook = speed_step.textbook_fixmatch(run, tmp_path)
    assert textbook.spec.algorithm == "fixmatch"
    assert textbook.algorithm.passes == "joint"
    assert all(p.is_contiguous() for p in textbook.algorithm.parameters())
    cost = speed_step.measure(run, repeat=3, textbook=textbook)
    assert len(cost.steps) == len(cost.textbook) == 3
    assert 0 < cost.augmentation < cost.data < cost.total
    assert cost.total == pytest.approx(cost.data + cost.networks + cost.rest)
    assert cost.clips == 7
    assert cost.flops > 0
    assert 0 < cost.kept < cost.peak
    assert (
        speed_step.measure(
            Training(made.spec, made.data, made.partition, tmp_path, Execution("cpu")), 2
        ).textbook
        == ()
    )
