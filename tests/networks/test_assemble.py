from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ssl_video import backbones
from ssl_video.backbones import pretrained
from ssl_video.contract import Task
from ssl_video.data.views.sampling import ClipShape
from ssl_video.errors import InputError
from ssl_video.networks.assemble import assemble, check, configured, label, resolve
from ssl_video.networks.devices import choose_device
from ssl_video.spec import FINE_TUNING, NetworkSpec, Spec, build, configuration, plain

CPU = torch.device("cpu")
TASK = Task(num_classes=3, num_unlabeled=5)


def resolved(**values: Any) -> Spec:
    return resolve(build({"width": 0.5, "frames": 4, "stride": 6, "size": 16} | values), CPU)


def problems(**values: Any) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        resolved(**values)
    return caught.value.problems


# Settings of networks that nobody changed.
AS_GIVEN = {"input": "frames", "dropout": 0.0, **FINE_TUNING}


# -- resolve


def test_cmpl_by_default() -> None:
    """The auxiliary network: a quarter of the run's width, twice the frames, half the stride."""
    networks, whole = resolved(algorithm="cmpl").networks, {"probe": "none", **AS_GIVEN}
    assert {role: network.model_dump(exclude_none=True) for role, network in networks.items()} == {
        "primary": {"backbone": "tiny3d", "width": 0.5, "frames": 4, "stride": 6} | whole,
        "auxiliary": {"backbone": "tiny3d", "width": 0.125, "frames": 8, "stride": 3} | whole,
    }


def test_a_resolved_specification_stays_as_it_is() -> None:
    """Runs are resumed from it. A prefix goes with the file that it was given for."""
    own = {"backbone": "x3d_s", "width": 1.0}
    spec = resolved(
        algorithm="cmpl",
        probe="linear",
        networks={
            "primary": {**own, "weights": "moco.pt", "weights_prefix": "encoder_q"},
            "auxiliary": {**own, "weights": "plain.pt"},
        },
    )
    assert spec.networks["auxiliary"].weights_prefix is None
    assert resolve(build(plain(spec)), CPU) == spec
    shared = resolved(algorithm="cmpl", probe="linear", weights="moco.pt", weights_prefix="encoder_q")
    assert shared.networks["auxiliary"].weights_prefix == "encoder_q"
    assert resolve(build(plain(shared)), CPU) == shared


def test_networks_can_be_changed_one_by_one() -> None:
    spec = resolved(
        algorithm="cmpl",
        weights="first.pt",
        probe="linear",
        networks={
            "auxiliary": {"width": 1.5, "frames": 2, "stride": 5, "weights": "second.pt", "probe": "none"},
            "primary": {"width": 2},
        },
    )
    assert {role: n.model_dump(exclude_none=True) for role, n in spec.networks.items()} == {
        "primary": {
            **{"backbone": "tiny3d", "width": 2, "frames": 4, "stride": 6, "weights": "first.pt"},
            **{"probe": "linear", **AS_GIVEN},
        },
        "auxiliary": {
            **{"backbone": "tiny3d", "width": 1.5, "frames": 2, "stride": 5, "weights": "second.pt"},
            **{"probe": "none", **AS_GIVEN},
        },
    }
    assert list(spec.networks) == ["primary", "auxiliary"]


def test_a_frozen_network_without_weights_of_its_own_is_that_of_the_run() -> None:
    """ActNetFormer's own transformer has no weights, and its features would be random."""

    def auxiliary(**values: Any) -> NetworkSpec:
        given = {"algorithm": "actnetformer", "weights": "first.pt", **values}
        return resolved(**given).networks["auxiliary"]

    assert (auxiliary().backbone, auxiliary().weights) == ("timesformer_s", None)
    frozen = auxiliary(probe="linear")
    assert (frozen.backbone, frozen.weights, frozen.probe) == ("tiny3d", "first.pt", "linear")
    own = auxiliary(probe="linear", networks={"auxiliary": {"weights": "second.pt"}})
    assert (own.backbone, own.weights) == ("timesformer_s", "second.pt")
    trained = auxiliary(probe="linear", networks={"auxiliary": {"probe": "none"}})
    assert (trained.backbone, trained.weights) == ("timesformer_s", None)


def test_the_run_wide_network_is_the_first_one() -> None:
    """So that runs of CMPL and of FixMatch with the same main network are in one table."""
    spec = resolved(algorithm="cmpl", networks={"primary": {"width": 2, "frames": 8, "stride": 2}})
    assert (spec.width, spec.frames, spec.stride) == (2, 8, 2)
    # The auxiliary one follows what the run was given.
    assert spec.networks["auxiliary"].width == 0.125


def test_resolving_twice_changes_nothing() -> None:
    spec = resolved(algorithm="cmpl", networks={"primary": {"width": 2}})
    assert resolve(spec, CPU) == spec


