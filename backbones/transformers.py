"""Models of the library transformers, from a folder or the Hugging Face hub.

Video transformers see the whole clip: VideoMAE (Tong et al. 2022, arXiv:2203.12602), V-JEPA 2 (Assran et al.
2025, arXiv:2506.09985), ViViT (Arnab et al. 2021, arXiv:2103.15691), TimeSformer (Bertasius et al. 2021,
arXiv:2102.05095). Vision towers see one frame at a time, and their features are averaged over the frames:
CLIP (Radford et al. 2021, arXiv:2103.00020), SigLIP (Zhai et al. 2023, arXiv:2303.15343), DINOv2 (Oquab et
al. 2023, arXiv:2304.07193), DINOv3 (Siméoni et al. 2025, arXiv:2508.10104).

The features are the inputs of the classifier of transformers' own video classifiers. Those of a tower are its
pooled output.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from ssl_video.backbones import families, model_folders
from ssl_video.backbones.families import Family
from ssl_video.backbones.inputs import Normalisation
from ssl_video.backbones.libraries import importing
from ssl_video.backbones.limits import check_clip
from ssl_video.backbones.matching import Fitted
from ssl_video.backbones.model_folders import ModelFolder
from ssl_video.errors import DAMAGED, InputError, counted, some
from ssl_video.registry import backbone

_NETWORK = "network."
_HEADS = ("classifier.", "fc_norm.", "pooler.")
# Keys that change no numbers, or the form of a model's output.
_LEFT_OUT = {
    *(
        "_name_or_path",
        "transformers_version",
        "dtype",
        "torch_dtype",
        "problem_type",
        "id2label",
        "label2id",
    ),
    *("return_dict", "use_return_dict", "output_hidden_states", "output_attentions"),
    *("_attn_implementation", "_attn_implementation_autoset"),
}


@dataclass(frozen=True)
class ModelSettings:
    """The settings that a model's folder gives.

    Attributes:
        architecture: the configuration that the network is built from.
        frames: number of frames of a clip; None: any.
        size: height and width of frames in pixels.
        has_weights: whether the folder has weights.
    """

    architecture: dict[str, Any]
    frames: int | None
    size: int
    has_weights: bool


@backbone("transformers", inputs="weights")
def from_folder(
    num_classes: int, *, model: str, frames: int, size: int, architecture: Mapping[str, Any] | None = None
) -> nn.Module:
    """Video models and vision towers of transformers: transformers/<folder or id of the Hugging Face hub>."""
    name = f"transformers/{model}"
    values = architecture or settings(model).architecture
    kind = families.family(values, name)
    with _errors(name):
        config = getattr(_library(), kind.config).from_dict(dict(values))
        config.num_labels = num_classes
    _fit_clip(kind, config, name, frames, size)
    with _errors(name):
        built = getattr(_library(), kind.model)(config)
        return VideoTransformer(kind, built, config, num_classes, size)


class VideoTransformer(nn.Module):
    """An encoder of transformers, the pooling of its tokens, and a classifier.

    Args:
        kind: the family.
        built: the whole model, of which the encoder, the pooling and the classifier are taken.
        config: its configuration.
        num_classes: number of classes.
        size: height and width of a clip in pixels.
    """

    tokens_from = "tokens"

    def __init__(self, kind: Family, built: Any, config: Any, num_classes: int, size: int) -> None:
        super().__init__()
        self.network: nn.Module = built.get_submodule(kind.encoder)
        self.tokens = nn.Identity()  # so that probes find them
        self.pooling, self.framewise = kind.pooling, not kind.frames
        # Of transformers' video classifiers; V-JEPA 2 without fine-tuning has none of them.
        self.pooler, self.fc_norm, classifier = (
            getattr(built, part, None) if kind.frames else None
            for part in ("pooler", "fc_norm", "classifier")
        )
        channels = getattr(config, "hidden_size", None) or config.hidden_sizes[-1]
        self.classifier: nn.Module = classifier or nn.Linear(channels, num_classes)
        other = kind.interpolated and size != families.side(getattr(config, kind.size), kind.model)
        self.options = {"interpolate_pos_encoding": True} if other else {}
        for name, parameter in self.network.named_parameters():
            if name.endswith("mask_token"):
                parameter.requires_grad = False  # of masked pretraining, and unused otherwise

    def forward(self, clip: Tensor) -> Tensor:
        """Map a clip (N, 3, T, H, W) -> logits (N, classes)."""
        images = clip.transpose(1, 2)  # (N, T, 3, H, W)
        if self.framewise:
            images = images.flatten(0, 1)  # (N*T, 3, H, W)
        found = self.network(images, **self.options)
        pooled = self._pooled(self.tokens(found.last_hidden_state), found)  # (N, C), or (N*T, C)
        if self.framewise:
            # A linear layer's mean over frames is that of the mean.
            pooled = pooled.unflatten(0, (len(clip), -1)).mean(1)
        logits: Tensor = self.classifier(pooled)
        return logits

    def fit(self, tensors: dict[str, Tensor]) -> Fitted:
        """Fit weights without the norm before the classifier, as those of masked pretraining are."""
        norms = [name for name in self.state_dict() if name.startswith("fc_norm.")]
        return Fitted(tensors, tuple(name for name in norms if name not in tensors))

    def _pooled(self, tokens: Tensor, found: Any) -> Tensor:
        """Pool the tokens (N, L, C) of an output -> (N, C)."""
        pooled: Tensor
        if self.pooling == "pooler" and found.pooler_output is not None:
            pooled = found.pooler_output
        elif self.pooler is not None:
            pooled = self.pooler(tokens)
        else:
            pooled = tokens[:, 0] if self.pooling == "first" else tokens.mean(1)
        return pooled if self.fc_norm is None else self.fc_norm(pooled)


def settings(model: str) -> ModelSettings:
    """Return the settings of a model, from its folder or the hub.

    Raises:
        InputError: no such model, none that is a backbone, or transformers is not installed.
    """
    folder, name = model_folders.find(model), f"transformers/{model}"
    raw, processor = folder.config(), folder.processor()
    kind = families.family(raw, name)
    own = (raw.get("vision_config") or raw.get("vision_config_dict") or {}) if kind.inside else raw
    with _errors(name):
        # With all defaults, because some files leave out values that equal them.
        values = getattr(_library(), kind.config).from_dict(dict(own)).to_dict()
    # As written, because the defaults that a version of the library spells out are not part of a run.
    architecture = {key: value for key, value in own.items() if key not in _LEFT_OUT}
    architecture["model_type"] = values["model_type"]
    frames = int(values[kind.frames]) if kind.frames else None
    size = families.size(kind, values, processor, name)
    return ModelSettings(architecture, frames, size, folder.has_weights())


def normalisation(folder: ModelFolder) -> Normalisation:
    """Return the input normalisation of a model's processor, or else of its family."""
    return families.normalisation(families.family(folder.config(), folder.name), folder.processor())


