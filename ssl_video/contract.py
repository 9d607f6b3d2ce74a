"""The contract between a semi-supervised algorithm and everything else.

An algorithm owns networks and turns a batch into loss terms. It declares the networks (`roles`) and
the clips (`labeled`, `unlabeled`) it needs; whoever runs it builds and supplies them. It never sees an
optimizer, a device, a data loader, a process group, a logger or a checkpoint, and it never sees the
labels of unlabeled clips: `Batch` has no field for them.

All state is sub-modules and buffers, so saving, resuming and moving an algorithm need no code of its
own. The keyword-only arguments of its constructor are its configuration schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

# How clips are normalised: (pixel - MEAN) / DEVIATION for pixels in [0, 1]. The values of PySlowFast and
# pytorchvideo for Kinetics.
MEAN, DEVIATION = 0.45, 0.225


class Bounds(NamedTuple):
    """What an option may be, ends included; in its annotation, so that others are refused before a run."""

    least: float
    most: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """What pydantic, by which options are read, asks an annotation for."""
        ends = {"ge": self.least, "le": self.most}
        return handler(source) | {name: end for name, end in ends.items() if end is not None}


# Of an option that is a share or a probability.
Share = Annotated[float, Bounds(0, 1)]
# Of a weight, a temperature and the like, of which less than nothing would be another method.
NotNegative = Annotated[float, Bounds(0)]


@dataclass(frozen=True)
class Network:
    """A request for a network, relative to the backbone and clip that the run is configured with.

    Attributes:
        width: multiplier of the number of channels.
        rate: frame rate relative to the run's; 2 asks for twice the frames at half the stride, so the
            clip spans the same time.
        backbone: the backbone of a role that is by default another one than the run's.
    """

    width: float = 1.0
    rate: int = 1
    backbone: str | None = None


@dataclass(frozen=True)
class View:
    """A request for a clip: data, no code. All views of a sample are cut from one decoded window.

    Attributes:
        augmentation: name of a spatial recipe ("none", "weak", "strong"), alone or with a temporal
            augmentation ("strong+timewarp"). Views of one sample with the same spatial recipe are transformed
            alike, so they differ only in which frames they hold; those with the same temporal augmentation
            and number of frames hold the same places of their windows.
        copy: views of one sample with different numbers are transformed independently of each other, as
            for methods that compare or average several augmentations of one clip.
        network: the role whose clip length and stride the view has; None is the first role's.
        rate: frame rate relative to the network's; 0.5 asks for half the frames at twice the stride, so the
            clip spans the same time.
        frames: number of frames, where it differs from the network's.
        stride: distance between frames in frames of the file, where it differs from the network's. This is
            the speed: twice the stride shows the video twice as fast, and half the frames at twice the stride
            span the same time.
        window: "shared" starts with the sample's other views; "own" has a start of its own.
    """

    augmentation: str = "weak"
    copy: int = 0
    network: str | None = None
    rate: float = 1.0
    frames: int | None = None
    stride: int | None = None
    window: Literal["shared", "own"] = "shared"


@dataclass(frozen=True)
class Task:
    """Facts about the problem that an algorithm may use."""

    num_classes: int
    num_unlabeled: int


class Batch(NamedTuple):
    """One step's clips. There is no field for the labels of unlabeled clips, and there never will be.

    Clips are normalised by MEAN and DEVIATION. B and U are a process's share of the run's `labeled_batch` and
    `unlabeled_batch`, of one part of it with `accumulate`. An algorithm takes any B and U from 1 on: neither
    has to be a multiple of the other, nor what the run was given, as checks and counts use a few clips alone.
    An unlabeled clip has one position in the whole run, which says nothing of its class.
    """

    labeled: Mapping[str, Tensor]  # by view, each (B, 3, T, H, W)
    labels: Tensor  # (B,)
    unlabeled: Mapping[str, Tensor]  # by view, each (U, 3, T, H, W)
    positions: Tensor  # (U,), of the clips in the unlabeled set, in [0, Task.num_unlabeled)


class Pseudo(NamedTuple):
    """Pseudo-labels for the unlabeled clips of a batch."""

    label: Tensor  # (U,); the likeliest class, where `distribution` is what is learned
    weight: Tensor  # (U,) in [0, 1]; 0 = not used
    distribution: Tensor | None = None  # (U, classes), for soft labels


@dataclass(frozen=True)
class LossOutput:
    """What one step produced.

    Attributes:
        terms: weighted scalars; their sum is minimised, and exactly they are logged.
        pseudo: the pseudo-labels used, by the network that gave them, for the audit against hidden labels.
    """

    terms: dict[str, Tensor]
    pseudo: dict[str, Pseudo] = field(default_factory=dict)

    @property
    def loss(self) -> Tensor:
        """The scalar to minimise."""
        return torch.stack(list(self.terms.values())).sum()


class Algorithm(nn.Module):
    """The method of one paper: networks, losses, and nothing else.

    Subclasses define `__init__(self, task, <one module per role>, *, <hyper-parameters with defaults>)`.
    Where a hyper-parameter shapes a view, the instance may replace the class's views.

    Attributes:
        roles: the networks it asks for; the first is the main one.
        labeled: the views of labeled clips that it reads.
        unlabeled: the views of unlabeled clips that it reads.
        frozen: roles whose networks it does not train, so that a run must be given weights for them.
        whole_batch: whether it compares, averages, remembers or mixes the clips of a batch with each other.
            The losses of parts of a batch do not average to that of the whole then, and runs with
            `accumulate` are refused.
    """

    roles: ClassVar[Mapping[str, Network]] = {"model": Network()}
    labeled: Mapping[str, View] = {"weak": View("weak")}
    unlabeled: Mapping[str, View] = {}
    frozen: tuple[str, ...] = ()
    whole_batch: bool = False

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Loss terms of one batch. `progress` is the share of training done, in [0, 1)."""
        raise NotImplementedError

    def after_step(self, progress: float) -> None:
        """Called after every optimizer step, for example to move a teacher."""

    def predictors(self) -> dict[str, nn.Module]:
        """Networks to evaluate, each clip (N, 3, T, H, W) -> logits (N, classes); the first is the headline.

        A predictor named like a role is fed that role's clips, any other the first role's.
        """
        return {role: self.get_submodule(role) for role in self.roles}

    def forward(self, batch: Batch, progress: float) -> LossOutput:
        """The loss, so that the whole object can be wrapped (for example for several processes)."""
        return self.loss(batch, progress)
