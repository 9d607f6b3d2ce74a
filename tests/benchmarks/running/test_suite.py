"""A suite's axes, variants, rules and mistakes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.input_errors import problems
from helpers.paths import ROOT

from ssl_video.benchmarks.running.suite import Suite, load
from ssl_video.errors import InputError
from ssl_video.spec import Spec, plain

CELL = {"protocol": "per-class:3", "seed": 0}
SAME = {"algorithm": "cmpl", "networks": {"auxiliary": {"width": 1.0}}}


def keys(specs: list[Spec], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(getattr(spec, name) for name in names) for spec in specs]


def read(folder: Path, text: str) -> Suite:
    file = folder / "mine.yaml"
    file.write_text(text)
    return load(str(file))


# -- axes


def test_every_combination_runs_once_and_the_methods_of_a_draw_and_seed_together() -> None:
    suite = Suite(
        algorithms=["supervised", "cmpl"],
        backbones=["tiny3d", "slow_r50"],
        datasets=["a", "b"],
        protocols=["per-class:1", "per-class:2"],
        draws=2,
        seeds=3,
    )
    found = keys(suite.specs(), "data", "protocol", "draw", "seed", "backbone", "algorithm")
    assert len(found) == len(set(found)) == 2 * 2 * 2 * 2 * 2 * 3
    assert found[:5] == [
        ("a", "per-class:1", 0, 0, "tiny3d", "supervised"),
        ("a", "per-class:1", 0, 0, "tiny3d", "cmpl"),
        ("a", "per-class:1", 0, 0, "slow_r50", "supervised"),
        ("a", "per-class:1", 0, 0, "slow_r50", "cmpl"),
        ("a", "per-class:1", 0, 1, "tiny3d", "supervised"),
    ]


def test_without_draws_each_seed_draws_its_own_labels_and_the_settings_say_the_rest() -> None:
    suite = Suite(algorithms=["cmpl"], seeds=2, settings={"data": "a", "backbone": "slow_r50"})
    assert keys(suite.specs(), "data", "backbone", "label_draw") == [
        ("a", "slow_r50", 0),
        ("a", "slow_r50", 1),
    ]
    fixed = replace(suite, settings={"draw": 7})
    assert keys(fixed.specs(), "label_draw", "seed") == [(7, 0), (7, 1)]


def test_one_algorithm_in_several_variants() -> None:
    suite = Suite(algorithms=["cmpl", SAME], seeds=1, settings={"networks": {"auxiliary": {"frames": 4}}})
    narrow, same = suite.specs()
    assert [spec.networks["auxiliary"].width for spec in (narrow, same)] == [None, 1.0]
    assert [spec.networks["auxiliary"].frames for spec in (narrow, same)] == [4, 4]


def test_a_data_set_with_protocols_of_its_own() -> None:
    suite = Suite(
        algorithms=["cmpl"],
        datasets=["a", {"data": "b", "split": "split2", "protocols": ["percent:5"]}],
        protocols=["per-class:1", {"protocol": "per-class:2", "steps": 9}],
        seeds=1,
    )
    assert keys(suite.specs(), "data", "split", "protocol", "steps") == [
        ("a", "split", "per-class:1", 400),
        ("a", "split", "per-class:2", 9),
        ("b", "split2", "percent:5", 400),
    ]


def test_rules_stand_between_the_settings_and_what_the_axes_say() -> None:
    suite = Suite(
        algorithms=["fixmatch", "cmpl", {"algorithm": "cmpl", "steps": 4}],
        protocols=["per-class:1", "per-class:2"],
        seeds=1,
        settings={"steps": 1, "size": 32},
        overrides=[
            {"when": {"algorithm": ["cmpl", "uda"]}, "set": {"steps": 2}},
            {"when": {"algorithm": "cmpl", "protocol": "per-class:2"}, "set": {"steps": 3}},
            # Keys that nobody has set have their default.
            {"when": {"backbone": "tiny3d", "size": 32}, "set": {"optimizer": "sgd"}},
        ],
    )
    assert keys(suite.specs(), "steps", "optimizer") == [
        *((1, "sgd"), (2, "sgd"), (4, "sgd")),
        *((1, "sgd"), (3, "sgd"), (4, "sgd")),
    ]


def test_flags_are_above_the_suite_and_assignments_above_all() -> None:
    rules = [{"when": {"algorithm": "cmpl"}, "set": {"steps": 2, "width": 0.5}}]
    suite = Suite(algorithms=[SAME], seeds=1, settings={"steps": 1}, overrides=rules)
    (spec,) = suite.specs({"steps": 5, "size": 16}, {"size": 24, "networks.auxiliary.stride": 1})
    assert (spec.steps, spec.size, spec.width) == (5, 24, 0.5)
    assert plain(spec)["networks"] == {"auxiliary": {"width": 1.0, "stride": 1}}


def test_rules_see_what_flags_and_assignments_say() -> None:
    """Flags come as text."""
    rules = [
        {"when": {"frames": 16}, "set": {"steps": 7}},
        {"when": {"test_crops": [3], "labeled_in_unlabeled": True}, "set": {"steps": 8}},
    ]
    suite = Suite(algorithms=["cmpl"], seeds=1, overrides=rules)

    def steps(given: dict[str, Any], **assignments: Any) -> int:
        (spec,) = suite.specs(given, assignments)
        return spec.steps

    assert steps({"frames": "16"}) == steps({"frames": 16}) == steps({}, frames=16) == 7
    assert steps({"frames": "16"}, frames=8) == steps({"frames": "32"}) == 400
    assert steps({"test_crops": "3", "labeled_in_unlabeled": True}) == 8
    with pytest.raises(InputError, match="found 'many'"):
        steps({"frames": "many"})


def test_what_an_entry_sets_for_its_first_network_is_not_ignored_for_a_flag() -> None:
    own = {"algorithm": "cmpl", "networks": {"primary": {"frames": 16}}}
    suite = Suite(algorithms=["cmpl", own], seeds=2)
    (sentence,) = problems(suite.specs, {"frames": "8"})
    assert sentence.startswith("--frames does not change networks.primary.frames of cmpl, which is 16")
    (sentence,) = problems(suite.specs, {}, {"frames": 8})
    assert sentence.startswith("--set frames does not change networks.primary.frames of cmpl, which is 16")
    # As it says itself: both entries have the assignment.
    for spec in suite.specs({}, {"networks.primary.frames": 8}):
        assert spec.networks["primary"].frames == 8
    # The other network's own value leaves the flag its effect on the first.
    assert {spec.width for spec in Suite(algorithms=[SAME], seeds=1).specs({"width": "0.5"})} == {0.5}


def test_an_assignment_goes_to_the_algorithms_that_have_it_or_to_all() -> None:
    suite = Suite(algorithms=["supervised", "cmpl", SAME], seeds=1)
    first, *both = suite.specs(assignments={"options.threshold": 0.9})
    assert first.options == {}
    assert [spec.options for spec in both] == [{"threshold": 0.9}] * 2
    assert all(spec.options == {"treshold": 1} for spec in suite.specs(assignments={"options.treshold": 1}))


def test_names_choose_all_variants_of_theirs_and_add_what_is_not_there() -> None:
    suite = Suite(algorithms=["fixmatch", "cmpl", SAME], protocols=["per-class:1"], datasets=["a"], seeds=1)
    chosen = suite.choose(algorithms=["cmpl", "uda"], backbones=[], datasets=["b"])
    assert keys(chosen.specs(), "data", "algorithm") == [("b", "cmpl"), ("b", "cmpl"), ("b", "uda")]
    assert len(chosen.specs()[1].networks) == 1


def test_protocols_are_chosen_for_data_sets_with_their_own_too() -> None:
    """Of its own entries of that name, else of the suite's; a name that neither has is a bare one."""
    longer, own = {"protocol": "per-class:1", "steps": 9}, {"protocol": "percent:40", "size": 32}
    suite = Suite(
        algorithms=["cmpl"],
        datasets=["a", {"data": "b", "protocols": [own, "percent:60"]}],
        protocols=[longer, "per-class:2"],
        seeds=1,
    )

    def chosen(*names: str, **axes: list[str]) -> list[tuple[Any, ...]]:
        return keys(suite.choose(protocols=names, **axes).specs(), "data", "protocol", "steps", "size")

    assert chosen("per-class:1") == [("a", "per-class:1", 9, 64), ("b", "per-class:1", 9, 64)]
    assert chosen("percent:40") == [("a", "percent:40", 400, 64), ("b", "percent:40", 400, 32)]
    assert chosen("percent:3", "percent:60", datasets=["b"]) == [
        ("b", "percent:3", 400, 64),
        ("b", "percent:60", 400, 64),
    ]


