"""Exported networks run without this package, and give the probabilities of `predict`."""

import errno
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.numbers import assert_close
from helpers.paths import ROOT
from helpers.videos import KINDS, encode
from inference.export_backbones import outcomes, trained
from torch import Tensor, nn

from ssl_video.data.video.decode import decode
from ssl_video.data.views.sampling import even_starts, frame_indices
from ssl_video.errors import InputError
from ssl_video.inference import export
from ssl_video.inference.calibration import Calibration
from ssl_video.inference.model import Model
from ssl_video.networks.memory_format import PointwiseConv3d, place
from ssl_video.runs import weight_file
from ssl_video.spec import plain

CPU = torch.device("cpu")
needs_onnx = pytest.mark.skipif(
    not (util.find_spec("onnxscript") and util.find_spec("onnxruntime")),
    reason="needs the extra onnx",
)
KINDS_OF_FILES = [pytest.param(".pt2"), pytest.param(".onnx", marks=needs_onnx)]

# Runs where `import ssl_video` fails. Prints the metadata and the probabilities as JSON.
ELSEWHERE = """
import json, sys
sys.modules["ssl_video"] = None
import numpy as np
file, frames = sys.argv[1], np.load(sys.argv[2])
if file.endswith(".onnx"):
    import onnxruntime
    session = onnxruntime.InferenceSession(file)
    about = session.get_modelmeta().custom_metadata_map
    about |= {key: json.loads(about[key]) for key in ("classes", "frames")}
    found = session.run(None, {"frames": frames})[0]
    assert "torch" not in sys.modules
else:
    import torch
    extra = {"ssl-video.json": ""}
    found = torch.export.load(file, extra_files=extra).module()(torch.from_numpy(frames)).numpy()
    about = json.loads(extra["ssl-video.json"])
print(json.dumps({"about": about, "probabilities": found.astype(float).tolist()}))
"""


