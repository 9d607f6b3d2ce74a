"""Checkpoints as the training scripts of others write them: MoCo, DINO, SimCLR, MAE, Lightning."""

import argparse
import datetime
import pickle
import re
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ssl_video.backbones import create, pretrained, weights
from ssl_video.backbones.files import read
from ssl_video.backbones.weights import WeightReport
from ssl_video.errors import InputError


def encoder(value: float, blocks: int = 2) -> dict[str, Tensor]:
    """Tensors of all layers of `network` but the classifier: 6, and 2 of each block."""
    layers = nn.ModuleDict({"stem": nn.Conv3d(3, 4, 1, bias=False), "norm": nn.BatchNorm3d(4)})
    layers["blocks"] = nn.Sequential(*(nn.Conv3d(4, 4, 1) for _ in range(blocks)))
    return {name: torch.full_like(tensor, value) for name, tensor in layers.state_dict().items()}


def network(classes: int = 3) -> nn.Module:
    """A network of two blocks: 9 tensors that are needed and a counter, and 2 of the classifier."""
    model = nn.Module()
    for name, tensor in encoder(0.0).items():
        owner = model
        *outer, last = name.split(".")
        for part in outer:
            if not hasattr(owner, part):
                owner.add_module(part, nn.Module())
            owner = owner.get_submodule(part)
        owner.register_buffer(last, tensor)
    model.add_module("fc", nn.Linear(4, classes))
    return model


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def projection(value: float = 0.0) -> dict[str, Tensor]:
    """The perceptron in place of a classifier."""
    return {"fc.0.weight": torch.full((4, 4), value), "fc.2.weight": torch.full((8, 4), value)}


def load(path: Path, **keywords: Any) -> tuple[nn.Module, WeightReport]:
    model = network()
    source = pretrained.find(path, "tiny3d")
    return model, weights.load(model, source, num_classes=3, **keywords)


def filled(model: nn.Module) -> float:
    """The value of all tensors but the classifier's."""
    values = {v for n, t in model.state_dict().items() if not n.startswith("fc") for v in t.unique().tolist()}
    (value,) = values
    return float(value)


def problem(path: Path, **keywords: Any) -> str:
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError) as caught:
        weights.load(model, pretrained.find(path, "tiny3d"), num_classes=3, **keywords)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    return "\n".join(caught.value.problems)


@pytest.fixture
def moco(tmp_path: Path) -> Path:
    """Two encoders, each with its projection, and a queue; the best accuracy is a number of numpy."""
    tensors = under("module.encoder_q.", encoder(1.0) | projection())
    tensors |= under("module.encoder_k.", encoder(2.0) | projection())
    tensors |= {"module.queue": torch.zeros(8, 5), "module.queue_ptr": torch.zeros(1)}
    optimizer = {"state": {0: {"momentum_buffer": torch.zeros(4)}}, "param_groups": [{"lr": 0.1}]}
    saved = {"epoch": 7, "arch": "net", "state_dict": tensors, "optimizer": optimizer}
    torch.save(saved | {"best": np.float64(0.5)}, tmp_path / "moco.pth.tar")
    return tmp_path / "moco.pth.tar"


def test_one_of_two_encoders_is_chosen(moco: Path) -> None:
    assert problem(moco) == (
        f"{moco}: 2 parts of it fit the network, 9 of 11 tensors each: state_dict.module.encoder_q, "
        "state_dict.module.encoder_k; choose one with weights_prefix, for example "
        "state_dict.module.encoder_q"
    )
    for prefix, value in (("encoder_q", 1), ("module.encoder_k", 2), ("state_dict.module.encoder_k.", 2)):
        model, report = load(moco, prefix=prefix)
        assert filled(model) == value
    assert report.classes == (0, 3)
    assert report.partial
    assert str(report) == (
        f"10 tensors loaded from {moco} (prefix state_dict.module.encoder_k); the classifier keeps its "
        "initial values (fc.weight, fc.bias), as the file has none; beside them it has "
        "state_dict.module.encoder_q, state_dict.module.encoder_k.fc, state_dict.module.queue, "
        "state_dict.module.queue_ptr"
    )


def test_a_prefix_that_the_file_lacks(moco: Path) -> None:
    assert problem(moco, prefix="base") == (
        f"{moco}: no tensor of it is under the prefix 'base' (weights_prefix); it has "
        "state_dict.module.encoder_q, state_dict.module.encoder_k, state_dict.module.queue, "
        "state_dict.module.queue_ptr"
    )
    assert re.search(r"did you mean encoder_[qk] or encoder_[qk]", problem(moco, prefix="encoder_x"))


