"""Runs of models of transformers: their clips, identity, training, and use without the folder."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from helpers.transformers_models import (
    CHANNELS,
    FRAMES,
    SIZE,
    model_folder,
    pair,
    processor,
    save,
    small_model,
)
from safetensors.torch import load_file, save_file
from torch import Tensor

import ssl_video as sv
from ssl_video.backbones.probe import KINDS, Kind, Probe
from ssl_video.benchmarks.tables.naming import method_facts
from ssl_video.data.dataset import Data
from ssl_video.errors import InputError
from ssl_video.features.extract import Extractor
from ssl_video.inference.load import load as load_model
from ssl_video.networks import assemble
from ssl_video.runs.folder import RunFolder
from ssl_video.spec import build, plain
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, run

__all__ = ["model_folder"]

CPU = torch.device("cpu")
Folder = Callable[[str], str]
CLIP = {"width": 1.0, "frames": FRAMES, "size": SIZE, "steps": 3, "test_clips": 1}


@pytest.fixture
def own_folder(tmp_path: Path) -> str:
    """A VideoMAE in a folder that a test may change."""
    return save(small_model("videomae"), tmp_path / "own", processor("videomae"))


def resolved(**values: Any) -> sv.Spec:
    return assemble.resolve(build({"algorithm": "fixmatch"} | values), CPU)


def test_clip_weights_and_architecture_are_the_models(model_folder: Folder) -> None:
    spec = resolved(backbone=model_folder("videomae"), probe="attentive")
    assert (spec.frames, spec.size, spec.weights) == (FRAMES, SIZE, "pretrained")
    network = spec.networks["model"]
    assert (network.frames, network.stride, network.weights) == (FRAMES, 4, "pretrained")
    assert network.architecture is not None
    assert network.architecture["hidden_size"] == CHANNELS
    assert not network.architecture.keys() & {"id2label", "transformers_version"}
    # Resolved once more, as a file of it is read, with the folder or without.
    again = plain(spec) | {"backbone": "transformers/gone"}
    again["networks"]["model"]["backbone"] = "transformers/gone"
    gone = assemble.resolve(build(again), CPU)
    assert gone.networks["model"].architecture == network.architecture
    assert assemble.resolve(build(plain(spec)), CPU) == spec


def test_what_the_user_sets_is_kept(model_folder: Folder) -> None:
    spec = resolved(backbone=model_folder("clip"), size=48, weights="other.pt")
    assert (spec.frames, spec.size, spec.weights) == (8, 48, "other.pt"), "towers take any number of frames"
    spec = resolved(backbone=model_folder("clip"), frames=3)
    assert (spec.frames, spec.size) == (3, SIZE)
    wrong = resolved(backbone=model_folder("vivit"), frames=8)
    with pytest.raises(InputError, match=r"vivit has positions for 4 frames: give frames=4, not 8"):
        assemble.check(wrong, 3)


def test_a_second_network_of_transformers_has_its_own_weights(model_folder: Folder) -> None:
    spec = resolved(algorithm="cmpl", networks={"auxiliary": {"backbone": model_folder("clip"), "width": 1}})
    assert (spec.size, spec.weights) == (64, None)
    auxiliary = spec.networks["auxiliary"]
    assert (auxiliary.weights, auxiliary.frames) == ("pretrained", 16)
    assert spec.networks["primary"].architecture is None


def test_tables_name_methods_by_the_folder(model_folder: Folder) -> None:
    spec = plain(resolved(backbone=model_folder("clip")))
    assert spec["networks"]["model"]["architecture"]
    assert not [key for key in method_facts({"spec": spec}) if "architecture" in key]


def test_created_with_the_clip_of_the_model(model_folder: Folder) -> None:
    made = sv.create("fixmatch", 3, backbone=model_folder("vjepa2"), probe="linear")
    assert made.spec is not None
    assert (made.spec.frames, made.spec.size) == (FRAMES, SIZE)
    assert isinstance(made.get_submodule("model"), Probe)
    assert "transformers" in sv.list_backbones("transf*")


def test_from_scratch(own_folder: str, tmp_path: Path) -> None:
    (tmp_path / "own/model.safetensors").unlink()
    spec = resolved(backbone=own_folder)
    assert spec.weights is None
    assert assemble.check(spec, 3)
    with pytest.raises(InputError, match="which has no weights, so its features would be random"):
        resolved(backbone=own_folder, probe="linear")


def test_the_identity_of_a_run(own_folder: str, tmp_path: Path, make_plan: Callable[..., Plan]) -> None:
    """One number in the weights, and one in the configuration."""

    def name() -> str:
        return make_plan(**CLIP, algorithm="fixmatch", backbone=own_folder, probe="linear").name

    first = name()
    assert name() == first
    file = tmp_path / "own/model.safetensors"
    tensors = load_file(file)
    tensors["videomae.encoder.layer.1.output.dense.bias"][7] += 1e-3
    save_file(tensors, file, {"format": "pt"})
    second = name()
    config = tmp_path / "own/config.json"
    config.write_text(config.read_text().replace('"hidden_act": "gelu"', '"hidden_act": "relu"'))
    assert len({first, second, name()}) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_needs_no_folder_when_it_is_finished(
    own_folder: str, make_plan: Callable[..., Plan], data: Data, tmp_path: Path, kind: Kind
) -> None:
    """FixMatch on a frozen network."""
    planned = make_plan(**CLIP, algorithm="fixmatch", backbone=own_folder, probe=kind)
    result = run(planned, tmp_path / "run", Execution("cpu"))
    assert result.gflops > 0
    shutil.rmtree(tmp_path / "own")
    model = load_model(tmp_path / "run", CPU)
    assert model.evaluate(data) == result.model_dump()["predictors"]
    network = model.assembly.algorithm.get_submodule("model")
    assert isinstance(network, Probe)
    assert network.backbone.get_buffer("input_scale").tolist() != [1, 1, 1]
    assert RunFolder(tmp_path / "run").spec == planned.spec


def test_whole_networks_and_their_teachers_are_trained(
    tmp_path: Path, make_plan: Callable[..., Plan], data: Data
) -> None:
    backbone = save(pair("CLIP"), tmp_path / "clip")
    planned = make_plan(**CLIP, algorithm="meanteacher", backbone=backbone, learning_rate=0.01)
    result = run(planned, tmp_path / "run", Execution("cpu", activation_checkpointing=True))
    assert result.parameters_trained == result.parameters
    model = load_model(tmp_path / "run", CPU)
    assert model.evaluate(data) == result.model_dump()["predictors"]
    start = load_file(tmp_path / "clip/model.safetensors")["vision_model.post_layernorm.weight"]
    trained = {n: p for n, p in model.assembly.algorithm.named_parameters() if "post_layernorm.weight" in n}
    assert len(trained) == 2
    assert not any(torch.allclose(p, start, atol=1e-4) for p in trained.values())


def test_stored_features_belong_to_an_architecture(
    model_folder: Folder, make_plan: Callable[..., Plan]
) -> None:
    """The same weights with another activation function have other features."""
    spec = make_plan(**CLIP, algorithm="fixmatch", backbone=model_folder("videomae"), probe="linear").spec
    network = spec.networks["model"]
    other = network.model_copy(update={"architecture": {**network.architecture, "hidden_act": "relu"}})
    found = []
    for one in (network, other):
        built = assemble.assemble(spec.model_copy(update={"networks": {"model": one}}), sv.Task(3, 2))
        probe = built.algorithm.get_submodule("model")
        assert isinstance(probe, Probe)
        found.append(Extractor(probe, one, spec, "raw", CPU).about)
    assert found[0] != found[1]
    assert found[0] | {"architecture": 0} == found[1] | {"architecture": 0}
    assert "transformers" in found[0]["libraries"]


@pytest.mark.parametrize("given", ["pretrained", "pretrained:vit.pt", "vit.pt"])
def test_image_models_of_timm_are_probes_by_one_flag(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the library's download, or from a file."""
    name = "vit_tiny_patch16_224"
    theirs: dict[str, Tensor] = timm.create_model(name, img_size=SIZE).state_dict()
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *_, **__: dict(theirs))
    monkeypatch.chdir(tmp_path)
    torch.save(theirs, "vit.pt")
    made = sv.create(
        "fixmatch", 3, backbone=f"timm/{name}", weights=given, probe="attentive", frames=2, size=SIZE
    )
    probe = made.get_submodule("model")
    assert isinstance(probe, Probe)
    key = "blocks.11.mlp.fc1.weight"
    assert torch.equal(probe.backbone.get_parameter(f"network.{key}"), theirs[key])
    # Two frames of a class token and 2 x 2 patches.
    assert probe.features(torch.zeros(1, 3, 2, SIZE, SIZE)).shape == (1, 2 * 5, 192)
