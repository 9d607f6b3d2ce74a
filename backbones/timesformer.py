"""TimeSformer: a vision transformer in which every block attends over time, then over space.

Bertasius, Wang and Torresani, "Is Space-Time Attention All You Need for Video Understanding?", 2021,
arXiv:2102.05095: divided attention, patches of 16 x 16 pixels, a class token. It is the network of SVFormer.
It is built from timm's vision transformer and keeps its tensor names, so that an image transformer's weights
fit.

Differences from the paper's code: no stochastic depth (0.1 there).
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.backbones import positions
from ssl_video.backbones.libraries import importing
from ssl_video.backbones.limits import check_clip
from ssl_video.backbones.matching import Fitted
from ssl_video.errors import InputError
from ssl_video.registry import backbone

_PATCH = 16
# Channels and heads of attention.
SIZES = {"tiny": (192, 3), "s": (384, 6), "b": (768, 12)}


@backbone("timesformer_tiny", inputs="weights")
def timesformer_tiny(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """ViT-Ti/16 with attention over time, then over space."""
    return _build("timesformer_tiny", "tiny", num_classes, width, frames, size)


@backbone("timesformer_s", inputs="weights")
def timesformer_s(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """ViT-S/16 with attention over time, then space; SVFormer-S's."""
    return _build("timesformer_s", "s", num_classes, width, frames, size)