@pytest.mark.parametrize("own", [[], ["supervised"], [{"algorithm": "supervised", "weight_decay": 0.1}]])
def test_the_baseline_comes_first_and_once(own: list[Any]) -> None:
    suite = Suite(algorithms=["cmpl", *own], seeds=1).with_baseline("supervised")
    assert keys(suite.specs(), "algorithm") == [("supervised",), ("cmpl",)]
    if own:
        assert suite.algorithms[0] == own[0]


# -- files


def test_a_file(tmp_path: Path) -> None:
    suite = read(
        tmp_path,
        "algorithms: [cmpl, {algorithm: cmpl, width: 0.5}]\nbackbones: [slow_r50]\ndatasets: [{data: a}]\n"
        "draws: 2\noverrides: [{when: {seed: 1}, set: {steps: 9}}]\n",
    )
    specs = suite.specs()
    assert len(specs) == 2 * 2 * 3
    assert {spec.steps for spec in specs if spec.seed == 1} == {9}


def test_the_documented_file(tmp_path: Path) -> None:
    """Three methods on two backbones under two protocols of each of two data sets, 3 x 2 runs a cell."""
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    specs = read(tmp_path, page.split("```yaml\n")[1].split("```")[0]).specs()
    assert len(specs) == 3 * 2 * (2 + 2) * 3 * 2
    (spec,) = [
        s for s in specs if s.networks and s.backbone == "slow_r50" and s.protocol == "per-class:1"
        and (s.draw, s.seed) == (2, 1)
    ]  # fmt: skip
    assert (spec.width, spec.networks["auxiliary"].width, spec.steps) == (0.25, 1.0, 2000)
    assert spec.options == {"threshold": 0.9}


