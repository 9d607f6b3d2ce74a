"""Models of transformers: their outputs, clips, weights and errors. Nothing is downloaded."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.numbers import assert_close
from helpers.transformers_models import (
    CHANNELS,
    CLASSES,
    FRAMES,
    SIZE,
    TOWERS,
    VIDEO,
    model_folder,
    pair,
    processor,
    save,
    small_model,
    transformers,
    wake,
)
from torch import Tensor, nn

from ssl_video import backbones
from ssl_video.backbones.probe import KINDS, Kind, Probe
from ssl_video.networks.activation_checkpointing import save_activations
from ssl_video.networks.memory_format import place

__all__ = ["model_folder"]

Folder = Callable[[str], str]
PIXELS = torch.randint(256, (2, FRAMES, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(2))
CLIP = (PIXELS.transpose(1, 2) / 255 - 0.45) / 0.225


def create(name: str, *, frames: int = FRAMES, size: int = SIZE, **more: Any) -> nn.Module:
    torch.manual_seed(1)
    return backbones.create(name, CLASSES, frames=frames, size=size, **more)


def theirs(backbone: str) -> Any:
    """The model of a folder as transformers reads it."""
    folder = backbone.removeprefix("transformers/")
    (architecture,) = json.loads((Path(folder) / "config.json").read_text())["architectures"]
    return getattr(transformers, architecture).from_pretrained(folder, local_files_only=True).eval()


def inputs(name: str) -> Tensor:
    """The pixels as the model's processor prepares them, (2, T, 3, H, W)."""
    made = processor(name)
    prepared = [made([*video.byte()], return_tensors="pt", do_resize=False) for video in PIXELS]
    found = [clip.get("pixel_values", clip.get("pixel_values_videos")) for clip in prepared]
    return torch.stack(found).reshape(PIXELS.shape)


@pytest.mark.parametrize("name", VIDEO)
def test_logits_of_video_models_are_those_of_transformers(name: str, model_folder: Folder) -> None:
    network = create(model_folder(name), weights="pretrained").eval()
    with torch.inference_mode():
        expected = theirs(model_folder(name))(inputs(name)).logits
        found = network(CLIP)
        packed = place(network, torch.device("cpu"))(CLIP.to(memory_format=torch.channels_last_3d))
    assert expected.std() > 0.1, "too small to show a difference"
    assert_close(found, expected)
    assert_close(packed, expected)


@pytest.mark.parametrize("name", TOWERS)
def test_features_of_towers_are_the_mean_of_their_pooled_outputs(name: str, model_folder: Folder) -> None:
    network = create(model_folder(name), weights="pretrained", probe="linear").eval()
    assert isinstance(network, Probe)
    with torch.inference_mode():
        frames = inputs(name).flatten(0, 1)
        expected = theirs(model_folder(name))(frames).pooler_output.unflatten(0, (2, FRAMES)).mean(1)
        found = network.features(CLIP)
    assert expected.std() > 0.1, "too small to show a difference"
    assert_close(found, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*VIDEO, *TOWERS])
def test_probes(name: str, kind: Kind, model_folder: Folder) -> None:
    """The tokens of an attentive probe are the encoder's last hidden state."""
    network = create(model_folder(name), weights="pretrained", probe=kind)
    assert isinstance(network, Probe)
    features = network.features(CLIP)
    assert network(features).shape == (2, CLASSES)
    if kind != "attentive":
        assert features.shape == (2, CHANNELS)
        return
    with torch.inference_mode():
        base, pixels = theirs(model_folder(name)), inputs(name)
        base = getattr(base, base.base_model_prefix, base) if name in VIDEO else base
        options = {"skip_predictor": True} if name == "vjepa2" else {}
        expected = base(pixels if name in VIDEO else pixels.flatten(0, 1), **options).last_hidden_state
    assert_close(features, expected.reshape(2, -1, CHANNELS))


