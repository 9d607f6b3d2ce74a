"""Pretrained weights; partial loading is always reported."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from ssl_video.backbones import inputs
from ssl_video.backbones.pretrained import WeightSource
from ssl_video.errors import InputError


class Fitted(NamedTuple):
    """Tensors by a network's own names, and the names of those that keep their initial values."""

    tensors: dict[str, Tensor]
    new: tuple[str, ...] = ()


@runtime_checkable
class Fits(Protocol):
    """A network that also accepts the weights of another kind of network, for example an image network."""

    def fit(self, tensors: dict[str, Tensor]) -> Fitted:
        """Return the tensors to load, given tensors by the network's own names."""


@dataclass(frozen=True)
class WeightReport:
    """Report on loaded weights.

    Attributes:
        source: origin of the weights.
        matched: names of the network's tensors that were loaded.
        skipped: names of those left at their initial value: the classifier of other classes.
        classes: number of classes in the file and in the network, if they differ.
        new: names of those left at their initial value because the source's kind of network lacks them.
        normalisation: the input normalisation, if it differs from that of clips.
        unused: names of the file's tensors that the network does not have, if only a part was asked for.
    """

    source: str
    matched: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    classes: tuple[int, int] | None = None
    new: tuple[str, ...] = ()
    normalisation: str = ""
    unused: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        """True if some tensors keep their initial values."""
        return bool(self.skipped or self.new or self.unused)

    def __str__(self) -> str:
        text = f"{len(self.matched)} tensors loaded from {self.source}"
        if self.classes:
            text += (
                f"; the classifier keeps its initial values ({', '.join(self.skipped)}), as the file has "
                f"{self.classes[0]} classes and the network {self.classes[1]}"
            )
        elif self.skipped:
            text += f"; {len(self.skipped)} of another shape keep their initial values: {_few(self.skipped)}"
        if self.unused:
            text += f"; {len(self.unused)} of the file are not used: {_few(self.unused)}"
        if self.new:
            text += f"; {len(self.new)} that it does not have keep their initial values: {_few(self.new)}"
        if self.normalisation:
            text += f"; inputs are normalised as for these weights, by {self.normalisation}"
        return text


def load(model: nn.Module, source: WeightSource, size: int = 224, *, partial: bool = False) -> WeightReport:
    """Load tensors into a network, all of them or none.

    Names may differ by a prefix that all tensors share ("module.", "network."). A classifier for another
    number of classes stays unchanged and is named in the report. So are the tensors that the network
    declares as missing in weights of another kind (see `Fits`). Any other difference is an error.

    Args:
        model: the network, changed in place.
        source: the weights.
        size: height and width of a clip in pixels.
        partial: load the tensors of equal name and shape; the report names the others.

    Raises:
        InputError: weights that are not available, or do not fit; with `partial`, none of them fits.
    """
    ours = model.state_dict()
    theirs = _align(source.read(size), ours)
    fitted = model.fit(theirs) if isinstance(model, Fits) else Fitted(theirs)
    found = {name: tensor for name, tensor in fitted.tensors.items() if name in ours}
    # Counters of batch norm are not needed, and files of old versions of torch lack them.
    needed = [name for name in ours if not name.endswith("num_batches_tracked") and name not in inputs.NAMES]
    missing = [name for name in needed if name not in found and name not in fitted.new]
    unexpected = [name for name in fitted.tensors if name not in ours]
    differing = [name for name in found if found[name].shape != ours[name].shape]
    classes = _other_classes(model, {name: (found[name], ours[name]) for name in differing})
    if partial:
        return _load_some(model, source, found, differing, [*missing, *fitted.new], unexpected, classes)
    problems = [_count(missing, "tensors of the network missing in the file")]
    problems += [_count(unexpected, "tensors of the file unknown to the network")]
    if not classes:
        shapes = [f"{n} {_shape(found[n])} in the file, {_shape(ours[n])} here" for n in differing]
        problems += [_count(shapes, "tensors of another shape")]
    if any(problems):
        raise InputError(
            f"{source.name}: these weights do not fit the network, nothing was loaded; are backbone and "
            "width those that the file was made with? partial_weights loads those that fit",
            *(problem for problem in problems if problem),
        )
    kept = {name: tensor for name, tensor in found.items() if name not in differing}
    normalisation = _take_over(model, source, kept)
    return WeightReport(source.name, tuple(kept), tuple(differing), classes, fitted.new, normalisation)


def _load_some(
    model: nn.Module,
    source: WeightSource,
    found: dict[str, Tensor],
    differing: list[str],
    missing: list[str],
    unexpected: list[str],
    classes: tuple[int, int] | None,
) -> WeightReport:
    """Load the tensors that fit."""
    kept = {name: tensor for name, tensor in found.items() if name not in differing}
    if not kept:
        raise InputError(f"{source.name}: no tensor of it fits the network by name and shape")
    normalisation = _take_over(model, source, kept)
    return WeightReport(
        source.name,
        tuple(kept),
        tuple(differing),
        classes,
        tuple(missing),
        normalisation=normalisation,
        unused=tuple(unexpected),
    )


def _take_over(model: nn.Module, source: WeightSource, tensors: dict[str, Tensor]) -> str:
    """Load tensors, and convert the network's inputs to their normalisation; return it if it is another."""
    model.load_state_dict(tensors, strict=False)
    if source.normalisation == inputs.CLIPS:
        return ""
    inputs.adjust(model, source.normalisation)
    return str(source.normalisation)


def _align(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the file's tensors to the network's names, by the change of prefix that matches most names."""
    # The input normalisation belongs to the whole network, so its names have no prefix.
    known, names = ([name for name in state if name not in inputs.NAMES] for state in (ours, theirs))
    exchanges = [
        {name: new + name.removeprefix(old) for name in names}
        for old in _leads(names)
        for new in _leads(known)
    ]
    best = max(exchanges, key=lambda exchange: len(set(known).intersection(exchange.values())))
    return {best.get(name, name): tensor for name, tensor in theirs.items()}


def _leads(names: list[str]) -> list[str]:
    """Return every prefix that all names share, from none to the longest: "", "module.", "module.blocks."."""
    levels = zip(*(name.split(".")[:-1] for name in names), strict=False)
    shared = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    return ["".join(f"{part}." for part in shared[:length]) for length in range(len(shared) + 1)]


def _other_classes(model: nn.Module, differing: dict[str, tuple[Tensor, Tensor]]) -> tuple[int, int] | None:
    """Return the numbers of classes in the file and here, if these tensors differ in nothing else.

    A layer is the last one if only its number of outputs differs while all other layers fit.
    """
    counts = set()
    for name, (theirs, ours) in differing.items():
        layer = model.get_submodule(name.rpartition(".")[0])
        linear = isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
        if not linear or not theirs.dim() or theirs.shape[1:] != ours.shape[1:]:
            return None
        counts.add((len(theirs), len(ours)))
    return counts.pop() if len(counts) == 1 else None


def _few(names: Iterable[str]) -> str:
    """Return names, one for the same tensor of all blocks."""
    return ", ".join(dict.fromkeys(re.sub(r"\.\d+\.", ".*.", name) for name in names))


def _count(names: Iterable[str], what: str) -> str:
    """Return their number and the first few names; empty if there are none."""
    names = list(names)
    few = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{what}: {len(names)} ({few})" if names else ""


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
