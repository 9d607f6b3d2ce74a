"""The contract between a semi-supervised algorithm and everything else.

An algorithm owns networks and turns a batch into loss terms. It declares the networks (`roles`) and the clips
(`labeled`, `unlabeled`) it needs; the training loop builds and supplies them. It never sees an optimizer, a
device, a data loader, a process group, a logger or a checkpoint. Nor does it see the labels of unlabeled
clips: `Batch` has no field for them.

All state is in sub-modules and buffers, so an algorithm needs no code of its own to be saved, resumed or
moved. The keyword-only arguments of its constructor are its configuration schema.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video import options as option_rules

if TYPE_CHECKING:
    from ssl_video.spec import Spec

# Clips are normalised to (pixel - MEAN) / DEVIATION, for pixels in [0, 1]. PySlowFast and pytorchvideo use
# these values for Kinetics.
MEAN, DEVIATION = 0.45, 0.225


Fraction = Annotated[float, Interval(ge=0, le=1)]
"""Type of an option in [0, 1]: a fraction or a probability."""
NonNegative = Annotated[float, Ge(0)]
"""Type of an option that is not negative: a weight, a temperature and the like."""


@dataclass(frozen=True)
class Network:
    """A request for a network, relative to the backbone and clip of the run.

    Attributes:
        width: multiplier of the number of channels.
        rate: frame rate relative to the run's; 2 asks for twice the frames at half the stride, so the
            clip spans the same time.
        backbone: the role's default backbone; None: the run's.
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
            alike, so they differ only in their frames. Views with the same temporal augmentation and number
            of frames show the same places of their windows.
        copy: views of one sample with different numbers are transformed independently, as for methods that
            compare or average several augmentations of one clip.
        network: the role whose clip length and stride the view has; None: the first role.
        rate: frame rate relative to the network's; 0.5 asks for half the frames at twice the stride, so the
            clip spans the same time.
        frames: number of frames, where it differs from the network's.
        stride: distance between frames in frames of the file, where it differs from the network's. This is
            the speed: twice the stride shows the video twice as fast, and half the frames at twice the stride
            span the same time.
        window: "shared" starts at the same time as the sample's other views; "own" starts independently.
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
    """Facts about the problem that an algorithm may use.

    Attributes:
        num_classes: number of classes.
        num_unlabeled: number of clips in the unlabeled set of the run.
    """

    num_classes: int
    num_unlabeled: int


@dataclass(frozen=True)
class Paper:
    """The publication of a method.

    Attributes:
        title: its title.
        authors: "Xu et al.".
        venue: conference or journal, "CVPR"; or "arXiv".
        year: the year of the venue.
        arxiv: its number on arXiv, "2112.09690"; empty if there is none.
    """

    title: str
    authors: str
    venue: str
    year: int
    arxiv: str = ""

    def __str__(self) -> str:
        where = [] if self.venue == "arXiv" else [f"{self.venue} {self.year}"]
        number = [f"arXiv:{self.arxiv}"] if self.arxiv else []
        return f'{self.authors}, "{self.title}", {", ".join([*where, *number])}'


class Batch(NamedTuple):
    """One step's clips. There is no field for the labels of unlabeled clips, and there never will be.

    Clips are normalised by MEAN and DEVIATION. B and U are a process's shard of the run's `labeled_batch` and
    `unlabeled_batch`, or with `accumulate` one micro-batch of it. An algorithm accepts any B and U from 1 on,
    in any ratio, because checks and operation counts use only a few clips. An unlabeled clip keeps its index
    for the whole run, and the index reveals nothing about its class.

    Attributes:
        labeled: the labeled clips by view, each (B, 3, T, H, W), or their features, see `works_on_pixels`.
        labels: (B,) their classes, in [0, Task.num_classes).
        unlabeled: the unlabeled clips by view, each (U, 3, T, H, W).
        indices: (U,) their places in the unlabeled set, in [0, Task.num_unlabeled).
        predictions: (U, classes) another model's probabilities for them, see `Algorithm.predictions_from`;
            None: the class asks for none.
    """

    labeled: Mapping[str, Tensor]
    labels: Tensor
    unlabeled: Mapping[str, Tensor]
    indices: Tensor
    predictions: Tensor | None = None


class Pseudo(NamedTuple):
    """Pseudo-labels for the unlabeled clips of a batch.

    Attributes:
        label: (U,) classes; the most likely ones where `distribution` is the target.
        weight: (U,) in [0, 1]; 0: not used.
        distribution: (U, classes) soft labels; None: hard ones.
    """

    label: Tensor
    weight: Tensor
    distribution: Tensor | None = None


@dataclass(frozen=True)
class LossOutput:
    """The result of one step.

    Attributes:
        terms: weighted scalars by name. Their sum is minimised, and each of them is logged.
        pseudo: the pseudo-labels used, by the network that produced them; audited against hidden labels.
    """

    terms: dict[str, Tensor]
    pseudo: dict[str, Pseudo] = field(default_factory=dict)

    @property
    def loss(self) -> Tensor:
        """The scalar to minimise."""
        return torch.stack(list(self.terms.values())).sum()


