"""The models of transformers that are backbones: how each family is built, pooled and fed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ssl_video.backbones.inputs import CLIPS, IMAGENET, Normalisation
from ssl_video.errors import InputError

_HALF = Normalisation((0.5,) * 3, (0.5,) * 3)
_OF_CLIP = Normalisation((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
# Pixels in [0, 1] are doubled and lowered by 1 before they are normalised by 0.5 and 0.5.
_OF_VIVIT = Normalisation((0.75,) * 3, (0.25,) * 3)


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes:
        config: name of the configuration's class in transformers.
        model: name of the class that is built, and that reads the weights.
        normalisation: the input normalisation of published weights, for a folder without a processor.
        encoder: path of the encoder in the model; empty if it is the model.
        pooling: how the encoder's output becomes the features of a clip, or of a frame: "mean" of the tokens,
            the "first" token, or the encoder's own "pooler".
        frames: key of the number of frames; empty for vision towers, which see one frame at a time.
        size: key of the height and width of frames.
        patch: key of the size of a patch, whose multiples frames must be; empty if there are none.
        any_frames: whether other numbers of frames than that of the configuration are possible.
        any_size: whether other sizes are possible.
        interpolated: whether another size has to be announced in each call.
        inside: whether the configuration is that of the vision tower in a larger model.
    """

    config: str
    model: str
    normalisation: Normalisation
    encoder: str = ""
    pooling: str = "pooler"
    frames: str = ""
    size: str = "image_size"
    patch: str = "patch_size"
    any_frames: bool = False
    any_size: bool = True
    interpolated: bool = False
    inside: bool = False


_CLIP = Family("CLIPVisionConfig", "CLIPVisionModel", _OF_CLIP, interpolated=True)
_SIGLIP = Family("SiglipVisionConfig", "SiglipVisionModel", _HALF, interpolated=True)
_VJEPA2 = Family(
    *("VJEPA2Config", "VJEPA2Model", IMAGENET, "encoder", "mean", "frames_per_clip", "crop_size"),
    any_frames=True,
)

# By the model_type of a configuration.
FAMILIES = {
    "videomae": Family(
        *("VideoMAEConfig", "VideoMAEForVideoClassification", IMAGENET, "videomae", "mean", "num_frames"),
        any_size=False,
    ),
    "vjepa2": _VJEPA2,
    "vivit": Family(
        *("VivitConfig", "VivitForVideoClassification", _OF_VIVIT, "vivit", "first", "num_frames"),
        any_size=False,
    ),
    "timesformer": Family(
        *(
            "TimesformerConfig",
            "TimesformerForVideoClassification",
            CLIPS,
            "timesformer",
            "first",
            "num_frames",
        ),
        any_size=False,
    ),
    "clip": replace(_CLIP, inside=True),
    "clip_vision_model": _CLIP,
    "siglip": replace(_SIGLIP, inside=True),
    "siglip_vision_model": _SIGLIP,
    "dinov2": Family("Dinov2Config", "Dinov2Model", IMAGENET),
    "dinov2_with_registers": Family("Dinov2WithRegistersConfig", "Dinov2WithRegistersModel", IMAGENET),
    "dinov3_vit": Family("DINOv3ViTConfig", "DINOv3ViTModel", IMAGENET),
    "dinov3_convnext": Family("DINOv3ConvNextConfig", "DINOv3ConvNextModel", IMAGENET, patch=""),
}
_LEAST = 32  # A network without patches halves a frame five times.


def family(config: Mapping[str, Any], name: str) -> Family:
    """Return the family of a configuration; `name` is the model's, for the message.

    Raises:
        InputError: its models are no backbones.
    """
    kind = str(config.get("model_type", "unknown"))
    if kind not in FAMILIES:
        raise InputError(
            f"{name} is a model of the kind {kind!r}, which is not supported as a backbone; known: "
            f"{', '.join(FAMILIES)}"
        )
    found = FAMILIES[kind]
    if found is _VJEPA2 and "VJEPA2ForVideoClassification" in (config.get("architectures") or ()):
        # Fine-tuned weights have an attentive pooler between encoder and classifier.
        return replace(found, model="VJEPA2ForVideoClassification", encoder="vjepa2.encoder")
    if kind == "videomae" and not config.get("use_mean_pooling", True):
        return replace(found, pooling="first")
    return found


def side(value: Any, name: str) -> int:
    """Return a height that is also the width.

    Raises:
        InputError: they differ.
    """
    sides = set(value) if isinstance(value, list | tuple) else {value}
    if len(sides) != 1:
        raise InputError(f"{name}: its frames or patches are {value}, and only square ones are possible here")
    return int(sides.pop())


def patch(kind: Family, config: Mapping[str, Any], name: str) -> int:
    """Return the number that sizes must be multiples of."""
    if not kind.patch:
        return 1
    return side(config[kind.patch] if kind.patch in config else config["tubelet_size"][1:], name)


def least(kind: Family) -> int:
    """Return the least size."""
    return 1 if kind.patch else _LEAST


def size(kind: Family, config: Mapping[str, Any], processor: Mapping[str, Any], name: str) -> int:
    """Return the height and width of frames: those that the processor cuts, else the configuration's."""
    found = side(config.get(kind.size, 224), name)
    if not kind.any_size:
        return found
    wanted = processor.get("crop_size") if processor.get("do_center_crop", "crop_size" in processor) else None
    wanted = wanted or processor.get("size")
    if isinstance(wanted, Mapping):
        wanted = wanted.get("height", wanted.get("shortest_edge"))
    fits = isinstance(wanted, int) and wanted >= least(kind) and wanted % patch(kind, config, name) == 0
    return wanted if fits and isinstance(wanted, int) else found


def normalisation(kind: Family, processor: Mapping[str, Any]) -> Normalisation:
    """Return the normalisation of pixels in [0, 1] that a processor performs on pixels up to 255."""
    if not processor.keys() & {"image_mean", "do_normalize"}:
        return kind.normalisation
    scale = (
        255 * float(processor.get("rescale_factor", 1 / 255)) if processor.get("do_rescale", True) else 255.0
    )
    made_by = str(processor.get("image_processor_type", processor.get("video_processor_type", "")))
    lowered = float(
        processor.get("offset", made_by.startswith("Vivit")) and processor.get("do_rescale", True)
    )
    mean, deviation = (0.0,) * 3, (1.0,) * 3
    if processor.get("do_normalize", True):
        mean = tuple(processor.get("image_mean", kind.normalisation.mean))
        deviation = tuple(processor.get("image_std", kind.normalisation.deviation))
    # (scale * pixel - lowered - mean) / deviation
    return Normalisation(tuple((m + lowered) / scale for m in mean), tuple(d / scale for d in deviation))