def test_a_teacher_and_a_student(tmp_path: Path) -> None:
    """As of DINO: under two keys, with a head beside the network, and the script's arguments."""
    teacher = under("backbone.", encoder(2.0)) | {"head.mlp.0.weight": torch.zeros(4, 4)}
    student = under("module.", under("backbone.", encoder(1.0)) | {"head.last.weight": torch.zeros(4, 4)})
    saved = {"student": student, "teacher": teacher, "epoch": 3, "args": argparse.Namespace(out=tmp_path)}
    torch.save(saved, tmp_path / "dino.pth")
    assert "student.module.backbone, teacher.backbone; choose" in problem(tmp_path / "dino.pth")
    # Both have a backbone.
    assert "2 parts of it fit" in problem(tmp_path / "dino.pth", prefix="backbone")
    model, report = load(tmp_path / "dino.pth", prefix="teacher")
    assert filled(model) == 2
    assert (report.prefix, report.beside) == ("teacher.backbone", ("student", "teacher.head"))


def test_the_only_part_that_fits_is_found(tmp_path: Path) -> None:
    """As of SimCLR in Lightning: the network under its attribute, a projector beside it."""
    tensors = under("backbone.", encoder(1.0)) | {"projector.0.weight": torch.zeros(4, 4)}
    saved = {
        "epoch": 3,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": tensors,
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.5)}},
        "hyper_parameters": {"lr": 0.1, "classes": ["a", "b"]},
    }
    torch.save(saved, tmp_path / "simclr.ckpt")
    model, report = load(tmp_path / "simclr.ckpt")
    assert filled(model) == 1
    assert report.prefix == "state_dict.backbone"
    assert "state_dict.projector" in report.beside


def test_a_model_precedes_its_moving_average(tmp_path: Path) -> None:
    head = {"fc.weight": torch.ones(3, 4), "fc.bias": torch.ones(3)}
    saved = {"model_ema": encoder(2.0) | head, "model": encoder(1.0) | head}
    torch.save(saved, tmp_path / "both.pth")
    model, report = load(tmp_path / "both.pth")
    assert filled(model) == 1
    assert model.get_parameter("fc.weight").eq(1).all()
    assert (report.prefix, report.classes, report.beside) == ("model", None, ("model_ema",))
    assert not report.partial
    assert filled(load(tmp_path / "both.pth", prefix="model_ema")[0]) == 2


def test_a_classifier_of_other_classes_under_a_prefix(tmp_path: Path) -> None:
    head = {"fc.weight": torch.ones(9, 4), "fc.bias": torch.ones(9)}
    torch.save({"model": under("net.", encoder(1.0) | head)}, tmp_path / "nine.pth")
    model, report = load(tmp_path / "nine.pth")
    assert filled(model) == 1
    assert (report.classes, report.skipped) == ((9, 3), ("fc.weight", "fc.bias"))


def test_a_deeper_network_is_no_encoder_with_something_beside_it(tmp_path: Path) -> None:
    """All tensors of two blocks are there, with those of a third one."""
    torch.save(under("encoder.", encoder(1.0, blocks=3)), tmp_path / "deep.pth")
    said = problem(tmp_path / "deep.pth")
    assert said.startswith(
        f"{tmp_path / 'deep.pth'}: these weights do not fit the network, nothing was loaded: 9 of 11 tensors "
        "fit under the prefix encoder; are backbone and width"
    )
    assert "unknown to the network: 2 (blocks.2.weight, blocks.2.bias)" in said


def test_an_encoder_of_another_width(tmp_path: Path) -> None:
    wide = {name: torch.zeros(8) if name == "blocks.0.bias" else t for name, t in encoder(1.0).items()}
    torch.save(under("encoder.", wide), tmp_path / "wide.pth")
    assert "blocks.0.bias 8 in the file, 4 here" in problem(tmp_path / "wide.pth")
    model, report = load(tmp_path / "wide.pth", partial=True)
    assert model.get_buffer("blocks.0.weight").eq(1).all()
    assert report.skipped == ("blocks.0.bias",)
    assert report.new == ("fc.weight", "fc.bias")


def test_a_part_of_one_of_two_encoders(moco: Path) -> None:
    assert "2 parts of it fit" in problem(moco, partial=True)
    model, report = load(moco, partial=True, prefix="encoder_q")
    assert filled(model) == 1
    assert report.unused == ()


# -- MAE: an encoder of images without classifier, a decoder beside it, another number of positions