def test_options_are_spelled_out_and_precision_is_settled() -> None:
    spec = resolved(algorithm="cmpl", options={"threshold": "0.5"})
    assert {name: spec.options[name] for name in ("threshold", "weight")} == {"threshold": 0.5, "weight": 1.0}
    assert spec.precision == "float32"
    assert resolve(build({}), torch.device("cuda")).precision == "bfloat16"
    assert resolve(build({"precision": "float32"}), torch.device("cuda")).precision == "float32"


def test_a_stride_that_cannot_be_halved() -> None:
    (problem,) = problems(algorithm="cmpl", stride=3)
    assert "network 'auxiliary' takes 2 times the run's frame rate" in problem
    assert "stride 3 cannot be divided by 2" in problem
    assert "networks.auxiliary.stride" in problem
    assert resolved(algorithm="cmpl", stride=3, networks={"auxiliary": {"stride": 1}}).stride == 3
    assert resolved(algorithm="fixmatch", stride=3).stride == 3


def test_all_problems_at_once() -> None:
    assert problems(
        algorithm="cmpl",
        stride=3,
        options={"thresold": 0.5, "weight": "heavy"},
        networks={"auxilary": {"width": 1}, "primary": {"backbone": "tiny4d"}},
    ) == (
        "cmpl: unknown option 'thresold'; did you mean threshold?",
        "cmpl: weight: input should be a valid number, unable to parse string as a number, found 'heavy'",
        "unknown network of cmpl 'auxilary'; did you mean auxiliary or primary?",
        "unknown backbone 'tiny4d'; did you mean tiny3d?",
        "cmpl's network 'auxiliary' takes 2 times the run's frame rate, and stride 3 cannot be divided by 2: "
        "choose another stride, or set networks.auxiliary.stride and networks.auxiliary.frames",
    )


def test_unknown_names() -> None:
    assert problems(algorithm="pseudolable") == (
        "unknown algorithm 'pseudolable'; did you mean pseudolabel?",
    )
    # One sentence, although two networks have it.
    assert problems(algorithm="cmpl", backbone="tiny4d") == (
        "unknown backbone 'tiny4d'; did you mean tiny3d?",
    )
    assert "tiny3d is a single network" in problems(backbone="tiny3d/large")[0]


def test_a_plugin_that_is_no_algorithm(tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_text("from ssl_video import algorithm\n@algorithm('odd')\ndef odd(): ...\n")
    assert problems(algorithm=f"{file}:odd")[0].endswith("is not a subclass of ssl_video.Algorithm")


# -- assemble


def test_networks_have_their_width_and_clips_their_shape() -> None:
    made = assemble(resolved(algorithm="cmpl"), TASK)
    # tiny3d starts with 16 channels times the width: 8 and 2.
    channels = {
        role: next(iter(made.algorithm.get_submodule(role).parameters())).shape[0]
        for role in ("primary", "auxiliary")
    }
    assert channels == {"primary": 8, "auxiliary": 2}
    assert made.shapes == {"primary": ClipShape(4, 6), "auxiliary": ClipShape(8, 3)}
    assert made.shape_for("auxiliary") == ClipShape(8, 3)
    assert made.shape_for("teacher") == ClipShape(4, 6)
    for role, shape in made.shapes.items():
        clip = torch.zeros(2, 3, shape.frames, 16, 16)
        assert made.algorithm.predictors()[role](clip).shape == (2, 3)


def test_initial_weights_are_read_for_a_new_run_only(tmp_path: Path) -> None:
    network = backbones.create("tiny3d", 3, width=0.5, frames=4, size=16)
    torch.save(network.state_dict(), tmp_path / "initial.pt")
    spec = resolved(algorithm="cmpl", weights=str(tmp_path / "initial.pt"))
    made = assemble(spec, TASK).algorithm.get_submodule("primary")
    assert torch.equal(next(iter(made.parameters())), next(iter(network.parameters())))
    (tmp_path / "initial.pt").unlink()
    assemble(spec, TASK, trained=True)


def test_a_prefix_chooses_the_initial_weights_of_each_network(tmp_path: Path) -> None:
    """The run's for the first network alone, as its weights."""
    halves = [backbones.create("tiny3d", 3, width=width, frames=4, size=16) for width in (0.5, 0.5, 0.125)]
    keys = ("encoder_q", "encoder_k", "small")
    file = str(tmp_path / "several.pt")
    torch.save({key: made.state_dict() for key, made in zip(keys, halves, strict=True)}, file)
    given = {"algorithm": "cmpl", "weights": file, "weights_prefix": "encoder_k"}
    spec = resolved(**given, networks={"auxiliary": {"weights": file}})
    made = assemble(spec, TASK).algorithm
    for role, expected in (("primary", halves[1]), ("auxiliary", halves[2])):
        found = made.get_submodule(role).state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.state_dict().items())
    assert spec.weights_prefix == spec.networks["primary"].weights_prefix == "encoder_k"
    assert spec.networks["auxiliary"].weights_prefix is None
    own = {
        "primary": {"weights_prefix": "encoder_q"},
        "auxiliary": {"weights": file, "weights_prefix": "large"},
    }
    with pytest.raises(InputError) as caught:
        assemble(resolved(**given, networks=own), TASK)
    (problem,) = caught.value.problems
    assert problem.startswith(f"networks.auxiliary: {file}: no tensor of it is under the prefix 'large'")