def read(folder: ModelFolder) -> dict[str, Tensor]:
    """Read the weights of a model by the names of `VideoTransformer`; a head that the folder lacks is absent.

    Raises:
        InputError: they cannot be read, or lack tensors of the encoder.
    """
    name = f"transformers/{folder.name}"
    kind = families.family(folder.config(), name)
    with _errors(name, "read its weights"), _quietly(), torch.random.fork_rng(devices=[]):
        built, report = getattr(_library(), kind.model).from_pretrained(
            folder.with_weights(), local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    found, lacking = dict[str, Tensor](), list[str]()
    lead = f"{kind.encoder}." if kind.encoder else ""
    for key, tensor in built.state_dict().items():
        of_encoder, of_head = key.startswith(lead), bool(lead) and key.startswith(_HEADS)
        if key in report["missing_keys"]:
            lacking += [key] if of_encoder else []
        elif of_encoder or of_head:
            found[key if of_head else _NETWORK + key.removeprefix(lead)] = tensor
    if lacking:
        raise InputError(
            f"{name}: the weights of {folder} lack {counted(len(lacking), 'tensor')} of the model that its "
            f"config.json describes: {some(lacking, 3)}"
        )
    return found


def _fit_clip(kind: Family, config: Any, name: str, frames: int, size: int) -> None:
    """Check that a model takes clips of this shape, and set it where a configuration may have another.

    Raises:
        InputError: it does not.
    """
    values = config.to_dict()
    if (channels := values.get("num_channels", values.get("in_chans", 3))) != 3:
        raise InputError(f"{name} takes frames of {counted(channels, 'channel')}, and clips have 3")
    problems = [
        f"{name} has positions for {shown.format(own)}: give {what}={own}, not {given}"
        for what, key, free, given, shown in (
            ("frames", kind.frames, kind.any_frames, frames, "{} frames"),
            ("size", kind.size, kind.any_size, size, "frames of {0}x{0} pixels"),
        )
        if key and not free and given != (own := families.side(values[key], name))
    ]
    if problems:
        raise InputError(*problems)
    check_clip(
        name, frames, size, "it cuts clips into patches" if kind.patch else "it halves frames five times",
        at_least=(1, families.least(kind)),
        multiples_of=(values["tubelet_size"] if kind.any_frames else 1, families.patch(kind, values, name)),
    )  # fmt: skip
    if kind.any_frames:
        # Positions are rotations, counted over places and frames as this configuration has them.
        setattr(config, kind.frames, frames)
        setattr(config, kind.size, size)


def _library() -> Any:
    """Return the library.

    Raises:
        InputError: it is not installed, cannot be imported, or needs a newer torch.
    """
    if find_spec("transformers") is None:
        raise InputError("transformers is not installed: pip install 'ssl-video[transformers]'")
    with importing("transformers"):
        import transformers
    # It can be imported, but has no models then.
    if not transformers.utils.is_torch_available():
        raise InputError(
            f"transformers {transformers.__version__} does not support torch {torch.__version__}: install a "
            "newer torch, or an older one of transformers, pip install 'transformers<5'"
        )
    return transformers


@contextmanager
def _errors(name: str, what: str = "build it from its config.json") -> Iterator[None]:
    """Turn transformers' errors about a folder into an InputError."""
    with importing("safetensors"):
        from safetensors import SafetensorError
    try:
        yield
    except (*DAMAGED, ArithmeticError, SafetensorError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{name}: transformers cannot {what} ({reason})") from error


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence the library's bars, and its tables of tensors: the report on loaded weights names them."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
