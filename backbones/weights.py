"""Pretrained weights from a local file, never in part without saying so."""

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ssl_video.backbones.libraries import importing
from ssl_video.errors import DAMAGED, InputError

_NESTED = ("state_dict", "model_state", "model")


@dataclass(frozen=True)
class Report:
    """What was loaded.

    Attributes:
        path: the file.
        matched: names of the network's tensors that were loaded.
        skipped: names of those left at their initial value: the classifier of other classes.
        classes: number of classes in the file and in the network, where they differ.
    """

    path: Path
    matched: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    classes: tuple[int, int] | None = None

    def __str__(self) -> str:
        text = f"{len(self.matched)} tensors loaded from {self.path}"
        if self.classes:
            text += (
                f"; the classifier keeps its initial values ({', '.join(self.skipped)}), as the file has "
                f"{self.classes[0]} classes and the network {self.classes[1]}"
            )
        return text


def load(model: nn.Module, path: str | Path) -> Report:
    """Loads a file's tensors into a network, all of them or none.

    Names may differ by a leading part that all tensors share ("module.", "network."). A classifier for
    another number of classes is left as it is and named in the report; any other difference is an error.

    Args:
        model: the network, changed in place.
        path: a state dict as .safetensors or saved by torch, bare or under one of the keys "state_dict",
            "model_state", "model".

    Raises:
        InputError: no such file, a file that cannot be read as tensors alone, or tensors that do not fit.
    """
    path = Path(path).expanduser()
    ours = model.state_dict()
    theirs = _read(path)
    name_of = _align(list(theirs), list(ours))
    found = {name_of[name]: tensor for name, tensor in theirs.items() if name_of[name] in ours}
    # Counters of batch norm, which files of old versions of torch lack and nothing here uses.
    missing = [name for name in ours if name not in found and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in theirs if name_of[name] not in ours]
    differing = [name for name in found if found[name].shape != ours[name].shape]
    classes = _other_classes(model, {name: (found[name], ours[name]) for name in differing})
    problems = [_count(missing, "tensors of the network missing in the file")]
    problems += [_count(unexpected, "tensors of the file unknown to the network")]
    if not classes:
        shapes = [f"{n} {_shape(found[n])} in the file, {_shape(ours[n])} here" for n in differing]
        problems += [_count(shapes, "tensors of another shape")]
    if any(problems):
        raise InputError(
            f"{path}: these weights do not fit the network, nothing was loaded; are backbone and width those "
            "that the file was made with?",
            *(problem for problem in problems if problem),
        )
    kept = {name: tensor for name, tensor in found.items() if name not in differing}
    model.load_state_dict(kept, strict=False)
    return Report(path, tuple(kept), tuple(differing), classes)


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name."""
    if not path.is_file():
        raise InputError(f"weights {path}: there is no such file")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"weights {path}: holds a {type(content).__name__}, expected tensors by name")
    strays = [
        str(name)
        for name, value in content.items()
        if not (isinstance(name, str) and isinstance(value, Tensor))
    ]
    if strays:
        raise InputError(
            f"weights {path}: {_count(strays, 'entries other than tensors by name')}; expected a state dict, "
            f"bare or under one of the keys {', '.join(_NESTED)}"
        )
    return dict(content)


def _read_safetensors(path: Path) -> Any:
    with importing("safetensors"):
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"weights {path}: not a readable safetensors file ({error})") from error


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"weights {path}: refused, as it holds other objects than tensors, and loading those can run any "
            "code (or it is damaged); save the tensors alone, torch.save(model.state_dict(), path)"
        ) from error
    except DAMAGED as error:
        reason = f"{type(error).__name__}: {str(error).split('. ')[0]}"
        raise InputError(f"weights {path}: unreadable, damaged or not from torch.save ({reason})") from error


def _align(theirs: list[str], ours: list[str]) -> dict[str, str]:
    """The file's names -> the network's, by the exchange of shared leading parts that matches most names."""
    known = set(ours)
    exchanges = [
        {name: new + name.removeprefix(old) for name in theirs}
        for old in _leads(theirs)
        for new in _leads(ours)
    ]
    return max(exchanges, key=lambda exchange: len(known.intersection(exchange.values())))


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
