"""Compute the features of one frozen network, and name what determines them."""

import hashlib
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ssl_video.backbones.probe import Probe
from ssl_video.data.dataset import clock
from ssl_video.networks.plugins import entry
from ssl_video.networks.precision import autocast
from ssl_video.registry import backbones
from ssl_video.spec import NetworkSpec, Spec

# Raised when the same settings give other numbers than before, so that old features are not read.
_VERSION = 1
# Clips per pass, on a CPU and elsewhere. A CPU is fastest with few, whose maps stay in memory that is already
# mapped: tests/features/at_once.py.
_ON_CPU, _ELSEWHERE = 2, 32
# Their networks may change with their version.
_LIBRARIES = ("torch", "torchvision", "timm", "pytorchvideo")


class Extractor:
    """The frozen network of a role.

    Args:
        probe: the role's network.
        network: the role's resolved settings.
        spec: the resolved specification.
        setting: name of the settings that determine the pixels of stored frames.
        device: the device of the network.
    """

    def __init__(
        self, probe: Probe, network: NetworkSpec, spec: Spec, setting: str, device: torch.device
    ) -> None:
        self.probe, self.spec, self.device = probe, spec, device
        self.at_once = _ON_CPU if device.type == "cpu" else _ELSEWHERE
        backbone = str(network.backbone)
        self.about: dict[str, Any] = {
            "version": _VERSION,
            "libraries": _versions(entry(backbone)),
            "network": backbone,
            "code": backbones.code(entry(backbone)),
            "width": network.width,
            "frames": network.frames,
            "input": network.input,
            # Not their source: tensors that a file lacks have random values, which depend on the seed.
            "weights": _digest(probe.backbone),
            "features": "tokens" if probe.kind == "attentive" else "pooled",
            "precision": spec.precision,
            "size": spec.size,
            "stored_frames": setting,
            # Which frames a clip with this stride has.
            "clock": list(clock(spec)),
        }
        if network.architecture is not None:
            self.about["architecture"] = network.architecture

    def shape(self, frames: int) -> tuple[int, ...]:
        """Return the shape of the features of a clip of so many frames."""
        return self.probe.shape(frames, self.spec.size)

    def features(self, clips: Iterator[Tensor]) -> Iterator[np.ndarray]:
        """Return features clip by clip, float32, of clips (3, T, size, size).

        They pass in batches of one size, so those of a clip do not depend on the others.
        """
        some = list[Tensor]()
        for clip in clips:
            some.append(clip)
            if len(some) == self.at_once:
                yield from self._batch(some)
                some = []
        if some:
            yield from self._batch(some)

    def _batch(self, clips: Sequence[Tensor]) -> np.ndarray:
        filled = [*clips, *[clips[-1]] * (self.at_once - len(clips))]
        batch = torch.stack(filled).to(self.device, memory_format=torch.channels_last_3d)
        with autocast(self.spec, self.device):
            found = self.probe.features(batch)
        return found[: len(clips)].float().cpu().numpy()


def _digest(network: nn.Module) -> str:
    """Return a digest of all weights and buffers of a network."""
    found = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:32]


def _versions(library: str) -> dict[str, str]:
    """Return the versions of the libraries; that of transformers only for its own networks."""
    names = (*_LIBRARIES, library) if library == "transformers" else _LIBRARIES
    return {name: metadata.version(name) for name in names}