def test_a_prefix_needs_weights() -> None:
    assert problems(algorithm="supervised", weights_prefix="encoder_q") == (
        "weights_prefix 'encoder_q' chooses a part of a file, and the network 'model' of supervised has no "
        "weights: give them as well, or leave weights_prefix out",
    )


def test_the_label_of_networks() -> None:
    assert label(resolved(width=1)) == "tiny3d"
    assert label(resolved(width=0.5)) == "tiny3d*0.5"
    assert label(resolved(algorithm="cmpl", width=1)) == "primary=tiny3d auxiliary=tiny3d*0.25"


# -- check


def write(tmp_path: Path, name: str, views: str) -> str:
    file = tmp_path / f"{name}.py"
    file.write_text(
        "from ssl_video import Algorithm, View, algorithm\n"
        f"@algorithm({name!r})\n"
        "class Odd(Algorithm):\n"
        f"    unlabeled = {views}\n"
        "    def __init__(self, task, model):\n"
        "        super().__init__()\n"
        "        self.model = model\n"
    )
    return f"{file}:{name}"


def test_views_that_cannot_be_made(tmp_path: Path) -> None:
    views = '{"a": View("wek"), "b": View("weak", network="modell")}'
    name = write(tmp_path, "odd-views", views)
    with pytest.raises(InputError) as caught:
        check(resolved(algorithm=name), 3)
    assert caught.value.problems == (
        f"unknown augmentation in view 'a' of {name} 'wek'; did you mean weak?",
        f"unknown network in view 'b' of {name} 'modell'; did you mean model?",
    )


def test_labeled_and_unlabeled_views_of_one_name_are_both_checked(tmp_path: Path) -> None:
    """The labeled view of this name is fine."""
    name = write(tmp_path, "same-name", '{"weak": View("wek")}')
    with pytest.raises(InputError, match="unknown augmentation in view 'weak'"):
        check(resolved(algorithm=name), 3)


def test_a_run_is_checked_without_memory_or_files() -> None:
    spec = resolved(algorithm="cmpl", width=500, networks={"auxiliary": {"width": 300}})
    check(spec, 3)  # some 50 GiB of weights, if they were made


def test_backbones_that_cannot_be_built(tmp_path: Path) -> None:
    """Of several networks, all are named by the key that changes them."""
    file = tmp_path / "fixed.py"
    file.write_text(
        "from ssl_video import backbone\n"
        "@backbone('fixed-width')\n"
        "def net(num_classes, *, frames, size): ...\n"
    )
    with pytest.raises(InputError) as caught:
        check(resolved(algorithm="cmpl", backbone=f"{file}:fixed-width"), 3)
    for problem, role, width in zip(
        caught.value.problems, ("primary", "auxiliary"), (0.5, 0.125), strict=True
    ):
        assert problem.startswith(
            f"networks.{role}: backbone {file}:fixed-width has only one width, so {width}"
        )
    with pytest.raises(InputError, match=r"^backbone "):
        check(resolved(algorithm="fixmatch", backbone=f"{file}:fixed-width"), 3)


