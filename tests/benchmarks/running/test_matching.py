"""Steps at equal cost, against numbers worked by hand."""

import itertools
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from ssl_video import Batch, LossOutput, algorithm
from ssl_video.algorithms.supervised import Supervised
from ssl_video.benchmarks.running import costs, matching, prepare
from ssl_video.benchmarks.tables.naming import labels
from ssl_video.errors import InputError
from ssl_video.networks import devices
from ssl_video.networks.devices import Gpu
from ssl_video.networks.random_batch import random_batch
from ssl_video.spec import CELL, NetworkSpec, Spec, build, configuration, plain, setting

CPU = torch.device("cpu")
SMALL = {"frames": 4, "size": 16, "steps": 100, "labeled_batch": 2, "unlabeled_batch": 6}


def specs(*algorithms: str, **more: Any) -> list[Spec]:
    return prepare.resolve([build({**SMALL, "algorithm": name, **more}) for name in algorithms], CPU)


def steps(found: list[Spec]) -> list[tuple[int, str | None]]:
    return [(spec.steps, spec.match) for spec in found]


def cost(monkeypatch: pytest.MonkeyPatch, kind: str, **of: float) -> None:
    monkeypatch.setattr(costs, kind, lambda spec, *_: of[spec.algorithm])


def test_equal_steps_change_nothing(tmp_path: Path) -> None:
    given = specs("supervised", "cmpl")
    assert matching.matched(given, "steps", tmp_path, CPU) == given


def test_equal_clips(tmp_path: Path) -> None:
    """The costliest reads 2 + 6 videos in each of 100 steps; of 2 each, 800 are 400 steps."""
    found = matching.matched(specs("supervised", "fixmatch", "cmpl"), "clips", tmp_path, CPU)
    assert steps(found) == [(400, "clips:800"), (100, "clips:800"), (100, "clips:800")]
    assert len({setting(spec) for spec in found}) == 1
    # A budget that was given is the same, whichever methods there are: 800 of 8 videos.
    assert matching.matched(specs("fixmatch"), "clips:800", tmp_path, CPU) == [found[1]]
    assert steps(matching.matched(specs("supervised"), "clips:7", tmp_path, CPU)) == [(4, "clips:7")]
    assert steps(matching.matched(specs("fixmatch"), "clips:3", tmp_path, CPU)) == [(1, "clips:3")]


def test_equal_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 steps of 0.7 are 70; 70 / 0.3 = 233.3 and 70 / 0.45 = 155.6 steps."""
    cost(monkeypatch, "gigaoperations", supervised=0.3, fixmatch=0.45, cmpl=0.7)
    found = matching.matched(specs("supervised", "fixmatch", "cmpl"), "forwards", tmp_path, CPU)
    assert steps(found) == [(233, "forwards:70"), (156, "forwards:70"), (100, "forwards:70")]


def test_operations_are_those_of_the_networks() -> None:
    """Supervised-only passes 2 clips, FixMatch 2 + 6 with gradient and 6 without."""
    supervised, fixmatch = map(costs.gigaoperations, specs("supervised", "fixmatch"))
    # A pass without gradient is about a third of one with it: (8 + 6 / 3) / 2 = 5.
    assert fixmatch / supervised == pytest.approx(5, rel=0.1)


def test_a_method_that_takes_no_few_clips_is_told_what_needs_none(tmp_path: Path) -> None:
    @algorithm("picky")
    class Picky(Supervised):
        """Takes eleven clips."""

        def loss(self, batch: Batch, progress: float) -> LossOutput:
            if len(batch.labels) != 11:
                raise ValueError(f"{len(batch.labels)} clips are not eleven\nof them")
            return super().loss(batch, progress)

    (spec,) = specs("picky", labeled_batch=11)
    for kind in ("forwards", "seconds"):
        with pytest.raises(
            InputError, match=r"^picky: .* \(ValueError: . clips are not eleven\); --match clips"
        ):
            matching.matched([spec], kind, tmp_path, CPU)
    assert steps(matching.matched([spec], "clips", tmp_path, CPU)) == [(100, "clips:1100")]
    (misspelt,) = specs("supervised")
    with pytest.raises(InputError, match="unknown backbone"):
        costs.gigaoperations(
            misspelt.model_copy(
                update={"networks": {"model": NetworkSpec(backbone="tiny2d", width=1, frames=4)}}
            )
        )


def test_the_costliest_of_its_own_setting_decides(tmp_path: Path) -> None:
    """What is compared has the same backbone: others have a budget of their own."""
    given = [*specs("supervised", "fixmatch"), *specs("supervised", steps=50, learning_rate=0.1)]
    found = matching.matched(given, "clips", tmp_path, CPU)
    assert steps(found) == [(400, "clips:800"), (100, "clips:800"), (50, "clips:100")]
    assert setting(found[0]) != setting(found[2])


def test_seconds_are_measured_once_for_a_results_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 steps of 0.5 s are 50 s, or 250 steps of 0.2 s."""
    results, given = tmp_path / "results", specs("supervised", "fixmatch")
    cost(monkeypatch, "seconds", supervised=0.2, fixmatch=0.5)
    first = matching.matched(given, "seconds", results, CPU)
    assert steps(first) == [(250, "seconds:50"), (100, "seconds:50")]
    cost(monkeypatch, "seconds", supervised=0.3, fixmatch=0.3, cmpl=1.0)
    assert matching.matched(given, "seconds", results, CPU) == first
    # A costlier method needs another budget, and leaves the others' seconds: 100 / 0.2 and 100 / 0.5.
    third = matching.matched([*given, *specs("cmpl")], "seconds", results, CPU)
    assert [spec.steps for spec in third] == [500, 200, 100]


