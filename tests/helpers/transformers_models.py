"""Small models of transformers with random weights, saved as folders with their processors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

transformers: Any = pytest.importorskip("transformers", reason="needs pip install 'ssl-video[transformers]'")
if not transformers.utils.is_torch_available():
    pytest.skip("this transformers does not support this torch", allow_module_level=True)

CLASSES, FRAMES, SIZE, CHANNELS = 5, 4, 32, 48
_WIDE = {"hidden_size": CHANNELS, "num_hidden_layers": 2, "num_attention_heads": 2}
_TOWER = {**_WIDE, "intermediate_size": 64, "image_size": SIZE, "patch_size": 16}
_VIDEO = {**_TOWER, "num_frames": FRAMES, "num_labels": CLASSES}
_TEXT = {**_WIDE, "intermediate_size": 64, "vocab_size": 9}
_VJEPA2 = {
    **_WIDE,
    **{"crop_size": SIZE, "patch_size": 16, "frames_per_clip": FRAMES, "num_labels": CLASSES},
    **{"pred_hidden_size": CHANNELS, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1},
    "num_pooler_layers": 1,
}
# By a name of the tests: the class of the model, that of its configuration, and the configuration's values.
VIDEO: dict[str, tuple[str, str, dict[str, Any]]] = {
    "videomae": ("VideoMAEForVideoClassification", "VideoMAEConfig", _VIDEO),
    "videomae-first": (
        *("VideoMAEForVideoClassification", "VideoMAEConfig"),
        {**_VIDEO, "use_mean_pooling": False},
    ),
    "vjepa2": ("VJEPA2ForVideoClassification", "VJEPA2Config", _VJEPA2),
    "vivit": ("VivitForVideoClassification", "VivitConfig", {**_VIDEO, "tubelet_size": [2, 16, 16]}),
    "timesformer": ("TimesformerForVideoClassification", "TimesformerConfig", _VIDEO),
}
TOWERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "clip": ("CLIPVisionModel", "CLIPVisionConfig", _TOWER),
    "siglip": ("SiglipVisionModel", "SiglipVisionConfig", _TOWER),
    "dinov2": ("Dinov2Model", "Dinov2Config", _TOWER),
    "dinov2-registers": ("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", _TOWER),
    "dinov3": ("DINOv3ViTModel", "DINOv3ViTConfig", _TOWER),
    "dinov3-convnext": (
        *("DINOv3ConvNextModel", "DINOv3ConvNextConfig"),
        {"hidden_sizes": [8, 16, 24, CHANNELS], "depths": [1, 1, 2, 1]},
    ),
}
# Of unequal numbers, so that colours and operations cannot be confused.
_NORMAL = {"image_mean": [0.2, 0.3, 0.4], "image_std": [0.5, 0.25, 0.125]}
_CUT = {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}}
_PROCESSORS = {
    "vivit": "VivitImageProcessor",
    "vjepa2": "VJEPA2VideoProcessor",
    "siglip": "SiglipImageProcessor",
}


def wake(model: nn.Module) -> nn.Module:
    """Give a model random weights that are large enough for outputs of size 1, and return it."""
    with torch.no_grad():
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.15 if parameter.ndim > 1 else 0.3)
    return model.eval()


def small_model(name: str) -> Any:
    """A model by its name above, in evaluation mode."""
    model, config, values = (VIDEO | TOWERS)[name]
    return wake(getattr(transformers, model)(getattr(transformers, config)(**values)))


def pair(kind: str) -> Any:
    """A model of images and texts, "CLIP" or "Siglip"."""
    config = getattr(transformers, f"{kind}Config")(vision_config=_TOWER, text_config=_TEXT)
    return wake(getattr(transformers, f"{kind}Model")(config))


def processor(name: str) -> Any:
    """A processor of the size of the models, with a normalisation of its own."""
    kind = _PROCESSORS.get(name) or ("CLIPImageProcessor" if name in TOWERS else "VideoMAEImageProcessor")
    cut = {"size": _CUT["crop_size"]} if name == "siglip" else _CUT
    return getattr(transformers, kind)(**cut, **_NORMAL)


def save(model: Any, folder: Path, *more: Any) -> str:
    """Save a model, and perhaps its processor, and return the folder's name as a backbone."""
    for part in (model, *more):
        part.save_pretrained(folder)
    return f"transformers/{folder}"


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """`model_folder(name)`: the backbone of a model, saved once with its processor; for reading only."""
    root, made = tmp_path_factory.mktemp("models"), dict[str, str]()

    def folder(name: str) -> str:
        if name not in made:
            with torch.random.fork_rng():
                torch.manual_seed(len(name))
                made[name] = save(small_model(name), root / name, processor(name))
        return made[name]

    return folder
