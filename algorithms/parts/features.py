"""Features, for methods that compare clips: the inputs of a network's classifier, and its feature maps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ssl_video.errors import InputError

_Layer = nn.Linear | nn.Conv2d | nn.Conv3d


def classifier(model: nn.Module, num_classes: int) -> _Layer:
    """Return the layer of a network's logits: the last linear layer or convolution with that many outputs.

    Raises:
        InputError: there is none.
    """
    for layer in reversed(list(model.modules())):
        if isinstance(layer, _Layer) and _width(layer.weight, 0) == num_classes:
            return layer
    raise InputError(
        f"{type(model).__name__} has no linear layer or convolution with {num_classes} outputs, whose inputs "
        "could be taken as its features"
    )


class Features:
    """Captures the inputs of a network's classifier.

        features = Features(model, num_classes)  # once, in the constructor
        with features.captured() as last:
            logits = model(clips)  # or several passes
        last(len(clips))  # (N, C)

    Attributes:
        size: C, the number of features.
    """

    def __init__(self, model: nn.Module, num_classes: int) -> None:
        layer = classifier(model, num_classes)
        self.size = _width(layer.weight, 1)
        self._linear = isinstance(layer, nn.Linear)
        self._clips = 0
        self._kept: list[Tensor] | None = None
        model.register_forward_pre_hook(self._count)
        # Before all others, such as dropout, which change what the layer is given.
        layer.register_forward_pre_hook(self._keep, prepend=True)

    @contextmanager
    def captured(self) -> Iterator[Callable[[int], Tensor]]:
        """Capture features inside the context.

        Yields:
            A function that returns the features of the last `count` clips that passed, (count, C) float32,
            with gradient if the pass had one. After `forward_views` these are the strong clips, before them
            the weak ones and the labeled ones. If the classifier gets several places or frames of a clip,
            they are averaged.
        """
        self._kept = kept = list[Tensor]()

        def last(count: int) -> Tensor:
            return torch.cat(kept)[-count:]

        try:
            yield last
        finally:
            self._kept = None

    def _count(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._clips = len(inputs[0])

    def _keep(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if self._kept is not None:
            found = inputs[0] if self._linear else inputs[0].movedim(1, -1)
            # Frame networks pass the frames of a clip as separate images, in consecutive rows.
            self._kept.append(found.float().reshape(self._clips, -1, self.size).mean(1))


class FeatureMaps:
    """Captures the outputs of a network's stages.

    A network says which they are in its attribute `stages`: a tuple of the names of modules whose outputs are
    (N, C, T, H, W). Networks of which it is not known have no such attribute, and no maps.

        maps = FeatureMaps(model)  # once, in the constructor
        with maps.captured() as found:
            logits = model(clips)  # one pass
        found  # a list of (N, C, T, H, W), one per stage

    Attributes:
        stages: names of the stages, first to last; empty if they are not known.

    Raises:
        InputError: the network has no module of that name.
    """

    def __init__(self, model: nn.Module) -> None:
        self.stages: tuple[str, ...] = getattr(model, "stages", ())
        self._maps: list[Tensor] | None = None
        for name in self.stages:
            try:
                stage = model.get_submodule(name)
            except AttributeError:
                raise InputError(
                    f"{type(model).__name__}.stages names {name!r}, which is no module of the network"
                ) from None
            stage.register_forward_hook(self._keep)

    @contextmanager
    def captured(self) -> Iterator[list[Tensor]]:
        """Capture the maps of one pass, with gradient if the pass has one."""
        self._maps = maps = list[Tensor]()
        try:
            yield maps
        finally:
            self._maps = None

    def _keep(self, stage: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if self._maps is not None:
            self._maps.append(output)


def _width(weight: Tensor, dimension: int) -> int:
    return int(weight.shape[dimension])
