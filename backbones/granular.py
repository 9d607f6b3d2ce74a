"""SeFAR's network: a TimeSformer sees a clip at three frame rates, and their features are fused.

Huang et al., "SeFAR: Semi-supervised Fine-grained Action Recognition with Temporal Perturbation and Learning
Stabilization", AAAI 2025, arXiv:2501.01245, as in the authors' code: of 8 frames one rate has 4, and two have
2 each. All share the transformer, but for their positions in time. A clip should span the video,
`--sampling segments`, as the authors' do.

Differences from the code: no stochastic depth (0.1 there).
"""

from itertools import combinations

import torch
from torch import Tensor, nn

from ssl_video.backbones.matching import Fitted
from ssl_video.backbones.timesformer import SIZES, TimeSformer, image_transformer
from ssl_video.registry import backbone

# Frames of each rate, the lowest first; the augmentation `+reversal` turns the first two round.
_RATES = (slice(3, None, 4), slice(1, None, 4), slice(0, None, 2))
_FUSED = 256


@backbone("granular_tiny", inputs="weights")
def granular_tiny(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """ViT-Ti/16 with divided attention at three frame rates."""
    return _build("granular_tiny", "tiny", num_classes, width, frames, size)


@backbone("granular_s", inputs="weights")
def granular_s(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """ViT-S/16 with divided attention at three frame rates; SeFAR-S's."""
    return _build("granular_s", "s", num_classes, width, frames, size)


@backbone("granular_b", inputs="weights")
def granular_b(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """ViT-B/16 with divided attention at three frame rates; SeFAR-B's."""
    return _build("granular_b", "b", num_classes, width, frames, size)


class GranularTimeSformer(TimeSformer):
    """A TimeSformer that passes the frames of each rate separately, and fuses their class tokens.

    Args:
        image: timm's vision transformer with a class token.
        frames: T, the number of frames of a clip, a multiple of 4.
    """

    def __init__(self, image: nn.Module, frames: int) -> None:
        super().__init__(image, frames)
        channels, rates = self.norm.weight.shape[0], len(_RATES)
        pairs = rates * (rates - 1) // 2
        self.fusion = nn.ModuleDict(
            {
                "one": _mixing(channels),
                "two": _mixing(2 * channels),
                "all": nn.Sequential(_mixing((rates + pairs) * _FUSED), nn.Dropout(0.5)),
            }
        )
        self.head = nn.Linear(_FUSED, self.head.out_features)

    def forward(self, clip: Tensor) -> Tensor:
        """Map a clip (N, 3, T, H, W) -> logits (N, classes)."""
        found = [self.tokens(clip[:, :, rate], self.time_embed[:, rate])[:, 0] for rate in _RATES]
        pairs = [self.fusion["two"](torch.cat(pair, -1)) for pair in combinations(found, 2)]
        logits: Tensor = self.head(
            self.fusion["all"](torch.cat([*pairs, *map(self.fusion["one"], found)], -1))
        )
        return logits

    def fit(self, tensors: dict[str, Tensor]) -> Fitted:
        """Fit tensors of an image transformer, see `TimeSformer.fit`; it has no fusion, and another head."""
        fitted = super().fit(tensors)
        new = {name for name in self.state_dict() if name.startswith("fusion.")} - tensors.keys()
        if not new:
            return fitted
        kept = {name: tensor for name, tensor in fitted.tensors.items() if not name.startswith("head.")}
        return Fitted(kept, (*fitted.new, *sorted(new), "head.weight", "head.bias"))


def _mixing(channels: int) -> nn.Sequential:
    """Return a linear layer, GELU and layer norm, (N, channels) -> (N, 256)."""
    return nn.Sequential(nn.Linear(channels, _FUSED), nn.GELU(), nn.LayerNorm(_FUSED))


def _build(name: str, kind: str, num_classes: int, width: float, frames: int, size: int) -> nn.Module:
    image = image_transformer(name, *SIZES[kind], num_classes, width, frames, size, frames_in=4)
    return GranularTimeSformer(image, frames)