def test_everything_that_is_wrong_in_a_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(
            tmp_path,
            "algoritms: [cmpl]\n"
            "algorithms: [{networks: {}}, 3]\n"
            "backbones: slow_r50\n"
            "datasets: [{data: a, protocols: per-class:1}]\n"
            "protocols: []\n"
            "draws: 0\n"
            "seeds: yes\n"
            "settings: {protocol: per-class:1, data: b, draw: 3, seed: 1, split: c}\n"
            "overrides:\n"
            "  - {when: {algoritm: cmpl}, set: {steps: 3}}\n"
            "  - {when: {algorithm: [cmlp, mvpl, mine.py:cmlp]}, set: {steps: 3}}\n"
            "  - {cmpl: {steps: 3}}\n",
        )
    problems = [problem.removeprefix(f"{tmp_path / 'mine.yaml'}: ") for problem in caught.value.problems]
    shape = "overrides must be a list of {when: {KEY: VALUE}, set: {KEY: VALUE}}"
    assert problems == [
        "unknown key 'algoritms'; did you mean algorithms?",
        "algorithms: expected a name, or keys of a specification with 'algorithm' among them, "
        "found {'networks': {}}",
        "algorithms: expected a name, or keys of a specification with 'algorithm' among them, found 3",
        "backbones must be a list of names, found 'slow_r50'",
        "protocols must be a list of names, found []",
        "datasets: protocols must be a list of names, found 'per-class:1'",
        "draws must be a number from 1, found 0",
        "seeds must be a number from 1, found True",
        "settings.data has no effect beside datasets: leave it out",
        "settings.protocol has no effect beside protocols: leave it out",
        "settings.draw has no effect beside draws: leave it out",
        "settings.seed has no effect beside seeds: leave it out",
        "unknown key 'algoritm'; did you mean algorithm? (in when)",
        "unknown algorithm 'cmlp'; did you mean cmpl or tcl or mvpl? (in when)",
        f"{shape}, found {{'cmpl': {{'steps': 3}}}} among them",
    ]


def test_the_old_form_of_overrides_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"overrides must be a list of \{when: .*, found \{'cmpl'"):
        read(tmp_path, "algorithms: [cmpl]\noverrides: {cmpl: {steps: 3}}\n")
