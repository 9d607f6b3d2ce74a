"""Loading weights: everything or nothing."""

import copy
import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as to_bytes
from safetensors.torch import save_file
from torch import Tensor, nn

from ssl_video.backbones import create, pretrained, weights
from ssl_video.backbones.weights import WeightReport
from ssl_video.errors import InputError


def load(model: nn.Module, path: Path | str) -> WeightReport:
    """A local file's tensors into a network that is no backbone."""
    return weights.load(model, pretrained.find(path, "tiny3d"))


def network(num_classes: int = 4, channels: int = 6, shift: float = 0.0) -> nn.Module:
    """Two convolutions, batch norm and a classifier: 2 + 5 + 2 + 2 = 11 tensors."""
    parts = {
        "stem": nn.Conv3d(3, channels, 1),
        "norm": nn.BatchNorm3d(channels),
        "body": nn.Conv3d(channels, channels, 1),
        "head": nn.Linear(channels, num_classes),
    }
    model = nn.Sequential()
    for name, part in parts.items():
        model.add_module(name, part)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(1 if tensor.dtype == torch.int64 else shift)
    return model


def same(first: nn.Module, second: nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all names are in UTF-8")
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_folder_whose_name_is_not_utf8(suffix: str, tmp_path: Path) -> None:
    source, target = network(shift=3.0), network()
    folder = tmp_path / os.fsdecode(b"r\xff")
    folder.mkdir()
    if suffix == ".pt":
        torch.save(source.state_dict(), folder / "weights.pt")
    else:
        (folder / "weights.safetensors").write_bytes(to_bytes(source.state_dict()))
    load(target, folder / f"weights{suffix}")
    assert same(source, target)


@pytest.mark.parametrize("key", [None, "state_dict", "model_state", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.network."])
def test_forms_of_a_file(key: str | None, prefix: str, tmp_path: Path) -> None:
    source, target = network(shift=3.0), network()
    content: Any = prefixed(source.state_dict(), prefix)
    if key:
        content = {"epoch": 7, key: content, "optimizer": {"lr": 0.1}}
    torch.save(content, tmp_path / "weights.pt")
    report = load(target, tmp_path / "weights.pt")
    assert same(source, target)
    assert len(report.matched) == 11
    assert report.skipped == ()


def test_safetensors_into_a_wrapped_network(tmp_path: Path) -> None:
    source = network(shift=3.0)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    wrapped = nn.ModuleDict({"outer": nn.ModuleDict({"inner": network()})})
    load(wrapped, tmp_path / "weights.safetensors")
    assert same(source, wrapped.get_submodule("outer.inner"))


def test_a_classifier_of_other_classes_stays_and_is_named(tmp_path: Path) -> None:
    source, target = network(num_classes=9, shift=3.0), network(num_classes=4)
    before = copy.deepcopy(target)
    torch.save(source.state_dict(), tmp_path / "weights.pt")
    report = load(target, tmp_path / "weights.pt")
    assert report.skipped == ("head.weight", "head.bias")
    assert len(report.matched) == 9
    assert str(report) == (
        f"9 tensors loaded from {tmp_path / 'weights.pt'}; the classifier keeps its initial values "
        "(head.weight, head.bias), as the file has 9 classes and the network 4"
    )
    assert torch.equal(target.get_parameter("stem.weight"), source.get_parameter("stem.weight"))
    assert same(target.get_submodule("head"), before.get_submodule("head"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda s: s.pop("body.bias"), r"tensors of the network missing in the file: 1 \(body.bias\)"),
        (
            lambda s: s.update({"extra.weight": s["stem.bias"]}),
            r"tensors of the file unknown to the network: 1 \(extra.weight\)",
        ),
        (
            lambda s: s.update({"stem.weight": torch.zeros(6, 3, 3, 1, 1)}),
            r"tensors of another shape: 1 \(stem.weight 6x3x3x1x1 in the file, 6x3x1x1x1 here\)",
        ),
        # Other rows, as in a classifier, but batch norm is none.
        (
            lambda s: s.update({"norm.bias": torch.zeros(5)}),
            r"tensors of another shape: 1 \(norm.bias 5",
        ),
        # Two layers that do not agree on the number of classes.
        (
            lambda s: s.update({"head.bias": torch.zeros(9), "body.bias": torch.zeros(8)}),
            r"tensors of another shape: 2 \(.*body.bias 8 in the file, 6 here",
        ),
        # A classifier of other classes must not hide another mistake.
        (
            lambda s: s.update({"head.bias": torch.zeros(9), "stem.bias": torch.tensor(1.0)}),
            r"tensors of another shape: 2 \(.*stem.bias scalar in the file",
        ),
    ],
)
def test_anything_else_is_refused_and_nothing_loaded(change: Any, problem: str, tmp_path: Path) -> None:
    state = dict(network(shift=3.0).state_dict())
    change(state)
    torch.save(state, tmp_path / "weights.pt")
    target = network()
    before = copy.deepcopy(target)
    with pytest.raises(InputError, match="do not fit the network, nothing was loaded") as caught:
        load(target, tmp_path / "weights.pt")
    assert [p for p in caught.value.problems if re.match(problem, p)], caught.value.problems
    assert same(before, target)


def test_another_width_is_counted_with_the_first_few_names(tmp_path: Path) -> None:
    torch.save(network(channels=8).state_dict(), tmp_path / "weights.pt")
    # All of stem, body and norm (2 + 2 + 4) and head.weight: 9 tensors, not the counter and head.bias.
    with pytest.raises(InputError, match=r"of another shape: 9 \(stem\.weight .*, stem\.bias .*, \.\.\.\)"):
        load(network(channels=6), tmp_path / "weights.pt")


def test_the_counters_of_batch_norm_may_be_missing(tmp_path: Path) -> None:
    source, target = network(shift=3.0), network(shift=1.0)
    state = dict(source.state_dict())
    del state["norm.num_batches_tracked"]
    torch.save(state, tmp_path / "weights.pt")
    assert len(load(target, tmp_path / "weights.pt").matched) == 10
    assert torch.equal(target.get_buffer("norm.running_mean"), source.get_buffer("norm.running_mean"))


class Surprise:
    """An object whose loading would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("surprise"),))


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def refused(name: str, match: str) -> None:
        with pytest.raises(InputError, match=match):
            load(network(), tmp_path / name)

    refused("absent.pt", "there is no file .*absent.pt")
    torch.save({"state_dict": network().state_dict(), "config": Surprise()}, "surprise.pt")
    refused("surprise.pt", r"refused, as it holds objects other than tensors.*torch\.save\(model\.state_dict")
    assert not Path("surprise").exists()
    for name, content in {
        "empty.pt": b"",
        "text.pth": b"<html>not found</html>",
        "no.safetensors": b"abc",
    }.items():
        Path(name).write_bytes(content)
        refused(name, "damaged|not a readable safetensors file")
    torch.save(network().state_dict(), "cut.pt")
    Path("cut.pt").write_bytes(Path("cut.pt").read_bytes()[:-300])
    refused("cut.pt", "unreadable, damaged or not from torch.save")
    torch.save([torch.zeros(1)], "list.pt")
    refused("list.pt", "holds a list, expected tensors by name")
    torch.save({"epoch": 3, "best": 0.5}, "numbers.pt")
    refused("numbers.pt", r"2 entries other than tensors by name \('epoch', 'best'\); .* state_dict, model_s")


def test_create_says_what_it_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.save(create("slow_r50", 9, width=0.125).state_dict(), tmp_path / "slow.pt")
    with caplog.at_level(logging.INFO):
        create("slow_r50", 4, width=0.125, weights=tmp_path / "slow.pt")
    assert "slow_r50: " in caplog.text
    assert "(blocks.5.proj.weight, blocks.5.proj.bias), as the file has 9 classes" in caplog.text
    with pytest.raises(InputError, match="are backbone and width those"):
        create("slow_r50", 9, width=0.25, weights=tmp_path / "slow.pt")