def mae(name: str, size: int, tmp_path: Path) -> tuple[nn.Module, Path]:
    """Save the tensors of a vision transformer without its classifier."""
    import timm

    torch.manual_seed(1)
    model = timm.create_model("vit_tiny_patch16_224", img_size=size, num_classes=0)
    decoder = {"mask_token": torch.zeros(1, 1, 8), "decoder_blocks.0.attn.qkv.weight": torch.zeros(24, 8)}
    saved = {"model": model.state_dict() | decoder, "args": argparse.Namespace(lr=np.float32(0.1))}
    torch.save(saved, tmp_path / f"{name}.pth")
    return model, tmp_path / f"{name}.pth"


@pytest.mark.parametrize(
    ("backbone", "lead"), [("timm/vit_tiny_patch16_224", "network."), ("timesformer_tiny", "")]
)
def test_an_image_encoder_with_a_decoder(backbone: str, lead: str, tmp_path: Path) -> None:
    theirs, path = mae("mae", 32, tmp_path)
    reports = list[WeightReport]()
    made = create(backbone, 5, size=32, frames=2, weights=path, loaded=reports.append)
    kernel = made.get_parameter(f"{lead}blocks.3.mlp.fc1.weight")
    assert torch.equal(kernel, theirs.get_parameter("blocks.3.mlp.fc1.weight"))
    assert torch.equal(made.get_parameter(f"{lead}pos_embed"), theirs.pos_embed)  # type: ignore[arg-type]
    (report,) = reports
    assert report.skipped == (f"{lead}head.weight", f"{lead}head.bias")
    assert report.beside == ("model.mask_token", "model.decoder_blocks")


@pytest.mark.parametrize(
    ("backbone", "lead"), [("timm/vit_tiny_patch16_224", "network."), ("timesformer_tiny", "")]
)
def test_positions_of_another_number_are_resampled(backbone: str, lead: str, tmp_path: Path) -> None:
    """Four patches become nine: the class token's position stays, and so does the mean of four equal ones."""
    _, path = mae("mae", 32, tmp_path)
    saved = torch.load(path, weights_only=False)
    saved["model"]["pos_embed"][:, 1:] = 0.5
    torch.save(saved, path)
    places = create(backbone, 5, size=48, frames=2, weights=path).get_parameter(f"{lead}pos_embed")
    assert places.shape == (1, 1 + 9, 192)
    assert torch.equal(places[:, 0], saved["model"]["pos_embed"][:, 0])
    torch.testing.assert_close(places[:, 1:], torch.full((1, 9, 192), 0.5))
    # Five positions are no square grid.
    saved["model"]["pos_embed"] = torch.zeros(1, 1 + 5, 192)
    torch.save(saved, path)
    with pytest.raises(InputError, match=r"pos_embed 1x6x192 in the file, 1x10x192 here"):
        create(backbone, 5, size=48, frames=2, weights=path)


# -- objects beside the tensors


def test_harmless_objects_are_left_out(tmp_path: Path) -> None:
    beside = {
        "best": np.float64(0.5),
        "flag": np.bool_(True),
        "word": np.str_("a"),
        "history": np.arange(3.0),
        "random": np.random.RandomState(0).get_state(),
        "args": argparse.Namespace(out=tmp_path, when=datetime.datetime(2026, 1, 1)),
    }
    torch.save({"state_dict": encoder(1.0), **beside}, tmp_path / "beside.pth")
    assert read(tmp_path / "beside.pth").keys() == {f"state_dict.{name}" for name in encoder(1.0)}


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_numbers_of_numpy_1_and_2(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function is called by another name in files of another version."""
    fake = types.ModuleType(module)

    class Number:
        def __reduce__(self) -> tuple[Any, ...]:
            return fake.scalar, (np.dtype("f8"), b"\0" * 8)

    def scalar(*_: Any) -> None:
        raise AssertionError("nothing of the file is called")

    scalar.__module__, scalar.__qualname__ = module, "scalar"
    fake.scalar = scalar  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module, fake)
    torch.save({"model": encoder(1.0), "best": Number()}, tmp_path / "number.pth")
    assert module.encode() in (tmp_path / "number.pth").read_bytes()
    assert len(read(tmp_path / "number.pth")) == len(encoder(1.0))


class Opens:
    """Opens a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("opened", "w")


@pytest.mark.parametrize("holder", ["plain", "argparse"])
def test_other_objects_are_refused_and_named(
    holder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also inside one that is allowed."""
    monkeypatch.chdir(tmp_path)
    beside = Opens() if holder == "plain" else argparse.Namespace(inner=Opens())
    torch.save({"state_dict": encoder(1.0), "beside": beside}, "opens.pth")
    with pytest.raises(
        InputError, match=r"opens.pth: refused, as it holds objects other .* \((_io|io)\.open\)"
    ):
        read("opens.pth")
    assert not Path("opened").exists()
    assert b"open" in pickle.dumps(Opens())
