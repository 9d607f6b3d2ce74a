import os
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from ssl_video.errors import InputError
from ssl_video.runs import checkpoint, weight_file


def state() -> dict[str, Any]:
    """Weights of every kind that an algorithm may have."""
    kernel = torch.arange(2 * 3 * 2 * 2 * 2, dtype=torch.float32).reshape(2, 3, 2, 2, 2)
    return {
        "algorithm": {
            "model.kernel": kernel.contiguous(memory_format=torch.channels_last_3d),
            "model.tied": kernel,
            "model.same": kernel,
            "seen": torch.tensor([3, 0], dtype=torch.int64),
            "used": torch.tensor([True, False]),
            "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
            "count": torch.tensor(7),
            "nothing": torch.empty(0, 4),
        },
        "ema": {"network.kernel": kernel / 2},
        "spec": {"steps": 9, "options": {"span": [0.0, 1.0]}},
        "classes": ["a", "b"],
        "num_unlabeled": 3,
    }


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    weight_file.save(state(), tmp_path / "final.safetensors")
    found, expected = checkpoint.load(tmp_path / "final.safetensors"), state()
    assert found.keys() == expected.keys()
    for part in ("algorithm", "ema"):
        weights, others = found.pop(part), expected.pop(part)
        assert weights.keys() == others.keys()
        for name, weight in others.items():
            assert weights[name].dtype == weight.dtype
            assert torch.equal(weights[name], weight)
    assert found == expected


def test_temperatures_come_back(tmp_path: Path) -> None:
    """They are in the checksum, too."""
    known = {"calibration": {"clips": 40, "temperatures": {"model": 1.7}}}
    path = tmp_path / "final.safetensors"
    weight_file.save(state() | known, path)
    assert checkpoint.load(path)["calibration"] == known["calibration"]
    path.write_bytes(path.read_bytes().replace(b"1.7", b"1.8"))
    with pytest.raises(InputError, match="its checksum is wrong"):
        checkpoint.load(path)


def test_others_can_read_it(tmp_path: Path) -> None:
    """With safetensors alone: names of tensors, and the classes as JSON."""
    weight_file.save(state(), tmp_path / "final.safetensors")
    tensors = safetensors.torch.load_file(tmp_path / "final.safetensors")
    assert "algorithm.model.kernel" in tensors
    with safetensors.safe_open(tmp_path / "final.safetensors", framework="pt") as file:
        assert file.metadata()["classes"] == '["a", "b"]'


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all names are in UTF-8")
def test_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"r\xff")
    folder.mkdir()
    weight_file.save(state(), folder / "final.safetensors")
    assert weight_file.load(folder / "final.safetensors")["classes"] == ["a", "b"]
    checkpoint.save(state() | {"step": 4}, folder)
    found, problems = checkpoint.latest(folder)
    assert (found or {})["step"] == 4
    assert not problems
    (folder / "final.safetensors").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"final\.safetensors is damaged"):
        weight_file.load(folder / "final.safetensors")


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    """Safetensors by itself has no checksum: flips of weights or classes would go unnoticed."""
    path = tmp_path / "final.safetensors"
    weight_file.save(state(), path)
    whole = path.read_bytes()
    places = [*range(0, len(whole), 53), len(whole) - 1, whole.index(b'"classes"') + 15]
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        try:
            found = weight_file.load(path)
        except InputError:
            continue
        # Spaces between names say nothing.
        assert torch.equal(found["algorithm"]["model.kernel"], state()["algorithm"]["model.kernel"])
        assert found["classes"] == ["a", "b"], place
        assert place < 8 + int.from_bytes(whole[:8], "little")


def test_a_file_cut_anywhere_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "final.safetensors"
    weight_file.save(state(), path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"final\.safetensors is damaged"):
            weight_file.load(path)


def test_files_of_others(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no checkpoint"):
        weight_file.load(tmp_path / "absent.safetensors")
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="was not exported by ssl-video: its format is None"):
        weight_file.load(tmp_path / "other.safetensors")