class Algorithm(nn.Module):
    """The method of one paper: networks, losses, and nothing else.

    Subclasses define `__init__(self, task, <one module per role>, *, <hyper-parameters with defaults>)`. The
    hyper-parameters are validated against their annotations. Where one of them shapes a view, the instance
    may replace the class's views.

    Attributes:
        roles: the requested networks; the first is the main one.
        labeled: the requested views of labeled clips.
        unlabeled: the requested views of unlabeled clips.
        frozen: roles whose networks are not trained. A run must supply weights for them.
        whole_batch: whether it compares, averages, remembers or mixes the clips of a batch with each other.
            The losses of micro-batches then do not average to the loss of the whole batch, and runs with
            `accumulate` are rejected.
        works_on_pixels: whether it does anything with clips but to concatenate and select whole ones and pass
            them to its networks, for example mixes them or takes differences of frames. Otherwise, with a
            probe, a batch holds the features of clips in place of the clips, and the networks take both.
        at_once: whether `fit` computes the weights, in place of steps. It requires a linear probe.
        fits_unlabeled: whether `fit` is given the features of the unlabeled clips, too.
        predictions_from: name of the option, and of the attribute, that holds the file of another model's
            predictions of the unlabeled clips; batches then have `predictions`. "": none.
        paper: the publication of the method.
        based_on: further publications that parts of it are taken from.
        differences: sentences on each difference from the paper or from common practice.
        label_smoothing: of `labeled_cross_entropy`, set by the run.
        smoothed: whether a label was smoothed so far.
        waived: checks of `ssl_video.testing` that the method fails on purpose, with the reason.
        spec: the specification, set by `ssl_video.create`; None for an instance that was built directly.
        task: the problem, set by `ssl_video.create`; None likewise.
    """

    roles: ClassVar[Mapping[str, Network]] = {"model": Network()}
    labeled: Mapping[str, View] = {"weak": View("weak")}
    unlabeled: Mapping[str, View] = {}
    frozen: tuple[str, ...] = ()
    whole_batch: bool = False
    works_on_pixels: bool = False
    at_once: bool = False
    fits_unlabeled: bool = False
    predictions_from: str = ""
    paper: Paper | None = None
    based_on: tuple[Paper, ...] = ()
    differences: tuple[str, ...] = ()
    waived: Mapping[str, str] = {}
    label_smoothing: float = 0.0
    smoothed: bool = False
    spec: "Spec | None" = None
    task: Task | None = None

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "__init__" in vars(cls):
            cls.__init__ = _validated(cls, cls.__init__)  # type: ignore[method-assign]

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return the loss terms of one batch; `progress` is the fraction of training done, in [0, 1)."""
        raise NotImplementedError

    def fit(self, features: Tensor, labels: Tensor, unlabeled: Tensor | None = None) -> None:
        """Compute the weights from all clips, if `at_once`.

        Args:
            features: (N, C), those of the first network, without augmentation; of each test clip and crop.
            labels: (N,) their classes.
            unlabeled: (U, C), those of the unlabeled clips, if `fits_unlabeled`; None: it does not.
        """
        raise NotImplementedError

    def labeled_cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy of labeled clips, with the run's label smoothing.

        Smoothing by s replaces a label by (1 - s) times the label + s / classes for every class (Szegedy et
        al. 2016, arXiv:1512.00567, section 7).

        Args:
            logits: (B, classes).
            labels: (B,) classes, or (B, classes) probabilities.

        Returns:
            A scalar.
        """
        if self.label_smoothing:
            self.smoothed = True
        return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)

    def after_step(self, progress: float) -> None:
        """Update state after an optimizer step, for example a teacher."""

    def predictors(self) -> dict[str, nn.Module]:
        """Return the networks to evaluate, clips (N, 3, T, H, W) -> logits (N, classes), the headline first.

        A predictor named like a role is fed that role's clips, any other the first role's.
        """
        return {role: self.get_submodule(role) for role in self.roles}

    def forward(self, batch: Batch, progress: float) -> LossOutput:
        """Return the loss, so that the whole module can be wrapped (for example for several processes)."""
        return self.loss(batch, progress)


def _validated(owner: type[Algorithm], init: Callable[..., None]) -> Callable[..., None]:
    """Wrap a constructor so that its options are validated, those that it passes to base classes included."""

    @functools.wraps(init)
    def validated(self: Algorithm, *arguments: Any, **given: Any) -> None:
        # By their module: a class of a session is pickled with the globals of its constructor's wrapper.
        if option_rules.VALIDATED.get():
            # Not at the top: it imports pydantic, which the declaration of an algorithm does not need.
            from ssl_video.spec import check_options

            options = {name: given.pop(name) for name in option_rules.declared(owner) if name in given}
            given |= check_options(owner.__name__, owner, options)
        init(self, *arguments, **given)

    return validated
