"""Compare the tensors of a part of a file with those of a network."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from ssl_video.backbones import inputs
from ssl_video.backbones.prefixes import FilePart, lead


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
class Match:
    """The comparison of a part of a file with a network, by the network's names.

    Attributes:
        part: the part.
        found: the tensors that the network has, by name; some of another shape.
        kept: names of those of equal shape.
        scope: names of the part's tensors that belong to the network, or stand where its parts are.
        missing: names of the network's tensors that the part lacks.
        unexpected: names of the part's tensors in `scope` that the network lacks.
        differing: names of the tensors of another shape.
        classes: number of classes in the file (0: no classifier) and in the network, if they differ.
        absent: names of the classifier's tensors, if the part has no classifier.
        new: names of tensors that weights of another kind lack, see `Fits`.
        needed: number of tensors that the network needs.
        problems: sentences on the differences that are not allowed.
    """

    part: FilePart
    found: Mapping[str, Tensor]
    kept: tuple[str, ...]
    scope: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    differing: tuple[str, ...]
    classes: tuple[int, int] | None
    absent: tuple[str, ...]
    new: tuple[str, ...]
    needed: int
    problems: tuple[str, ...]

    @property
    def fraction(self) -> str:
        """The number of tensors that fit, of those that the network needs: "62 of 64"."""
        return f"{sum(_is_needed(name) for name in self.kept)} of {self.needed}"


def match(model: nn.Module, part: FilePart, num_classes: int | None = None) -> Match:
    """Compare a part of a file with a network.

    Args:
        model: the network.
        part: the part.
        num_classes: number of the network's outputs, to find its classifier.
    """
    ours = model.state_dict()
    needed = [name for name in ours if _is_needed(name)]
    head = find_classifier(model, num_classes)
    own = [name for name in needed if head and name.rpartition(".")[0] == head]
    absent = tuple(own) if not any(name in part.tensors for name in own) else ()
    scope = [name for name in part.tensors if name in ours or not (absent and _apart(name, head, ours))]
    theirs = {name: part.tensors[name] for name in scope}
    fitted = model.fit(theirs) if isinstance(model, Fits) else Fitted(theirs)
    found = {name: tensor for name, tensor in fitted.tensors.items() if name in ours}
    missing = [name for name in needed if name not in found and name not in (*fitted.new, *absent)]
    unexpected = [name for name in fitted.tensors if name not in ours]
    differing = [name for name in found if found[name].shape != ours[name].shape]
    classes = _other_classes(model, {name: (found[name], ours[name]) for name in differing})
    if absent and not differing:
        classes = 0, num_classes or 0
    problems = [_count(missing, "tensors of the network missing in the file")]
    problems += [_count(unexpected, "tensors of the file unknown to the network")]
    if not classes:
        shapes = [f"{n} {_shape(found[n])} in the file, {_shape(ours[n])} here" for n in differing]
        problems += [_count(shapes, "tensors of another shape")]
    return Match(
        part,
        found,
        tuple(name for name in found if name not in differing),
        tuple(scope),
        tuple(missing),
        tuple(unexpected),
        tuple(differing),
        classes,
        absent,
        fitted.new,
        len(needed),
        tuple(problem for problem in problems if problem),
    )


def _is_needed(name: str) -> bool:
    # Counters of batch norm are not needed, and files of old versions of torch lack them.
    return not name.endswith("num_batches_tracked") and name not in inputs.NAMES


def find_classifier(model: nn.Module, num_classes: int | None) -> str:
    """Return the name of the last layer with that many outputs; empty if there is none."""
    for name, layer in reversed(list(model.named_modules())):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Conv3d) and len(layer.weight) == num_classes:
            return name
    return ""


def _apart(name: str, head: str, ours: Iterable[str]) -> bool:
    """Return whether a tensor belongs to a module beside the network, or in place of its classifier.

    An encoder's file also holds the decoder or the projection that it was trained with. A tensor in one of
    the network's other modules, as the further blocks of a deeper network, is none of these.
    """
    own = lead(ours)
    modules = {other.removeprefix(own).split(".")[0] for other in ours}
    return name.startswith(f"{head}.") or name.removeprefix(own).split(".")[0] not in modules


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


def _count(names: Iterable[str], what: str) -> str:
    """Return their number and the first few names; empty if there are none."""
    names = list(names)
    few = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{what}: {len(names)} ({few})" if names else ""


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
