"""The part of a file of weights that belongs to a network: the tensors under one prefix.

A checkpoint may hold more than one network: an encoder and its moving average (MoCo, DINO), an encoder and a
decoder (MAE), a model under "state_dict" beside its optimizer. Names of nested mappings are joined by dots.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile

from torch import Tensor

from ssl_video.backbones.inputs import NAMES
from ssl_video.errors import InputError, nearest, some

# Keys of the mappings in which a checkpoint holds its model. They precede others that fit as well, for
# example a moving average of the model.
NESTED = ("state_dict", "model_state", "model")
_SHOWN = 6


@dataclass(frozen=True)
class FilePart:
    """The tensors of a file under a prefix.

    Attributes:
        prefix: the prefix with its dot, "state_dict.module."; empty for the whole file.
        tensors: the tensors by the names that they have in the network, or would have in it.
        names: their names in the file, by name in the network.
        matches: number of those that the network has.
    """

    prefix: str
    tensors: Mapping[str, Tensor]
    names: Mapping[str, str]
    matches: int

    @property
    def shown(self) -> str:
        """The prefix as a user writes it."""
        return self.prefix.removesuffix(".")


def lead(names: Iterable[str]) -> str:
    """Return the longest prefix that all names share: "network."; empty if there is none.

    The input normalisation belongs to the whole network, so its names have no prefix.
    """
    levels = zip(*(name.split(".")[:-1] for name in names if name not in NAMES), strict=False)
    return "".join(f"{level[0]}." for level in takewhile(lambda level: len(set(level)) == 1, levels))


def under(tensors: Mapping[str, Tensor], prefix: str, source: str) -> dict[str, Tensor]:
    """Return the tensors under a prefix, by their names in the file.

    Args:
        tensors: the tensors of a file.
        prefix: parts of names, "encoder_q" or "teacher.backbone"; other parts may precede them.
        source: name of the weights in messages.

    Raises:
        InputError: there is none.
    """
    found = {name: tensor for name, tensor in tensors.items() if _within(name, prefix)}
    if not found:
        levels = {tuple(name.split(".")[:depth]) for name in tensors for depth in (1, 2, 3)}
        near = nearest(prefix, {".".join(some) for some in levels} | {some[-1] for some in levels})
        hint = f"did you mean {' or '.join(near)}?" if near else f"it has {listed(branches(tensors))}"
        raise InputError(f"{source}: no tensor of it is under the prefix {prefix!r} (weights_prefix); {hint}")
    # The input normalisation of a network stands beside the prefix of its layers.
    return {name: tensor for name, tensor in tensors.items() if name in found or _last(name) in NAMES}


def parts(theirs: Mapping[str, Tensor], ours: Iterable[str], prefix: str = "") -> list[FilePart]:
    """Return the parts of a file with most names of a network, and those with at least half as many.

    Args:
        theirs: the tensors by their names in the file.
        ours: the names of the network's tensors.
        prefix: only parts at or under this prefix.
    """
    known = {name for name in ours if name not in NAMES}
    own, counts = lead(known), Counter[str]()
    for name in theirs:
        levels = name.split(".")
        for depth in range(len(levels)):
            if own + ".".join(levels[depth:]) in known:
                counts["".join(f"{level}." for level in levels[:depth])] += 1
    wanted = [pair for pair in counts.most_common() if not prefix or _within(pair[0], prefix)]
    return [_part(theirs, before, own, count) for before, count in wanted if 2 * count >= wanted[0][1]]


def whole(theirs: Mapping[str, Tensor], ours: Iterable[str]) -> FilePart:
    """Return all tensors of a file as a part, for a file that has no name of the network."""
    return _part(theirs, lead(theirs), lead(ours), 0)


def branches(names: Iterable[str], beside: str | None = None) -> list[str]:
    """Return the shortest prefixes that separate names from each other, or from those under `beside`."""
    names = list(names)
    other = lead(names) if beside is None else beside
    return list(dict.fromkeys(_branch(name, other) for name in names))


def listed(names: list[str]) -> str:
    """Return the first few prefixes for a message."""
    return some(names, _SHOWN).replace("'", "")


def _part(theirs: Mapping[str, Tensor], prefix: str, own: str, matches: int) -> FilePart:
    # Of a file of the whole network, the prefix ends in the network's own.
    wrapped = bool(own) and f".{prefix}".endswith(f".{own}")
    root = prefix.removesuffix(own) if wrapped else prefix
    names = dict[str, str]()
    for name in theirs:
        if name.startswith(root):
            rest = name.removeprefix(root)
            names[rest if wrapped or rest in NAMES else own + rest] = name
    return FilePart(prefix, {ours: theirs[name] for ours, name in names.items()}, names, matches)


def _within(name: str, prefix: str) -> bool:
    return f".{prefix.strip('.')}." in f".{name}"


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _branch(name: str, other: str, depth: int = 1) -> str:
    """Return the levels that a name shares with another one, and `depth` more."""
    levels = name.split(".")
    pairs = zip(levels, other.split("."), strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return ".".join(levels[: shared + depth])
