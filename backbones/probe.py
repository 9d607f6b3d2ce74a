"""Probes: a frozen network and a small trained head on its features.

linear is a linear layer on the normalised pooled features, mlp has one hidden layer. attentive is the probe
of V-JEPA (Bardes et al. 2024, arXiv:2404.08471, "Revisiting Feature Prediction for Learning Visual
Representations from Video"): one learned query attends to the tokens of all places and frames, a perceptron
follows.

Difference from V-JEPA's code: a head of attention has about 64 channels, where theirs have as many as the
frozen transformer's, because not every backbone is a transformer.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.backbones.matching import find_classifier
from ssl_video.errors import InputError

Kind = Literal["linear", "mlp", "attentive"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_HEAD_CHANNELS = 64
_PLACES_FIRST = (4, 5)  # dimensions of a map with channels in dimension 1: (N, C, H, W), (N, C, T, H, W)


class Probe(nn.Module):
    """A frozen network without its classifier, and a trained head.

    The frozen network is always in evaluation mode and gets no gradient, so training changes neither its
    weights nor its buffers. Copies of a probe share it: a teacher costs only a second head.

    Args:
        backbone: the network, changed in place: its classifier is replaced.
        kind: the kind of the head.
        num_classes: number of classes.
        frames: frames of the clip of a trial pass.
        size: its height and width in pixels.

    Raises:
        InputError: the network has no classifier, or no features can be found.
    """

    def __init__(self, backbone: nn.Module, kind: Kind, num_classes: int, *, frames: int, size: int) -> None:
        super().__init__()
        runs = _runs(backbone, frames, size)
        name = find_classifier(backbone, num_classes)
        if not name:
            raise InputError(
                f"{type(backbone).__name__} has no linear layer or convolution with {num_classes} outputs, "
                "so there are no features for a probe: leave probe out, or use another backbone"
            )
        classifier = backbone.get_submodule(name)
        pooled = int(classifier.get_parameter("weight").shape[1])
        _replace(backbone, name, nn.Identity())
        self.kind = kind
        self.backbone = backbone.requires_grad_(False).eval()
        clip = torch.zeros(1, 3, frames, size, size, device=classifier.get_parameter("weight").device)
        self._source: _Source | None = None
        self.channels = pooled
        # On the meta device, some networks can be built, but not run.
        if runs or clip.device.type != "meta":
            self.channels = self._channels(clip, pooled)
        self.head = _head(kind, self.channels, num_classes)

    def _channels(self, clip: Tensor, pooled: int) -> int:
        """Find the features of a trial clip, and return their channels.

        Raises:
            InputError: they cannot be read.
        """
        reason = ""
        try:
            if self.kind == "attentive":
                self._source = _find_tokens(self.backbone, clip, pooled)
            found = self.features(clip)
        except RuntimeError as error:
            found, reason = None, f" ({str(error).splitlines()[0]})" if str(error) else ""
        if found is None or (self.kind != "attentive" and found.shape[-1] != pooled):
            # The classifier's outputs were combined with others.
            raise InputError(
                f"{type(self.backbone).__name__} does not end with its classifier, so its {pooled} features "
                f"cannot be read{reason}: leave probe out, or use another backbone"
            )
        return int(found.shape[-1])

    @property
    def frozen(self) -> nn.Module:
        """The part that no training changes."""
        return self.backbone

    def train(self, mode: bool = True) -> "Probe":
        """Set the mode of the head; the frozen network stays in evaluation mode."""
        super().train(mode)
        self.backbone.train(False)
        return self

    @torch.no_grad()
    def features(self, clip: Tensor) -> Tensor:
        """Map a clip (N, 3, T, H, W) -> pooled features (N, C), or tokens (N, L, C) for an attentive head."""
        if self._source:
            return self._source.read(self.backbone, clip)
        pooled: Tensor = self.backbone(clip)
        return pooled.flatten(1)

    def shape(self, frames: int, size: int) -> tuple[int, ...]:
        """Return the shape of the `features` of one clip: (C,), or (L, C) for an attentive head."""
        if self.kind != "attentive":
            return (self.channels,)
        clip = torch.zeros(1, 3, frames, size, size, device=next(self.head.parameters()).device)
        return tuple(self.features(clip).shape[1:])

    def forward(self, clip: Tensor) -> Tensor:
        """Map a clip (N, 3, T, H, W), or its `features`, -> logits (N, classes)."""
        logits: Tensor = self.head(self.features(clip) if clip.ndim == 5 else clip)
        return logits

    def __deepcopy__(self, memo: dict[int, Any]) -> "Probe":
        """Copy the head; the frozen network is shared."""
        memo[id(self.backbone)] = self.backbone
        twin = self.__class__.__new__(self.__class__)
        memo[id(self)] = twin
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin


class AttentiveHead(nn.Module):
    """A learned query that attends to tokens, a perceptron, each beside a shortcut, and a linear layer.

    Args:
        channels: C, the channels of a token.
        num_classes: number of classes.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        most = max(1, channels // _HEAD_CHANNELS)
        self.heads = max(heads for heads in range(1, most + 1) if channels % heads == 0)
        self.query = nn.Parameter(torch.zeros(1, 1, channels))
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.q, self.kv = nn.Linear(channels, channels), nn.Linear(channels, 2 * channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )
        nn.init.trunc_normal_(self.query, std=0.02)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (N, L, C) -> logits (N, classes)."""
        # Copied: without gradients a view of a parameter asks for one, and operations could not be counted.
        query = self.query.repeat(tokens.shape[0], 1, 1)  # (N, 1, C)
        key, value = self.kv(self.norm1(tokens)).chunk(2, -1)
        # (N, L, C) -> (N, heads, L, C / heads)
        parts = [x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (self.q(query), key, value)]
        attended = F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)  # (N, 1, C)
        query = query + attended
        query = query + self.mlp(self.norm2(query))
        logits: Tensor = self.classifier(query[:, 0])
        return logits


def _runs(network: nn.Module, frames: int, size: int) -> bool:
    """Pass a clip through a network as it is, so that an error of its own is not taken for one of a probe.

    Returns:
        False if it cannot run on the meta device.

    Raises:
        InputError: it cannot take clips of this size.
    """
    weight = next(network.parameters())
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, frames, size, size, device=weight.device))
    except RuntimeError as error:
        if weight.device.type == "meta":
            return False
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{type(network).__name__} cannot take clips of {frames} frames of {size} px: {reason}"
        ) from error
    return True


def _head(kind: Kind, channels: int, num_classes: int) -> nn.Module:
    if kind == "attentive":
        return AttentiveHead(channels, num_classes)
    # The features of networks differ in scale. Normalised, one learning rate fits all.
    norm = nn.LayerNorm(channels, elementwise_affine=False)
    if kind == "mlp":
        return nn.Sequential(norm, nn.Linear(channels, channels), nn.GELU(), nn.Linear(channels, num_classes))
    return nn.Sequential(norm, nn.Linear(channels, num_classes))


class _Source:
    """The place of a network's tokens: the output of one of its modules.

    Args:
        name: the module's name.
        channels_last: whether the channels are the last dimension of its output.
    """

    def __init__(self, name: str, channels_last: bool) -> None:
        self.name, self.channels_last = name, channels_last

    def read(self, network: nn.Module, clip: Tensor) -> Tensor:
        """Return the tokens of a clip (N, 3, T, H, W), (N, L, C)."""
        found = list[Tensor | None]()
        # Joined at once, because a later module may change a list of pathways.
        with _hooked([network.get_submodule(self.name)], lambda _, output: found.append(_joined(output))):
            network(clip)
        assert found[-1] is not None
        tokens = _tokens(found[-1], self.channels_last)
        # Frame networks pass the frames of a clip as separate images, in consecutive rows.
        return tokens.reshape(clip.shape[0], -1, tokens.shape[-1])


def _find_tokens(network: nn.Module, clip: Tensor, pooled: int) -> _Source:
    """Return the last map of features with several places, or the map of the module `tokens_from`.

    Args:
        network: a network whose attribute `tokens_from`, if it has one, names the module.
        clip: (1, 3, T, H, W), passed once.
        pooled: number of its pooled features, which tells channels from places.

    Raises:
        InputError: there is none.
    """
    names = {module: name for name, module in network.named_modules() if name}
    found = list[tuple[str, Tensor]]()

    def note(module: nn.Module, output: Any) -> None:
        joined = _joined(output)
        if joined is not None:
            found.append((names[module], joined.detach()))

    with _hooked(names, note), torch.no_grad():
        network(clip)
    wanted = getattr(network, "tokens_from", None)
    for name, output in reversed(found):
        last = output.shape[-1] == pooled != output.shape[1] or output.ndim not in _PLACES_FIRST
        if name == wanted or (wanted is None and _tokens(output, last).shape[1] > 1):
            return _Source(name, last)
    raise InputError(
        f"{type(network).__name__} has no map of features with several places, to which an attentive probe "
        "could attend: choose a linear probe, or another backbone"
    )


def _joined(output: Any) -> Tensor | None:
    """Return a module's output as one map; pathways of different shapes are pooled to the smallest."""
    if isinstance(output, Tensor):
        return output if output.ndim >= 3 else None
    maps = output if isinstance(output, list | tuple) else ()
    if len(maps) < 2 or not all(isinstance(m, Tensor) and m.ndim == 5 for m in maps):
        return None
    time, height, width = (min(sides) for sides in zip(*(m.shape[2:] for m in maps), strict=True))
    return torch.cat([F.adaptive_avg_pool3d(m, (time, height, width)) for m in maps], 1)


def _tokens(output: Tensor, channels_last: bool) -> Tensor:
    """Return a map (N, C, ...) or (N, ..., C) as (N, L, C)."""
    return output.flatten(1, -2) if channels_last else output.flatten(2).transpose(1, 2)


@contextmanager
def _hooked(modules: Sequence[nn.Module] | dict[nn.Module, str], note: Any) -> Iterator[None]:
    """Call `note` with each module and its output inside the context."""
    handles = [m.register_forward_hook(lambda module, _, output: note(module, output)) for m in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    outer, _, last = name.rpartition(".")
    setattr(network.get_submodule(outer), last, module)
