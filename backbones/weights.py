"""Pretrained weights, never in part without saying so."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from ssl_video.backbones import inputs
from ssl_video.backbones.pretrained import Source
from ssl_video.errors import InputError


class Fitted(NamedTuple):
    """Tensors by a network's own names, and the names of those that keep their initial values."""

    tensors: dict[str, Tensor]
    new: tuple[str, ...] = ()


@runtime_checkable
class Fits(Protocol):
    """A network that also takes the weights of another kind of network, for example of one for images."""

    def fit(self, tensors: dict[str, Tensor]) -> Fitted:
        """What is to be loaded, of tensors by the network's own names."""


@dataclass(frozen=True)
class Report:
    """What was loaded.

    Attributes:
        source: where it is from.
        matched: names of the network's tensors that were loaded.
        skipped: names of those left at their initial value: the classifier of other classes.
        classes: number of classes in the file and in the network, where they differ.
        new: names of those left at their initial value that a network of this kind cannot have.
        normalisation: how inputs are normalised, where it is not as clips are.
    """

    source: str
    matched: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    classes: tuple[int, int] | None = None
    new: tuple[str, ...] = ()
    normalisation: str = ""

    @property
    def partial(self) -> bool:
        """Whether something keeps its initial values."""
        return bool(self.skipped or self.new)

    def __str__(self) -> str:
        text = f"{len(self.matched)} tensors loaded from {self.source}"
        if self.classes:
            text += (
                f"; the classifier keeps its initial values ({', '.join(self.skipped)}), as the file has "
                f"{self.classes[0]} classes and the network {self.classes[1]}"
            )
        if self.new:
            # One name for the same tensor of all blocks.
            names = dict.fromkeys(re.sub(r"\.\d+\.", ".*.", name) for name in self.new)
            text += f"; {len(self.new)} that it cannot have keep their initial values: {', '.join(names)}"
        if self.normalisation:
            text += f"; inputs are normalised as for these weights, by {self.normalisation}"
        return text


def load(model: nn.Module, source: Source, size: int = 224) -> Report:
    """Loads tensors into a network, all of them or none.

    Names may differ by a leading part that all tensors share ("module.", "network."). A classifier for
    another number of classes is left as it is and named in the report, and so is what a network says that
    weights of another kind lack (see `Fits`); any other difference is an error.

    Args:
        model: the network, changed in place.
        source: the weights.
        size: height and width of a clip in pixels.

    Raises:
        InputError: weights that cannot be had, or do not fit.
    """
    ours = model.state_dict()
    theirs = _align(source.read(size), ours)
    fitted = model.fit(theirs) if isinstance(model, Fits) else Fitted(theirs)
    found = {name: tensor for name, tensor in fitted.tensors.items() if name in ours}
    # Counters of batch norm, which files of old versions of torch lack, are of no use here.
    needed = [name for name in ours if not name.endswith("num_batches_tracked") and name not in inputs.NAMES]
    missing = [name for name in needed if name not in found and name not in fitted.new]
    unexpected = [name for name in fitted.tensors if name not in ours]
    differing = [name for name in found if found[name].shape != ours[name].shape]
    classes = _other_classes(model, {name: (found[name], ours[name]) for name in differing})
    problems = [_count(missing, "tensors of the network missing in the file")]
    problems += [_count(unexpected, "tensors of the file unknown to the network")]
    if not classes:
        shapes = [f"{n} {_shape(found[n])} in the file, {_shape(ours[n])} here" for n in differing]
        problems += [_count(shapes, "tensors of another shape")]
    if any(problems):
        raise InputError(
            f"{source.name}: these weights do not fit the network, nothing was loaded; are backbone and "
            "width those that the file was made with?",
            *(problem for problem in problems if problem),
        )
    kept = {name: tensor for name, tensor in found.items() if name not in differing}
    model.load_state_dict(kept, strict=False)
    elsewhere = source.normalisation != inputs.CLIPS
    if elsewhere:
        inputs.adjust(model, source.normalisation)
    normalisation = str(source.normalisation) if elsewhere else ""
    return Report(source.name, tuple(kept), tuple(differing), classes, fitted.new, normalisation)


def _align(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The file's tensors by the network's names, by the exchange of leading parts that matches most names."""
    # How inputs are normalised is the whole network's, so its names have no leading part.
    known, names = ([name for name in state if name not in inputs.NAMES] for state in (ours, theirs))
    exchanges = [
        {name: new + name.removeprefix(old) for name in names}
        for old in _leads(names)
        for new in _leads(known)
    ]
    best = max(exchanges, key=lambda exchange: len(set(known).intersection(exchange.values())))
    return {best.get(name, name): tensor for name, tensor in theirs.items()}


def _leads(names: list[str]) -> list[str]:
    """Every leading part that all names share, from none to all of it: "", "module.", "module.blocks."."""
    levels = zip(*(name.split(".")[:-1] for name in names), strict=False)
    shared = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    return ["".join(f"{part}." for part in shared[:length]) for length in range(len(shared) + 1)]


def _other_classes(model: nn.Module, differing: dict[str, tuple[Tensor, Tensor]]) -> tuple[int, int] | None:
    """Numbers of classes in the file and here, if these tensors differ in nothing else.

    A layer of which only the number of outputs differs, while the layers after it fit, has none after it.
    """
    counts = set()
    for name, (theirs, ours) in differing.items():
        layer = model.get_submodule(name.rpartition(".")[0])
        linear = isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
        if not linear or not theirs.dim() or theirs.shape[1:] != ours.shape[1:]:
            return None
        counts.add((len(theirs), len(ours)))
    return counts.pop() if len(counts) == 1 else None


def _count(names: Iterable[str], what: str) -> str:
    """How many there are and the first few, or nothing if there are none."""
    names = list(names)
    few = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{what}: {len(names)} ({few})" if names else ""


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