def elsewhere(file: Path, frames: np.ndarray) -> dict[str, Any]:
    """Run a file in a process without this package."""
    np.save(file.with_suffix(".npy"), frames)
    command = [sys.executable, "-I", "-c", ELSEWHERE, str(file), str(file.with_suffix(".npy"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def clips_of(model: Model, video: Path) -> np.ndarray:
    """Decode and sample a video as the metadata says, (test_clips, T, H, W, 3)."""
    shape = model.assembly.shape_for("model")
    frames = decode(video, export.describe(model, "model")["short_side"])
    starts = even_starts(model.spec.test_clips, shape.span, len(frames))
    return np.stack([frames[frame_indices(start, shape, len(frames))] for start in starts])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS_OF_FILES)
def test_a_process_without_this_package(kind: str, tmp_path: Path) -> None:
    calibration = Calibration(clips=50, temperatures={"model": 1.7})
    model = replace(trained("tiny3d", stride=2, test_clips=3), calibration=calibration)
    video = encode(tmp_path / "a.mp4", KINDS["h264"]._replace(size=(48, 64)), 20)
    done = model.export(tmp_path / f"model{kind}")
    assert done.difference is not None
    assert done.difference < 1e-6
    found = elsewhere(done.path, clips_of(model, video))
    expected = model.probabilities([video])[0][video]
    assert np.ptp(expected) > 0.1
    assert np.mean(found["probabilities"], 0) == pytest.approx(expected, abs=1e-4)
    about = found["about"]
    assert float(about["temperature"]) == 1.7
    assert (about["classes"], about["frames"], about["backbone"]) == (model.classes, 4, "tiny3d")
    assert about["sampling"] == "dense"


def test_the_model_is_as_before(tmp_path: Path) -> None:
    """Its convolutions, its gradients and its modes."""
    model = trained("tiny3d", width=0.125)
    network = nn.Sequential(nn.Conv3d(3, 3, 1), model.module)
    place(network, CPU).train()
    network[1].eval()
    with export._portable(network, CPU):
        assert type(network[0]) is nn.Conv3d
        assert not any(parameter.requires_grad for parameter in network.parameters())
        assert not network.training
    assert type(network[0]) is PointwiseConv3d
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert (network.training, network[0].training, network[1].training) == (True, True, False)


class Undecided(nn.Module):
    """Takes a way that depends on the values of a clip, which an export cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 5)

    def forward(self, clip: Tensor) -> Tensor:
        """Map a clip (N, 3, T, H, W) -> logits (N, 5)."""
        mean: Tensor = self.layer(clip.mean((2, 3, 4)))
        return mean if mean.sum() > 0 else -mean


def with_network(model: Model, network: nn.Module) -> Model:
    """Return a model with another network."""
    model.assembly.algorithm.model = network
    return model


def test_a_network_that_cannot_be_exported(tmp_path: Path) -> None:
    model = with_network(trained("tiny3d"), Undecided().eval())
    with pytest.raises(InputError, match=r"^backbone tiny3d cannot be exported as \.pt2: .*\w") as found:
        model.export(tmp_path / "model.pt2")
    assert "\n" not in str(found.value)
    assert not list(tmp_path.iterdir())


def test_a_file_that_differs_from_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that was there stays."""
    file = tmp_path / "model.pt2"
    file.write_text("before")
    opened = export._opened

    def wrong(content: bytes, kind: str) -> Callable[[np.ndarray], np.ndarray]:
        function = opened(content, kind)
        assert function
        return lambda frames: function(frames) + np.float32(2e-4)

    monkeypatch.setattr(export, "_opened", wrong)
    with pytest.raises(InputError, match=r"other probabilities than the run's, by up to 0\.0002"):
        trained("tiny3d", width=0.125).export(file)
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt2"]
    assert file.read_text() == "before"


@pytest.mark.parametrize("place", ["_opened", "_difference"])
def test_a_file_that_fails_in_its_check(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the runtime is a sentence about the file; a full disk keeps its own."""
    for error, message in (
        (RuntimeError("no kernel\nfor this"), r"^backbone tiny3d: the \.pt2 file cannot be loaded and run: "),
        (OSError("bad file"), r"cannot be loaded and run: OSError: bad file$"),
        (OSError(errno.ENOSPC, "No space left on device"), r"model\.pt2 cannot be written: No space left"),
    ):

        def fail(*_: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(export, place, fail)
        with pytest.raises(InputError, match=message) as found:
            trained("tiny3d", width=0.125).export(tmp_path / "model.pt2")
        assert "\n" not in str(found.value)
    assert not list(tmp_path.iterdir())


def test_files_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained("tiny3d", width=0.125)
    for name, message in (
        ("model.pt", r"an exported network is a \.onnx or a \.pt2 file"),
        ("absent/model.pt2", "there is no folder .*absent$"),
    ):
        with pytest.raises(InputError, match=message):
            model.export(tmp_path / name)
    with pytest.raises(InputError, match="unknown predictor 'ema'"):
        model.export(tmp_path / "model.pt2", "ema")
    monkeypatch.setattr(export.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"need the packages onnx and onnxscript: pip install"):
        model.export(tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS_OF_FILES)
@pytest.mark.parametrize(
    ("backbone", "values"),
    [
        ("timm/resnet18", {}),
        ("timm/resnet18+tsm", {}),
        ("x3d_xs", {}),
        ("r3d_18", {"input": "motion"}),
        ("timm/resnet18", {"probe": "linear", "weights": "file.pt"}),
        ("tiny3d", {"probe": "attentive", "weights": "file.pt"}),
        ("tiny3d", {"sampling": "segments"}),
    ],
    ids=str,
)
def test_backbones(backbone: str, values: dict[str, Any], kind: str, tmp_path: Path) -> None:
    done = trained(backbone, **values).export(tmp_path / f"model{kind}")
    assert done.difference is not None
    assert done.difference < 1e-5


@needs_onnx
@pytest.mark.slow
def test_the_table_of_backbones() -> None:
    """The script that fills the table of docs/export.md."""
    found = outcomes("tiny3d")
    assert set(found) == {".pt2", ".onnx"}
    assert all(float(difference) < 1e-4 for difference in found.values())


def test_the_weights_open_in_plain_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the lines of docs/export.md."""
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    lines = next(text for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "load_file" in text)
    assert len(lines.split("\n\n")[1].splitlines()) + 2 <= 6
    model = trained("timm/resnet18")
    state = model.assembly.state() | {"spec": plain(model.spec), "classes": model.classes, "num_unlabeled": 0}
    (tmp_path / "RUN").mkdir()
    weight_file.save(state, tmp_path / "RUN" / "final.safetensors")
    monkeypatch.chdir(tmp_path)
    names = dict[str, Any]()
    exec(lines, names)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert_close(names["network"](images), model.module.network(images))
