"""Start the heads of fine-tuned networks as logistic regressions (Kumar et al. 2022, arXiv:2202.10054)."""

import time
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ssl_video.algorithms.parts import logistic
from ssl_video.data.progress import CountProgress
from ssl_video.errors import InputError
from ssl_video.inference.evaluate import each_view, probabilities
from ssl_video.networks.fine_tuning import FineTuning
from ssl_video.networks.pooled import Pooled
from ssl_video.training.state import Training

# Of the difference between logits and what the head makes of the pooled features, relative to the logits.
_TOLERANCE = 0.05


class Head(NamedTuple):
    """A linear layer's weights (classes, C) and bias (classes,), float32."""

    weight: Tensor
    bias: Tensor


def start_heads(run: Training, progress: CountProgress | None = None) -> None:
    """Set the heads of a run that begins, of the networks whose `head_start` is "logistic".

    The features are those of the labeled clips as they are tested, of the network in evaluation mode. Copies
    of a head, as a teacher's, are set as well. The time counts as training.

    Args:
        run: a run at its first step; all its processes call this.
        progress: called with the number of clips read and in total.

    Raises:
        InputError: the labeled clips are of one class; or a network's logits are no linear function of its
            pooled features.
    """
    began = time.monotonic()
    for tuned in run.assembly.fine_tuned:
        if tuned.starts_fitted:
            features, labels = _features(run, tuned, progress)
            # All processes fit it, and have the first one's: threads of a solver sum in any order.
            found = fitted(features, labels, len(run.data.index.classes))
            _set(run, tuned, run.processes.from_main(found))
    run.seconds += time.monotonic() - began


def fitted(features: np.ndarray, labels: np.ndarray, num_classes: int) -> Head:
    """Fit logistic regression to features, centred over the channels of each clip and of mean variance 1.

    A linear layer can do the centring itself, so the weights returned are for features as they are. A class
    without a label gets the weights 0 and the lowest bias.

    Args:
        features: (N, C).
        labels: (N,) class numbers.
        num_classes: the number of classes.

    Raises:
        InputError: the labels are of one class.
    """
    if len(np.unique(labels)) < 2:
        raise InputError("head_start logistic needs labeled clips of at least two classes: leave it out")
    centred = features - features.mean(1, keepdims=True, dtype=np.float64)
    scale = np.sqrt((centred**2).mean() + 1e-12)
    found = logistic.fit(centred / scale, labels)
    weight, bias = np.zeros((num_classes, features.shape[1])), np.full(num_classes, found.bias.min())
    weight[found.classes] = (found.weight - found.weight.mean(1, keepdims=True)) / scale
    bias[found.classes] = found.bias
    return Head(torch.from_numpy(weight).float(), torch.from_numpy(bias).float())


def _features(
    run: Training, tuned: FineTuning, progress: CountProgress | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pooled features (N, C) of the views of the labeled clips, and their labels (N,)."""
    role = next(name for name in run.assembly.shapes if run.algorithm.get_submodule(name) is tuned.network)
    rows, classes = run.partition.labeled, len(run.data.index.classes)
    pooled = Pooled(tuned.network, classes)

    def both(name: str, logits: Tensor, videos: int) -> np.ndarray:
        return each_view(name, torch.cat([logits.float(), pooled.features(len(logits))], 1), videos)

    with pooled.reading():
        found = probabilities(
            {role: tuned.network},
            run.assembly.shape_for,
            run.data.store,
            rows.tolist(),
            run.spec,
            run.device,
            progress,
            run.processes,
            average=both,
            threads=run.readers,
        )[role]
    labels = run.labels[rows].repeat(found.shape[1])
    logits, features = np.split(found.reshape(-1, found.shape[-1]), [classes], axis=1)
    _check(tuned, role, logits, features)
    return features, labels


def _check(tuned: FineTuning, role: str, logits: np.ndarray, features: np.ndarray) -> None:
    """Check that the logits are those that the head makes of the pooled features.

    Raises:
        InputError: they are others.
    """
    layer = tuned.head[0]
    weight = layer.get_parameter("weight").detach().flatten(1).float().cpu().numpy()
    expected = features @ weight.T
    if getattr(layer, "bias", None) is not None:
        expected += layer.get_parameter("bias").detach().float().cpu().numpy()
    if len(tuned.head) > 1 or np.abs(expected - logits).max() > _TOLERANCE * np.abs(logits).max():
        raise InputError(
            f"head_start logistic needs a network whose logits are one linear layer of pooled features, and "
            f"those of {role} are not: leave it out, or use head_steps"
        )


@torch.no_grad()
def _set(run: Training, tuned: FineTuning, head: Head) -> None:
    """Set a network's head, and those of its copies in teachers and averages."""
    [layer] = tuned.head
    path = next(name for name, module in tuned.network.named_modules() if module is layer)
    for network in [*_copies(run, tuned.network), tuned.network]:
        own = network.get_submodule(path)
        weight = own.get_parameter("weight")
        weight.copy_(head.weight.reshape(weight.shape))
        if getattr(own, "bias", None) is not None:
            own.get_parameter("bias").copy_(head.bias)


def _copies(run: Training, network: nn.Module) -> list[nn.Module]:
    """Return the networks of teachers and averages that equal that of a role, as before the first step."""
    roles = {run.algorithm.get_submodule(role) for role in run.assembly.shapes}
    modules = {module for part in run.assembly.parts() for module in part.modules()} - roles
    return [module for module in modules if type(module) is type(network) and _equal(module, network)]


def _equal(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