@backbone("timesformer_b", inputs="weights")
def timesformer_b(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """ViT-B/16 with attention over time, then space; SVFormer-B's."""
    return _build("timesformer_b", "b", num_classes, width, frames, size)


class TimeSformer(nn.Module):
    """An image transformer with attention over time added to its blocks.

    Args:
        image: timm's vision transformer with a class token.
        frames: T, the number of frames with a position of their own. Clips of other lengths get the nearest
            positions.
    """

    def __init__(self, image: Any, frames: int) -> None:
        super().__init__()
        self.patch_embed, self.norm, self.head = image.patch_embed, image.norm, image.head
        self.cls_token, self.pos_embed = image.cls_token, image.pos_embed
        self.time_embed = nn.Parameter(torch.zeros(1, frames, image.embed_dim))
        self.blocks = nn.ModuleList(SpaceTimeBlock(block) for block in image.blocks)

    def forward(self, clip: Tensor) -> Tensor:
        """Map a clip (N, 3, T, H, W) -> logits (N, classes)."""
        tokens = self.tokens(clip, _resample(self.time_embed, clip.shape[2]))
        logits: Tensor = self.head(tokens[:, 0])
        return logits

    def tokens(self, clip: Tensor, moments: Tensor) -> Tensor:
        """Map a clip (N, 3, T, H, W) and its positions in time (1, T, C) -> tokens (N, 1 + T*P, C)."""
        count, _, length = clip.shape[:3]
        images = clip.transpose(1, 2).flatten(0, 1)  # (N, 3, T, H, W) -> (N*T, 3, H, W)
        # (N*T, P, C) -> (N, T, P, C)
        patches = self.patch_embed(images).unflatten(0, (count, length))
        patches = patches + self.pos_embed[:, None, 1:] + moments[:, :, None]
        token = (self.cls_token + self.pos_embed[:, :1]).expand(count, -1, -1)  # (N, 1, C)
        for block in self.blocks:
            token, patches = block(token, patches)
        # All of them, for probes.
        tokens: Tensor = self.norm(torch.cat([token, patches.flatten(1, 2)], 1))
        return tokens

    def fit(self, tensors: dict[str, Tensor]) -> Fitted:
        """Fit tensors of an image transformer, or for clips of another shape, to this network.

        As in the paper's code, attention over time starts as a copy of attention over space. Its projection
        starts at zero, so the network starts as the image transformer averaged over frames.
        """
        fitted, new = dict(tensors), list[str]()
        if not any(name in tensors for name in self.state_dict() if _is_temporal(name)):
            for name, tensor in tensors.items():
                part = name.split(".")[2:3]
                if part in (["attn"], ["norm1"]):
                    fitted[name.replace(f".{part[0]}.", f".temporal_{part[0]}.")] = tensor.clone()
            new = [name for name in self.state_dict() if _is_temporal(name) and name not in fitted]
        places, moments = fitted.get("pos_embed"), fitted.get("time_embed")
        if places is not None:
            fitted["pos_embed"] = positions.resample(places, self.patch_embed.grid_size)
        if moments is not None:
            fitted["time_embed"] = _resample(moments, self.time_embed.shape[1])
        return Fitted(fitted, tuple(new))


class SpaceTimeBlock(nn.Module):
    """Attention over time and over space and a two-layer perceptron, each beside a shortcut.

    Args:
        block: timm's transformer block, (N, L, C) -> (N, L, C).
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.temporal_norm1, self.temporal_attn = copy.deepcopy(block.norm1), copy.deepcopy(block.attn)
        for layer in (self.temporal_attn.qkv, self.temporal_attn.proj):
            nn.init.trunc_normal_(layer.weight, std=0.02)
        channels = block.norm1.weight.shape[0]
        self.temporal_fc = nn.Linear(channels, channels)
        nn.init.zeros_(self.temporal_fc.weight)
        nn.init.zeros_(self.temporal_fc.bias)
        self.norm1, self.attn, self.norm2, self.mlp = block.norm1, block.attn, block.norm2, block.mlp

    def forward(self, token: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Map a class token (N, 1, C) and patches (N, T, P, C) -> the same shapes."""
        count, length, places, _ = patches.shape
        # Each place separately over time: (N, T, P, C) -> (N*P, T, C) -> (N, T, P, C)
        sequences = patches.transpose(1, 2).flatten(0, 1)
        moved = self.temporal_fc(self.temporal_attn(self.temporal_norm1(sequences)))
        patches = patches + moved.unflatten(0, (count, places)).transpose(1, 2)
        # Each frame separately, with a copy of the class token: (N, T, 1 + P, C) -> (N*T, 1 + P, C)
        tokens = token[:, None].expand(-1, length, -1, -1)
        seen = self.attn(self.norm1(torch.cat([tokens, patches], 2).flatten(0, 1)))
        seen = seen.unflatten(0, (count, length))
        # The outputs at the copies of the class token are averaged over the frames.
        token, patches = token + seen[:, :, :1].mean(1), patches + seen[:, :, 1:]
        return token + self.mlp(self.norm2(token)), patches + self.mlp(self.norm2(patches))


def image_transformer(
    name: str,
    channels: int,
    heads: int,
    num_classes: int,
    width: float,
    frames: int,
    size: int,
    *,
    frames_in: int = 1,
) -> nn.Module:
    """Return timm's vision transformer, with random weights.

    Args:
        name: the backbone's name in errors.
        channels: channels at width 1.
        heads: heads of attention at width 1.
        num_classes: number of classes.
        width: multiplier of the channels and heads.
        frames: T, the number of frames of a clip.
        size: height and width of a clip in pixels.
        frames_in: a number of which the frames have to be a multiple.

    Raises:
        InputError: a clip or a width that does not fit.
    """
    with importing("timm"):
        from timm.models.vision_transformer import VisionTransformer
    reason = f"it cuts frames into patches of {_PATCH} pixels"
    if frames_in > 1:
        reason += f", and clips into {frames_in} parts"
    check_clip(name, frames, size, reason, multiples_of=(frames_in, _PATCH))
    wide, many = channels * width, max(1, round(heads * width))
    if wide % many:
        raise InputError(
            f"{name}: width {width:g} gives {wide:g} channels, which {many} heads of attention cannot share "
            f"equally: use a multiple of 1/{heads}"
        )
    return VisionTransformer(
        img_size=size, num_classes=num_classes, embed_dim=int(wide), depth=12, num_heads=many
    )


def _build(name: str, kind: str, num_classes: int, width: float, frames: int, size: int) -> nn.Module:
    return TimeSformer(image_transformer(name, *SIZES[kind], num_classes, width, frames, size), frames)


def _is_temporal(name: str) -> bool:
    return name == "time_embed" or ".temporal_" in name


def _resample(moments: Tensor, length: int) -> Tensor:
    """Resample positions in time to another length, (1, T, C) -> (1, length, C), each the nearest one."""
    if moments.shape[1] == length:
        return moments
    return F.interpolate(moments.transpose(1, 2), length, mode="nearest").transpose(1, 2)
