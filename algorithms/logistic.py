"""Logistic regression on frozen features: the baseline that every method on a probe has to beat."""

from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor, nn

from ssl_video.algorithms.parts import logistic
from ssl_video.algorithms.supervised import Supervised
from ssl_video.contract import Task
from ssl_video.errors import InputError
from ssl_video.registry import algorithm

# The bias of a class without a labeled clip, which is never predicted.
_NEVER = -1e4


@algorithm("logistic")
class Logistic(Supervised):
    """Logistic regression by scikit-learn on the features of the labeled clips, in place of steps.

    It is fitted once to the labeled clips as they are tested, without augmentation. In a training loop of
    your own, which makes steps, its loss is that of supervised-only.

    Args:
        penalty: C of scikit-learn, the inverse weight of the squared norm of the weights. Features are
            normalised per clip, to mean 0 and variance 1 over the channels.
    """

    differences: tuple[str, ...] = (
        "It makes no steps, so it sees no augmented copies, and its result depends on the draw of labels and "
        "not on the seed.",
    )
    waived: Mapping[str, str] = {"options-are-read": "the option is that of fit, and the check makes steps"}
    at_once = True

    def __init__(self, task: Task, model: nn.Module, *, penalty: Annotated[float, Gt(0)] = 1.0) -> None:
        super().__init__(task, model)
        self.penalty = penalty

    def fit(self, features: Tensor, labels: Tensor, unlabeled: Tensor | None = None) -> None:
        """Set the head's weights; see `Algorithm.fit`.

        Raises:
            InputError: all labeled clips are of one class, or the network is no linear probe.
        """
        # Of a linear probe: the normalisation of features, and the layer.
        norm, linear = [*getattr(self.model, "head", nn.Sequential()), None, None][:2]
        if not (isinstance(norm, nn.Module) and isinstance(linear, nn.Linear)):
            raise InputError("logistic sets the weights of a linear probe: give --probe linear")
        if len(labels.unique()) < 2:
            raise InputError("logistic needs labeled clips of at least two classes")
        found = logistic.fit(norm(features).cpu().double().numpy(), labels.cpu().numpy(), self.penalty)
        weight, bias = torch.from_numpy(found.weight), torch.from_numpy(found.bias)
        with torch.no_grad():
            linear.weight.zero_()
            linear.bias.fill_(_NEVER)
            linear.weight[found.classes] = weight.to(linear.weight)
            linear.bias[found.classes] = bias.to(linear.bias)
