"""Runs of a fraction of a second on stored features, each test with a folder of its own for them."""

from pathlib import Path

import pytest
import torch
from helpers.small_runs import data, make_plan, make_training, plugin, small_spec, teacher_table

from ssl_video import backbones

__all__ = ["data", "make_plan", "make_training", "plugin", "small_spec", "teacher_table"]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of features of the test's own; frames stay where they are."""
    folder = tmp_path_factory.mktemp("features")
    monkeypatch.setattr("ssl_video.features.run.feature_folder", lambda: folder / "features")
    return folder / "features"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of random weights of the small network of these tests."""
    torch.manual_seed(4)
    network = backbones.create("tiny3d", 3, width=0.125, frames=2, size=8)
    file = tmp_path_factory.mktemp("weights") / "tiny.pt"
    torch.save(network.state_dict(), file)
    return str(file)
