"""The pooled features of clips, with labels, probabilities and the clips that cannot be read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.numbers import assert_close
from inference.export_backbones import trained
from torch import Tensor, nn

from ssl_video.data.importers import to_label
from ssl_video.errors import InputError
from ssl_video.networks.pooled import Pooled
from ssl_video.runs import npz


@pytest.fixture
def videos(make_video: Callable[..., Path], tmp_path: Path) -> list[Path]:
    """Two clips of class "a", one in no class, and a broken one among them."""
    folder = tmp_path / "videos"
    (folder / "a").mkdir(parents=True)
    broken = folder / "a" / "1.mkv"
    broken.write_text("no video")
    made = [
        make_video(folder / name, label=n, clip=n)
        for n, name in enumerate(("a/0.mkv", "a/in/2.mkv", "z/3.mkv"))
    ]
    return [made[0], broken, *made[1:]]


def test_features_are_the_inputs_of_the_classifier(videos: list[Path], tmp_path: Path) -> None:
    """Of a linear classifier the mean of the logits is known from the mean of the features."""
    model = trained("tiny3d", stride=2, test_clips=3)
    file = tmp_path / "features.npz"
    found = model.features(tmp_path / "videos", output=file)
    assert found.paths.tolist() == [str(videos[n]) for n in (0, 2, 3)]
    assert found.labels.tolist() == ["a", "a", ""]
    assert [text.split(": ")[0] for text in found.errors] == [str(videos[1])]
    assert found.classes.tolist() == model.classes
    assert np.isnan(found.starts).all()
    expected = model.probabilities([videos[0], videos[2], videos[3]])[0]
    assert_close(
        torch.from_numpy(found.probabilities), torch.tensor(np.stack(list(expected.values()))).float()
    )
    seen = list[Tensor]()
    network = model.module.get_submodule("6")
    assert isinstance(network, nn.Linear)
    handle = network.register_forward_hook(lambda layer, given, logits: seen.append(logits.mean(0)))
    model.probabilities([videos[2]])
    handle.remove()
    assert found.features.dtype == np.float32
    assert_close(network(torch.from_numpy(found.features[1])), seen[0])
    stored = npz.load(file, "")
    assert set(stored) == {
        *("features", "probabilities", "paths", "starts", "ends", "labels", "classes", "errors")
    }
    assert np.array_equal(stored["features"], found.features)


@pytest.mark.parametrize("kind", ["linear", "attentive"])
def test_features_of_a_probe(kind: str) -> None:
    """Those that are stored for its training, and of tokens the mean."""
    model = trained("tiny3d", probe=kind, weights="imagenet", width=0.25)
    clips = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    pooled = Pooled(model.module, 5)
    with torch.no_grad(), pooled.reading():
        model.module(clips)
    features = model.module.features(clips)
    assert_close(pooled.features(2), features.mean(1) if kind == "attentive" else features)


def test_features_of_frames_and_maps_are_means() -> None:
    class Frames(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.classifier = nn.Conv2d(2, 5, 1)

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.classifier(images)
            return logits.mean((2, 3))

    network = Frames()
    images = torch.arange(2 * 3 * 2 * 4 * 4).reshape(6, 2, 4, 4).float()  # 2 clips of 3 frames
    pooled = Pooled(network, 5)
    with torch.no_grad(), pooled.reading():
        network(images)
    assert_close(pooled.features(2), images.unflatten(0, (2, 3)).mean((1, 3, 4)))


def test_labels_of_a_manifest(videos: list[Path], tmp_path: Path) -> None:
    manifest = tmp_path / "videos" / "list.csv"
    manifest.write_text("path,label,start,end\na/0.mkv,b,0,0.5\na/0.mkv,c,0.5,1\nz/3.mkv,,,\n")
    clips = to_label.clips([manifest])
    assert [(clip.path, clip.start, clip.label) for clip in clips] == [
        ("a/0.mkv", 0.0, "b"), ("a/0.mkv", 0.5, "c"), ("z/3.mkv", None, ""),
    ]  # fmt: skip


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    model = trained("tiny3d", width=0.125)
    for name, message in (("f.csv", r"written to an \.npz file"), ("absent/f.npz", "there is no folder")):
        with pytest.raises(InputError, match=message):
            model.features(tmp_path, output=tmp_path / name)