@pytest.mark.parametrize("name", [*VIDEO, *TOWERS])
def test_gradient_reaches_all_parameters_in_bfloat16_and_checkpointed_blocks(
    name: str, model_folder: Folder
) -> None:
    network = place(create(model_folder(name), weights="pretrained"), torch.device("cpu")).eval()
    clip = CLIP.to(memory_format=torch.channels_last_3d)
    with torch.no_grad():
        expected = network(clip)
    save_activations(network)
    assert_close(network(clip), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network.train()(clip)
    nn.functional.cross_entropy(logits.float(), torch.tensor([1, 3])).backward()
    trained = {n: p for n, p in network.named_parameters() if not n.endswith("mask_token")}
    assert not [n for n, p in trained.items() if p.grad is None or not p.grad.isfinite().all()]
    # Softmax cancels a bias of the keys.
    idle = [n for n, p in trained.items() if p.numel() and p.grad is not None and not p.grad.any()]
    assert not [n for n in idle if ".key" not in n and ".k_proj" not in n]


@pytest.mark.parametrize("name", [*VIDEO, *TOWERS])
def test_can_be_built_without_memory_and_from_a_known_architecture(name: str, model_folder: Folder) -> None:
    """So a finished run needs no folder."""
    found = backbones.find_settings(model_folder(name))
    assert found is not None
    with torch.device("meta"):
        network = create(
            "transformers/gone/for-good", architecture=json.loads(json.dumps(found.architecture))
        )
    assert {p.device.type for p in network.parameters()} == {"meta"}
    expected = create(model_folder(name), weights="pretrained").state_dict()
    assert {n: t.shape for n, t in network.state_dict().items()} == {n: t.shape for n, t in expected.items()}


def test_random_weights_depend_on_the_seed_alone(model_folder: Folder) -> None:
    one, other = (create(model_folder("dinov2")).state_dict() for _ in range(2))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert one["input_shift"].tolist() == [0, 0, 0]


def test_reading_weights_draws_nothing_from_torch(tmp_path: Path) -> None:
    """transformers draws values for a classifier that is absent, which would change those of the heads."""
    backbone = save(small_model("videomae").videomae, tmp_path)
    found = []
    for weights in (None, "pretrained"):
        create(backbone, weights=weights)
        found.append(torch.rand(1))
    assert found[0] == found[1]


@pytest.mark.parametrize(("kind", "name"), [("CLIP", "clip"), ("Siglip", "siglip")])
def test_the_tower_of_a_model_of_images_and_texts(
    kind: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = pair(kind)
    backbone = save(whole, tmp_path / "whole", processor(name))
    found = create(backbone, weights="pretrained", probe="linear")
    assert isinstance(found, Probe)
    with torch.inference_mode():
        expected = whole.vision_model(inputs(name).flatten(0, 1)).pooler_output
        assert_close(found.features(CLIP), expected.unflatten(0, (2, FRAMES)).mean(1))
    assert not [n for n in found.state_dict() if "text" in n]
    with caplog.at_level(logging.INFO):
        assert create(backbone, weights="pretrained")
    assert "as the file has none" in caplog.text


def test_vjepa2_without_fine_tuning_is_pooled_by_the_mean(tmp_path: Path) -> None:
    _, config, values = VIDEO["vjepa2"]
    base = wake(transformers.VJEPA2Model(getattr(transformers, config)(**values)))
    backbone = save(base, tmp_path / "base", processor("vjepa2"))
    found = create(backbone, weights="pretrained", probe="linear")
    assert isinstance(found, Probe)
    with torch.inference_mode():
        expected = base(inputs("vjepa2"), skip_predictor=True).last_hidden_state.mean(1)
        assert_close(found.features(CLIP), expected)
    assert not [name for name in found.state_dict() if "predictor" in name]


def test_masked_pretraining_has_no_norm_before_the_classifier(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    decoder = {f"decoder_{key}": 48 for key in ("hidden_size", "intermediate_size")}
    decoder |= {"decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2}
    values = VIDEO["videomae"][2] | decoder
    masked = wake(transformers.VideoMAEForPreTraining(transformers.VideoMAEConfig(**values)))
    backbone = save(masked, tmp_path / "masked")
    with caplog.at_level(logging.WARNING):
        network = create(backbone, weights="pretrained").eval()
    assert "that it does not have keep their initial values: fc_norm.weight, fc_norm.bias" in caplog.text
    assert "(classifier.weight, classifier.bias), as the file has none" in caplog.text
    expected = masked.state_dict()["videomae.encoder.layer.1.output.dense.weight"]
    assert torch.equal(network.get_parameter("network.encoder.layer.1.output.dense.weight"), expected)


def test_rotated_positions_take_other_clips(tmp_path: Path) -> None:
    """V-JEPA 2 with another clip in its configuration is what transformers builds from that."""
    model, config, values = VIDEO["vjepa2"]
    trained = small_model("vjepa2")
    with torch.no_grad():
        for name, parameter in trained.named_parameters():
            # Sharp attention, or positions would hardly matter.
            parameter.mul_(10 if "query" in name or "key" in name else 1)
    other = getattr(transformers, config)(**values | {"crop_size": 48, "frames_per_clip": 6})
    expected = getattr(transformers, model)(other).eval()
    expected.load_state_dict(trained.state_dict())
    network = create(save(trained, tmp_path), frames=6, size=48, weights="pretrained").eval()
    scale, shift = (network.get_buffer(f"input_{part}").view(3, 1, 1, 1) for part in ("scale", "shift"))
    clip = torch.randn(1, 3, 6, 48, 48)
    with torch.inference_mode():
        assert_close(network(clip), expected((clip * scale + shift).transpose(1, 2)).logits)


@pytest.mark.parametrize("name", ["clip", "siglip", "dinov2", "dinov3"])
def test_towers_take_other_sizes(name: str, model_folder: Folder) -> None:
    network = create(model_folder(name), frames=3, size=48, weights="pretrained", probe="linear").eval()
    assert isinstance(network, Probe)
    options = {"interpolate_pos_encoding": True} if name in ("clip", "siglip") else {}
    scale, shift = (network.backbone.get_buffer(f"input_{part}") for part in ("scale", "shift"))
    clip = torch.randn(1, 3, 3, 48, 48)
    with torch.inference_mode():
        frames = (clip * scale.view(3, 1, 1, 1) + shift.view(3, 1, 1, 1))[0].transpose(0, 1)
        expected = theirs(model_folder(name))(frames, **options).pooler_output.mean(0, keepdim=True)
        assert_close(network.features(clip), expected)
