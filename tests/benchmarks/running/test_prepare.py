"""From specifications to plans: what is opened, and what is refused before a video is decoded."""

import shutil
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from helpers.input_errors import problems

from ssl_video.benchmarks.running import prepare
from ssl_video.spec import Spec, build, configuration, setting
from ssl_video.training.execution import Execution
from ssl_video.training.run import plan

CPU, ALONE = torch.device("cpu"), Execution("cpu")
SMALL = {"protocol": "per-class:2", "frames": 4, "stride": 1, "size": 16, "steps": 2}


def spec(folder: Path, **more: Any) -> Spec:
    return build({**SMALL, "data": str(folder), **more})


def test_each_frame_format_and_size_has_frames_of_its_own(video_folder: Path) -> None:
    """Short sides for crops of 16 and 32 px: 16 * 8 / 7 = 18, 32 * 8 / 7 = 37."""
    settings = [("raw", 16), ("jpeg", 16), ("jpeg", 32), ("raw", 16)]
    plans = prepare.plans([spec(video_folder, frame_format=f, size=s, seed=0) for f, s in settings], ALONE)
    stores = [plan.data.store for plan in plans]
    assert [(s.frame_format, s.short_side) for s in stores] == [
        *(("raw", 18), ("jpeg", 18), ("jpeg", 37), ("raw", 18)),
    ]
    assert stores[0] is stores[3]


def test_each_rate_has_frames_of_its_own(video_folder: Path) -> None:
    """Frames 1/5 second apart are two or four of those that a clip has."""
    settings = [{"stride": 2}, {"stride": 2, "fps": 5}, {"stride": 4, "fps": 5}, {"stride": 4}]
    plans = prepare.plans([spec(video_folder, **own) for own in settings], ALONE)
    stores = [plan.data.store for plan in plans]
    assert [store.clock.rate for store in stores] == [None, 10, 20, None]
    assert stores[0] is stores[3]


def test_the_length_of_a_long_video_reaches_its_frames(video_folder: Path) -> None:
    (plan,) = prepare.plans([spec(video_folder)], Execution("cpu", long_video=0.1))
    assert plan.data.store.long == 0.1


def test_a_run_has_its_name_before_its_data_is_opened(video_folder: Path) -> None:
    settings: list[dict[str, Any]] = [{}, {"seed": 1}, {"validation": 1}, {"labeled_in_unlabeled": True}]
    runs = [spec(video_folder, **own) for own in settings]
    names = [found.name for found in prepare.check(prepare.resolve(runs, CPU))]
    assert names == [plan.name for plan in prepare.plans(runs, ALONE)]
    assert len(set(names)) == 4


def test_a_run_is_resolved_once_and_a_set_of_labels_drawn_once(
    video_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Counter[str]()

    def counting(module: ModuleType, name: str) -> None:
        original = getattr(module, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            calls[name] += 1
            return original(*arguments, **named)

        monkeypatch.setattr(module, name, counted)

    counting(prepare.assemble, "resolve")
    counting(prepare, "draw")
    runs = [spec(video_folder, algorithm=name, seed=0) for name in ("supervised", "uda")]
    plans = prepare.plans(runs, ALONE)
    assert calls == {"resolve": 2, "draw": 1}
    assert [found.name for found in plans] == [plan(run, plans[0].data, CPU).name for run in runs]


def test_a_broken_clip_leaves_its_labels_to_others(video_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(video_folder, tmp_path / "videos")
    (whole,) = prepare.plans([spec(folder)], ALONE)
    row = int(whole.partition.labeled[0])
    (folder / str(whole.data.index.ids[row])).write_bytes(b"no video")
    (found,) = prepare.plans([spec(folder)], Execution("cpu", skip_broken=True))
    assert row not in found.partition.labeled
    assert len(found.partition.labeled) == len(whole.partition.labeled)
    assert found.name == plan(spec(folder), found.data, CPU).name


def test_what_the_execution_needs_is_told_once_and_before_any_video_is_looked_at(
    video_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "load", lambda *_, **__: pytest.fail("videos were looked at"))
    runs = [
        spec(video_folder, algorithm=name, seed=seed) for name in ("supervised", "uda") for seed in (0, 1)
    ]
    assert problems(prepare.plans, runs, Execution("cpu", activation_checkpointing=True)) == (
        "--activation-checkpointing needs a network of repeated blocks, and tiny3d has none: "
        "leave it out, or use another backbone, for example slow_r50",
    )
    assert problems(prepare.plans, runs, Execution("cpu", evaluate_every=1)) == (
        "--evaluate-every needs clips to evaluate on: keep some with --validation 0.2",
    )


def test_every_network_is_asked_for_its_blocks(video_folder: Path) -> None:
    networks = {"auxiliary": {"backbone": "tiny3d"}}
    one = spec(video_folder, algorithm="cmpl", stride=2, backbone="slow_r50", networks=networks)
    (found,) = problems(prepare.plans, [one], Execution("cpu", activation_checkpointing=True))
    assert ", and tiny3d has none: " in found


def test_validation_clips_are_enough_to_evaluate_on(video_folder: Path) -> None:
    resolved = prepare.resolve([spec(video_folder, validation=1)], CPU)
    (found,) = prepare.check(resolved, Execution(evaluate_every=1))
    assert len(found.partition.validation) == 3


def test_a_run_knows_its_places_wherever_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where data and lists lie is no part of what a run is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    given = build({"data": "sets/m.csv", "root": "sets", "lists": "~/lists"})
    (found,) = prepare.resolve([given], CPU)
    assert (found.data, found.root) == (str(tmp_path / "sets/m.csv"), str(tmp_path / "sets"))
    assert found.lists == str(tmp_path / "home/lists")
    bare, demo = prepare.resolve([build({"data": "sets/m.csv"}), build({"lists": "l"})], CPU)
    assert (bare.root, bare.lists) == (None, None)
    assert (demo.data, demo.root, demo.lists) == ("demo", None, str(tmp_path / "l"))
    assert configuration(found) == configuration(bare)
    assert setting(found) == setting(bare)
