"""Folders of models of transformers: clips, normalisation, weights, errors. Nothing is downloaded."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.numbers import assert_close, close
from helpers.transformers_models import (
    CLASSES,
    FRAMES,
    SIZE,
    model_folder,
    processor,
    save,
    small_model,
    transformers,
)
from safetensors.torch import load_file, save_file
from torch import nn

from ssl_video import backbones
from ssl_video.backbones import pretrained
from ssl_video.backbones.inputs import CLIPS, IMAGENET
from ssl_video.errors import InputError

__all__ = ["model_folder"]

Folder = Callable[[str], str]


def create(name: str, *, frames: int = FRAMES, size: int = SIZE, **more: Any) -> nn.Module:
    return backbones.create(name, CLASSES, frames=frames, size=size, **more)


@pytest.mark.parametrize("name", ["videomae", "vivit", "timesformer"])
def test_fixed_positions(name: str, model_folder: Folder) -> None:
    with pytest.raises(InputError, match=rf"/{name} has positions for 4 frames: give frames=4, not 8"):
        create(model_folder(name), frames=8)
    with pytest.raises(InputError, match=r"for frames of 32x32 pixels: give size=32, not 48"):
        create(model_folder(name), size=48)


def test_clips_that_cannot_be_cut_into_patches(model_folder: Folder) -> None:
    with pytest.raises(InputError, match=r"size must be a multiple of 16, not 40: try 32 or 48"):
        create(model_folder("dinov3"), size=40)
    with pytest.raises(InputError, match=r"frames must be a multiple of 2, not 5: try 4 or 6"):
        create(model_folder("vjepa2"), frames=5)
    with pytest.raises(InputError, match=r"size must be at least 32, not 16"):
        create(model_folder("dinov3-convnext"), size=16)
    with pytest.raises(InputError, match=r"has only one width, so 0\.5 is not possible"):
        create(model_folder("clip"), width=0.5)


def write(folder: Path, name: str, **values: Any) -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(values))
    return f"transformers/{folder}"


def test_the_clip_of_a_model(tmp_path: Path, model_folder: Folder) -> None:
    """From the configuration; the size of towers from the processor, if patches fit."""

    def clip(name: str) -> tuple[int | None, int]:
        found = backbones.find_settings(name)
        assert found is not None
        return found.frames, found.size

    assert clip(model_folder("vivit")) == (FRAMES, SIZE)
    assert clip(model_folder("dinov3-convnext")) == (None, SIZE)
    large = write(tmp_path / "large", "config.json", model_type="dinov2", image_size=518, patch_size=14)
    assert clip(large) == (None, 518)
    cut = {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}
    write(tmp_path / "large", "preprocessor_config.json", **cut, do_center_crop=True, image_mean=[0, 0, 0])
    assert clip(large) == (None, 224)
    write(tmp_path / "large", "preprocessor_config.json", size={"height": 30, "width": 30})
    assert clip(large) == (None, 518), "30 pixels are no whole patches"
    # A configuration that leaves out what equals the library's defaults, and a processor inside another.
    small = write(tmp_path / "sparse", "config.json", model_type="siglip", vision_config={})
    assert clip(small) == (None, 224)
    found = backbones.find_settings(small)
    assert found is not None
    assert found.architecture == {"model_type": "siglip_vision_model"}, "equal in all versions of the library"
    write(
        tmp_path / "sparse", "processor_config.json", image_processor={"size": {"height": 256, "width": 256}}
    )
    assert clip(small) == (None, 256)
    video = write(tmp_path / "video", "config.json", model_type="vjepa2")
    write(tmp_path / "video", "video_preprocessor_config.json", crop_size=384, image_mean=[0.5] * 3)
    assert clip(video) == (64, 384)


@pytest.mark.parametrize(
    ("kind", "mean", "deviation"),
    [
        ("videomae", IMAGENET.mean, IMAGENET.deviation),
        ("timesformer", CLIPS.mean, CLIPS.deviation),
        ("vivit", (0.75,) * 3, (0.25,) * 3),
        ("clip", (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
        ("siglip_vision_model", (0.5,) * 3, (0.5,) * 3),
        ("dinov3_vit", IMAGENET.mean, IMAGENET.deviation),
    ],
)
def test_the_normalisation_of_a_folder_without_processor(
    kind: str, mean: tuple[float, ...], deviation: tuple[float, ...], tmp_path: Path
) -> None:
    backbone = write(tmp_path / "bare", "config.json", model_type=kind)
    (tmp_path / "bare/model.safetensors").touch()
    found = pretrained.find("pretrained", backbone).normalisation
    assert (found.mean, found.deviation) == (mean, deviation)


def test_the_processor_of_vivits_videos(tmp_path: Path) -> None:
    """Its file does not tell that pixels are lowered by 1."""
    backbone = write(tmp_path / "bare", "config.json", model_type="vivit")
    (tmp_path / "bare/model.safetensors").touch()
    kind = "VivitVideoProcessor"
    values = {"rescale_factor": 1 / 127.5, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    write(tmp_path / "bare", "video_preprocessor_config.json", **values, video_processor_type=kind)
    found = pretrained.find("pretrained", backbone).normalisation
    assert [*found.mean, *found.deviation] == close([0.75] * 3 + [0.25] * 3)
    if hasattr(transformers, kind):
        made = transformers.VivitVideoProcessor(do_resize=False, do_center_crop=False)
        black = made(torch.zeros(1, 1, 3, 8, 8).byte(), return_tensors="pt")["pixel_values"]
        assert black.unique().tolist() == close([-3.0])  # (0 - 0.75) / 0.25


def test_processors_that_only_scale(tmp_path: Path) -> None:
    backbone = write(tmp_path / "bare", "config.json", model_type="dinov2")
    (tmp_path / "bare/model.safetensors").touch()
    write(tmp_path / "bare", "preprocessor_config.json", do_normalize=False, do_rescale=False)
    found = pretrained.find("pretrained", backbone).normalisation
    assert [*found.mean, *found.deviation] == close([0, 0, 0, *[1 / 255] * 3])


def test_weights_in_parts(tmp_path: Path) -> None:
    model = small_model("dinov2")
    model.save_pretrained(tmp_path / "parts", max_shard_size="40KB")
    assert len(list((tmp_path / "parts").glob("model-*.safetensors"))) > 1
    network = create(f"transformers/{tmp_path / 'parts'}", weights="pretrained")
    found = network.state_dict()
    assert all(torch.equal(tensor, found[f"network.{name}"]) for name, tensor in model.state_dict().items())


def test_the_identity_of_weights(tmp_path: Path) -> None:
    """Every part of the folder that changes numbers, wherever the folder is."""
    backbone = save(small_model("dinov2"), tmp_path / "one", processor("dinov2"))
    first = pretrained.find("pretrained", backbone).identity()
    (tmp_path / "one").rename(tmp_path / "two")
    moved = f"transformers/{tmp_path / 'two'}"
    assert pretrained.find("pretrained", moved).identity() == first
    file = tmp_path / "two/model.safetensors"
    tensors = load_file(file)
    tensors["layernorm.bias"][3] += 1e-3
    save_file(tensors, file, {"format": "pt"})
    second = pretrained.find("pretrained", moved).identity()
    write(tmp_path / "two", "preprocessor_config.json", image_mean=[0, 0, 0])
    third = pretrained.find("pretrained", moved).identity()
    assert len({first, second, third}) == 3


def test_weights_that_lack_tensors(tmp_path: Path) -> None:
    backbone = save(small_model("dinov2"), tmp_path / "model")
    file = tmp_path / "model/model.safetensors"
    save_file({n: t for n, t in load_file(file).items() if "layernorm.b" not in n}, file, {"format": "pt"})
    with pytest.raises(
        InputError, match=r"model lack 1 tensor of the model .* config\.json .*layernorm\.bias"
    ):
        create(backbone, weights="pretrained")
    file.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InputError, match=r"transformers cannot read its weights \("):
        create(backbone, weights="pretrained")
    file.unlink()
    with pytest.raises(InputError, match=r"has no weights .*: leave weights out to train from scratch"):
        create(backbone, weights="pretrained")


def test_a_file_of_weights_beside_the_folder(tmp_path: Path, model_folder: Folder) -> None:
    """Those of a finished run, with their normalisation."""
    network = create(model_folder("videomae"), weights="pretrained").eval()
    torch.save(network.state_dict(), tmp_path / "run.pt")
    found = create(model_folder("videomae"), weights=tmp_path / "run.pt").eval()
    clip = torch.randn(2, 3, FRAMES, SIZE, SIZE)
    with torch.inference_mode():
        assert_close(found(clip), network(clip))
    with pytest.raises(InputError, match="pretrained:FILE is not for models of transformers"):
        create(model_folder("videomae"), weights=f"pretrained:{tmp_path / 'run.pt'}")


def test_folders_that_are_no_backbones(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty has no config\.json: give a folder that save_pretrained"):
        create(f"transformers/{tmp_path / 'empty'}")
    with pytest.raises(InputError, match=r"there is no folder /nowhere/at/all"):
        create("transformers//nowhere/at/all")
    with pytest.raises(
        InputError, match=r"the kind 'bert', which is not supported as a backbone; known: videomae, vjepa2"
    ):
        create(write(tmp_path / "text", "config.json", model_type="bert"))
    (tmp_path / "text/config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json cannot be read: "):
        create(f"transformers/{tmp_path / 'text'}")
    (tmp_path / "text/config.json").write_text("[]")
    with pytest.raises(InputError, match=r"config\.json holds a list, expected names and values"):
        create(f"transformers/{tmp_path / 'text'}")
    with pytest.raises(InputError, match=r"takes frames of 1 channel, and clips have 3"):
        create(write(tmp_path / "grey", "config.json", model_type="dinov2", num_channels=1), size=28)
    with pytest.raises(InputError, match=r"only square ones are possible here"):
        create(write(tmp_path / "wide", "config.json", model_type="dinov2", image_size=[32, 64]))
    wrong = {"hidden_act": "none", "patch_size": 16}
    with pytest.raises(InputError, match=r"transformers cannot build it from its config\.json \("):
        create(write(tmp_path / "wrong", "config.json", model_type="dinov2", **wrong))
    with pytest.raises(InputError, match="backbone tiny3d has no architecture to choose"):
        create("tiny3d", architecture={})


def test_the_library_is_an_extra(model_folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = model_folder("clip")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"not installed: pip install 'ssl-video\[transformers\]'"):
        create(backbone)


def test_a_library_that_needs_a_newer_torch(model_folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no models then, but can be imported."""
    name = model_folder("clip")
    monkeypatch.setattr("transformers.utils.is_torch_available", lambda: False)
    with pytest.raises(
        InputError, match=r"^transformers \S+ does not support torch \S+: install a newer torch"
    ):
        create(name)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the hub, where the hub cannot be reached."""
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_model_of_the_hub_that_cannot_be_reached(hub: Path) -> None:
    with pytest.raises(InputError) as caught:
        create("transformers/some-lab/some-model")
    (problem,) = caught.value.problems
    assert "some-lab/some-model cannot be downloaded from the Hugging Face hub (" in problem
    assert "give a folder that save_pretrained wrote, transformers/FOLDER" in problem


def test_a_model_in_the_cache_of_the_hub(hub: Path) -> None:
    """It is read without a network, and its commit identifies it."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    model = small_model("clip")
    save(model, hub / f"models--lab--clip/snapshots/{commit}", processor("clip"))
    (hub / "models--lab--clip/refs").mkdir()
    (hub / "models--lab--clip/refs/main").write_text(commit)
    for name in ("transformers/lab/clip", "transformers/lab/clip@main", f"transformers/lab/clip@{commit}"):
        found = create(name, weights="pretrained").state_dict()
        assert all(torch.equal(tensor, found[f"network.{n}"]) for n, tensor in model.state_dict().items())
        identity = name.removeprefix("transformers/") + f"@{commit}"
        assert pretrained.find("pretrained", name).identity() == identity