def test_another_gpu_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known by its name, for two GPUs are both "cuda"; the number of a GPU does not matter."""
    gpus = iter(["Tesla T4", "Tesla T4", "NVIDIA H100"])
    monkeypatch.setattr(devices, "gpu", lambda _: Gpu(next(gpus), (7, 5), "Cudnn", "torch"))
    found = []
    for number, seconds in enumerate((0.5, 0.3, 0.1)):
        cost(monkeypatch, "seconds", fixmatch=seconds)
        device = torch.device("cuda", number)
        found += matching.matched(specs("fixmatch"), "seconds:10", tmp_path, device)
    assert [spec.steps for spec in found] == [20, 20, 100]


def test_measured_seconds_are_of_the_whole_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of 6 clips that takes a second makes one of 8 videos 4/3 s, and one of 2 labeled ones 1/3 s."""
    clock = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    seen = list[tuple[int, int]]()
    monkeypatch.setattr(costs, "random_batch", lambda *a, **k: seen.append(a[1:3]) or random_batch(*a, **k))
    assert [costs.seconds(spec, CPU) for spec in specs("fixmatch", "supervised")] == [8 / 6, 2 / 6]
    # In the proportion of 2 to 6, as far as 6 clips allow.
    assert seen == [(2, 4), (6, 0)]


def test_a_measured_step_on_stored_features_is_the_runs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On all clips of the run, as features, and not scaled. With no copies it is one on clips."""
    (tmp_path / "never-read.pt").touch()
    clock, seen = itertools.count(), list[Batch]()
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))

    def noted(*arguments: Any, **values: Any) -> Batch:
        seen.append(random_batch(*arguments, **values))
        return seen[-1]

    monkeypatch.setattr(costs, "random_batch", noted)
    probe: dict[str, Any] = {"probe": "linear", "labeled_batch": 3, "unlabeled_batch": 9}
    probe["weights"] = str(tmp_path / "never-read.pt")
    (stored,), (pixels,) = specs("fixmatch", **probe), specs("fixmatch", **probe, feature_copies=0)
    assert [costs.seconds(spec, CPU) for spec in (stored, pixels)] == [1, 2]
    assert [batch.unlabeled["strong"].shape[0] for batch in seen] == [9, 4]
    assert [batch.unlabeled["strong"].ndim for batch in seen] == [2, 5]
    assert costs.gigaoperations(stored) < 0.01 * costs.gigaoperations(pixels)


def test_a_match_again_gives_the_same_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the digits of the budget: here 1/3 * 100."""
    cost(monkeypatch, "gigaoperations", supervised=1 / 7, cmpl=1 / 3)
    first = matching.matched(specs("supervised", "cmpl"), "forwards", tmp_path, CPU)
    assert steps(first) == [(233, "forwards:33.3333"), (100, "forwards:33.3333")]
    again = matching.matched(specs("supervised", "cmpl"), "forwards:33.3333", tmp_path, CPU)
    assert again == first
    assert [build(plain(spec)) for spec in first] == first


@pytest.mark.parametrize("text", ["clip", "clips:", "clips:0", "steps:5", "seconds:-1", "clips:1e5", ""])
def test_what_is_no_match(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="expected steps, clips, forwards or seconds"):
        matching.matched(specs("cmpl"), text, tmp_path, CPU)


def test_tables_name_the_budget_once_and_not_the_steps(tmp_path: Path) -> None:
    variants = [*specs("cmpl"), *specs("cmpl", unlabeled_batch=2)]
    found = matching.matched([*specs("supervised"), *variants], "clips", tmp_path, CPU)
    rows = [
        {"algorithm": spec.algorithm, "setting": setting(spec), "configuration": configuration(spec)}
        | {"spec": {key: value for key, value in plain(spec).items() if key not in CELL}}
        for spec in found
    ]
    names, notes = labels(pd.DataFrame(rows))
    assert names == ["supervised", "cmpl unlabeled_batch=6", "cmpl unlabeled_batch=2"]
    assert notes == [
        "matched by clips:800, so steps differ: supervised 400, cmpl unlabeled_batch=6 100, "
        "cmpl unlabeled_batch=2 200"
    ]