def test_weights_that_do_not_exist(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pt")
    spec = resolved(algorithm="cmpl", weights=missing, networks={"auxiliary": {"weights": missing}})
    with pytest.raises(InputError) as caught:
        check(spec, 3)
    assert caught.value.problems == (
        f"networks.primary.weights: there is no file {missing}",
        f"networks.auxiliary.weights: there is no file {missing}",
    )


def test_networks_that_are_not_trained_need_weights(tmp_path: Path) -> None:
    """All that lack them are named; the weights of the others are nobody's business."""
    values: dict[str, Any] = {"algorithm": "timebalance", "options": {"teachers": "frozen"}}
    with pytest.raises(InputError) as caught:
        check(resolved(**values), 3)
    assert caught.value.problems == (
        "timebalance does not train its network 'invariant': give its weights, "
        "--set networks.invariant.weights=FILE",
        "timebalance does not train its network 'distinctive': give its weights, "
        "--set networks.distinctive.weights=FILE",
    )
    (tmp_path / "mine.pt").touch()
    weights = {"weights": str(tmp_path / "mine.pt")}
    with pytest.raises(InputError, match=r"^[^\n]*'distinctive'[^\n]*$"):
        check(resolved(networks={"invariant": weights}, **values), 3)
    check(resolved(networks={"invariant": weights, "distinctive": weights}, **values), 3)


def test_networks_that_are_not_trained_must_know_the_classes(tmp_path: Path) -> None:
    networks = {}
    for role, classes in (("invariant", 3), ("distinctive", 5)):
        made = backbones.create("tiny3d", classes, width=0.5, frames=4, size=16)
        torch.save(made.state_dict(), tmp_path / f"{role}.pt")
        networks[role] = {"weights": str(tmp_path / f"{role}.pt")}
    spec = resolved(algorithm="timebalance", options={"teachers": "frozen"}, networks=networks)
    with pytest.raises(InputError, match=r"networks.distinctive.weights: .* 5 classes") as caught:
        assemble(spec, TASK)
    assert len(caught.value.problems) == 1
    with pytest.raises(InputError, match=r"networks.distinctive.weights: .* 5 classes"):
        assemble(spec.model_copy(update={"partial_weights": True}), TASK)
    encoder = {name: tensor for name, tensor in made.state_dict().items() if not name.startswith("6.")}
    torch.save(encoder, tmp_path / "distinctive.pt")
    with pytest.raises(InputError, match=r"networks.distinctive.weights: .* as the file has none"):
        assemble(spec, TASK)
    # Of networks that are trained the classifier may be new.
    assemble(resolved(algorithm="timebalance", networks=networks), TASK)


def test_a_home_folder_in_the_path_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.pt").touch()
    check(resolved(weights="~/mine.pt"), 3)


def test_checking_leaves_the_algorithm_usable(small_spec: Callable[..., Spec]) -> None:
    spec = resolve(small_spec(algorithm="cmpl"), CPU)
    check(spec, 3)
    assert next(iter(assemble(spec, TASK).algorithm.parameters())).device == CPU


# -- devices


def test_devices() -> None:
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type in ("cpu", "cuda")
    for name in ("cuda:99", "gpu", "tpu"):
        with pytest.raises(InputError, match=f"device '{name}' cannot be used: "):
            choose_device(name)


def test_an_installed_methods_code_is_part_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whatever name it is known; what comes with the package is told by the package's version."""
    file = tmp_path / "installed_for_tests.py"
    file.write_text(
        "from ssl_video import algorithm\n"
        "from ssl_video.algorithms.supervised import Supervised\n\n\n"
        "@algorithm('installed-for-tests')\nclass Installed(Supervised):\n    pass\n"
    )
    info = tmp_path / "installed_for_tests-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed_for_tests\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[ssl_video.algorithms]\ninstalled-for-tests = installed_for_tests:Installed\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("installed-for-tests", f"{file}:installed-for-tests"):
        spec = resolved(algorithm=name)
        assert configured(spec) == configuration(spec, file.read_text())
    spec = resolved(algorithm="fixmatch")
    assert configured(spec) == configuration(spec)


def test_predictions_count_with_their_content_and_not_their_place(tmp_path: Path) -> None:
    made = []
    for name, text in (("a", "path,run"), ("b", "path,run"), ("c", "path,sit")):
        (tmp_path / name).write_text(text)
        made.append(configured(resolved(algorithm="distill", options={"teacher": str(tmp_path / name)})))
    assert made[0] == made[1] != made[2]


def test_a_frozen_network_is_built_once_for_all_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its trial passes on the meta device take most of the time of a check. Heads are each method's own."""
    built, create = list[str](), backbones.create
    monkeypatch.setattr(
        backbones, "create", lambda name, *a, **k: built.append(name) or create(name, *a, **k)
    )
    monkeypatch.setattr(pretrained, "find", lambda *_: None)
    given = {"backbone": "tiny3d", "frames": 4, "size": 16, "weights": "never-read.pt", "probe": "linear"}
    specs = [resolve(build(given | {"algorithm": name}), CPU) for name in ("supervised", "fixmatch", "cmpl")]
    known = dict[str, Any]()
    found = [check(spec, 2, known) for spec in specs]
    # CMPL's auxiliary network has twice the frames.
    assert built == ["tiny3d", "tiny3d"]
    heads = [algorithm.get_submodule(role).head for algorithm in found[:2] for role in algorithm.roles]
    assert heads[0] is not heads[1]
    check(specs[0].model_copy(update={"size": 32}), 2, known)
    assert len(built) == 3
    check(resolve(build(given | {"algorithm": "supervised", "probe": "none"}), CPU), 2, known)
    check(resolve(build(given | {"algorithm": "supervised", "probe": "none"}), CPU), 2, known)
    assert len(built) == 5, "a network that is trained is built anew"
