"""Read the pooled features of a network, the inputs of its classifier, while it computes its logits."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from ssl_video.backbones.matching import find_classifier
from ssl_video.backbones.probe import Probe
from ssl_video.errors import InputError


class Pooled:
    """The features of the last pass of a network.

    Args:
        network: clips (N, 3, T, H, W) -> logits (N, classes).
        num_classes: the number of classes.

    Raises:
        InputError: the network has no classifier.
    """

    def __init__(self, network: nn.Module, num_classes: int) -> None:
        probe = next((module for module in network.modules() if isinstance(module, Probe)), None)
        name = find_classifier(network, num_classes)
        if not name:
            raise InputError(
                f"{type(network).__name__} has no linear layer or convolution with {num_classes} outputs, so "
                "its features cannot be read"
            )
        # The head of a probe normalises features, or attends to them, before its last layer.
        self._layer = probe.head if probe else network.get_submodule(name)
        self._found: Tensor | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Note the features of each pass inside the context."""
        handle = self._layer.register_forward_pre_hook(self._note)
        try:
            yield
        finally:
            handle.remove()

    def features(self, clips: int) -> Tensor:
        """Return the features of the last pass of so many clips, (clips, C): means over places and frames."""
        assert self._found is not None
        found, self._found = self._found, None
        if isinstance(self._layer, nn.Conv2d | nn.Conv3d):
            found = found.movedim(1, -1)
        # Frame networks pass the frames of a clip as separate images, in consecutive rows.
        return found.reshape(clips, -1, found.shape[-1]).float().mean(1)

    def _note(self, _: nn.Module, inputs: tuple[Tensor]) -> None:
        self._found = inputs[0].detach()
