"""What a benchmark runs on the demo's clips is what single runs are there."""

from dataclasses import replace

import pytest

from ssl_video.benchmarks.suite import load, with_demo_settings
from ssl_video.registry import algorithms
from ssl_video.spec import build

CELL = {"protocol": "per-class:3", "seed": 0}


@pytest.mark.parametrize("name", algorithms.builtin())
def test_a_run_on_the_demo_is_one_of_its_benchmark(name: str) -> None:
    """With the settings for its algorithm, too; otherwise it would be trained again."""
    suite = replace(load("demo"), algorithms=[name], protocols=["per-class:3"], seeds=1)
    assert [build(with_demo_settings({"algorithm": name, **CELL}))] == suite.specs()


def test_what_is_given_is_above_the_demo_s_settings() -> None:
    mine = {"algorithm": "actnetformer", "networks": {"auxiliary": {"width": 0.5}}}
    auxiliary = build(with_demo_settings(mine)).networks["auxiliary"]
    assert (auxiliary.backbone, auxiliary.width, auxiliary.frames) == ("timesformer_tiny", 0.5, 8)


def test_other_data_has_no_demo_settings() -> None:
    values = {"algorithm": "actnetformer", "data": "clips"}
    assert with_demo_settings(values) == values
