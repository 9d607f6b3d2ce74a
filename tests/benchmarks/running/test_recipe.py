"""Recipes: their values, and their place between a suite's settings and the user's."""

from pathlib import Path

import pytest
from helpers.input_errors import problems

import ssl_video as sv
from ssl_video.benchmarks.running import arguments, recipe
from ssl_video.spec import build


@pytest.mark.parametrize("name", ["finetune", "probe", "scratch"])
def test_every_recipe_is_valid(name: str) -> None:
    build(recipe.load(name))
    assert sv.list_recipes()[name]


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("settings: {frames: 3, augmentation: {flip: 0}}")
    assert recipe.load(str(file)) == {"frames": 3, "augmentation": {"flip": 0}}
    file.write_text("settings: {frame: 3}\nset: {}")
    first, second = problems(recipe.load, str(file))
    assert first == f"{file}: unknown key 'set'; did you mean settings?"
    assert second.startswith(f"{file}: unknown key 'frame'; did you mean frames")
    assert "unknown recipe 'prob'; did you mean probe?" in problems(recipe.load, "prob")[0]


def test_the_user_overrides_a_recipe_which_overrides_a_suite() -> None:
    spec = arguments.single({"frames": 3}, {"frames": 3}, {"size": 96}, "probe")
    assert (spec.frames, spec.size, spec.probe, spec.stride) == (3, 96, "linear", 2), "stride is the demo's"
    _, specs, _ = arguments.benchmark(
        ["fixmatch"], recipe="probe", baseline=None, frames=3, overrides={"size": 96}, seeds=1
    )
    assert {(s.frames, s.size, s.probe, s.steps) for s in specs} == {(3, 96, "linear", 450)}


def test_a_resumed_run_has_its_own_settings(tmp_path: Path) -> None:
    assert "leave out --recipe" in problems(sv.train, resume=tmp_path, recipe="probe")[0]
