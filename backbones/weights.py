"""Pretrained weights; partial loading is always reported."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from ssl_video.backbones import inputs, prefixes
from ssl_video.backbones.matching import Match, match
from ssl_video.backbones.pretrained import WeightSource
from ssl_video.errors import InputError


@dataclass(frozen=True)
class WeightReport:
    """Report on loaded weights.

    Attributes:
        source: origin of the weights.
        matched: names of the network's tensors that were loaded.
        skipped: names of those left at their initial value: the classifier of other classes, or without one.
        classes: number of classes in the file (0: it has no classifier) and in the network, if they differ.
        new: names of those left at their initial value because the source's kind of network lacks them.
        normalisation: the input normalisation, if it differs from that of clips.
        unused: names of the file's tensors that the network does not have, if only a part was asked for.
        prefix: the prefix of the tensors in the file; empty if there is none.
        beside: prefixes of the file's other tensors, which belong to no part of the network.
    """

    source: str
    matched: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    classes: tuple[int, int] | None = None
    new: tuple[str, ...] = ()
    normalisation: str = ""
    unused: tuple[str, ...] = ()
    prefix: str = ""
    beside: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        """True if some tensors keep their initial values."""
        return bool(self.skipped or self.new or self.unused)

    def __str__(self) -> str:
        text = f"{len(self.matched)} tensors loaded from {self.source}"
        text += f" (prefix {self.prefix})" if self.prefix else ""
        if self.classes:
            there = f"{self.classes[0]} classes and the network {self.classes[1]}"
            text += (
                f"; the classifier keeps its initial values ({', '.join(self.skipped)}), as the file has "
                f"{there if self.classes[0] else 'none'}"
            )
        elif self.skipped:
            text += f"; {len(self.skipped)} of another shape keep their initial values: {_few(self.skipped)}"
        if self.unused:
            text += f"; {len(self.unused)} of the file are not used: {_few(self.unused)}"
        if self.beside:
            text += f"; beside them it has {prefixes.listed(list(self.beside))}"
        if self.new:
            text += f"; {len(self.new)} that it does not have keep their initial values: {_few(self.new)}"
        if self.normalisation:
            text += f"; inputs are normalised as for these weights, by {self.normalisation}"
        return text


def load(
    model: nn.Module,
    source: WeightSource,
    size: int = 224,
    *,
    partial: bool = False,
    prefix: str = "",
    num_classes: int | None = None,
) -> WeightReport:
    """Load tensors into a network, all of them or none.

    They may be a part of the file, under a prefix ("state_dict.module.", "encoder_q."). A classifier that is
    absent, or has another number of classes, stays unchanged and is named in the report. So are the tensors
    that the network declares as missing in weights of another kind (see `Fits`). Any other difference is an
    error.

    Args:
        model: the network, changed in place.
        source: the weights.
        size: height and width of a clip in pixels.
        partial: load the tensors of equal name and shape; the report names the others.
        prefix: the prefix to take, as far as is needed to tell it from others; empty: the only one that fits.
        num_classes: number of the network's outputs; None: the file must have a classifier.

    Raises:
        InputError: weights that are not available, or do not fit, or fit under several prefixes; with
            `partial`, none of them fits.
    """
    theirs, ours = source.read(size), model.state_dict()
    chosen = prefixes.under(theirs, prefix, source.name) if prefix else theirs
    found = prefixes.parts(chosen, ours, prefix) or [prefixes.whole(chosen, ours)]
    matches = [match(model, part, num_classes) for part in found]
    best = _choose(source.name, matches, partial)
    if not partial and best.problems:
        raise InputError(_misfit(source.name, matches, best), *best.problems)
    if not best.kept:
        raise InputError(f"{source.name}: no tensor of it fits the network by name and shape")
    kept = {name: best.found[name] for name in best.kept}
    used = {best.part.names[name] for name in best.scope}
    beside = prefixes.branches([name for name in theirs if name not in used], best.part.prefix)
    normalisation = _take_over(model, source, kept)
    return WeightReport(
        source.name,
        best.kept,
        (*(best.absent if best.classes else ()), *best.differing),
        best.classes,
        (*best.missing, *(() if best.classes else best.absent), *best.new),
        normalisation,
        best.unexpected,
        best.part.shown,
        tuple(beside),
    )


def _choose(source: str, matches: list[Match], partial: bool) -> Match:
    """Return the part of a file that fits, or else fits best.

    Raises:
        InputError: several fit.
    """
    most = max(len(match.kept) for match in matches)
    fitting = [m for m in matches if (len(m.kept) == most if partial else not m.problems)]
    for key in prefixes.NESTED:
        fitting = [m for m in fitting if m.part.prefix.startswith(f"{key}.")] or fitting
    if len(fitting) > 1 and fitting[0].kept:
        names = [m.part.shown for m in fitting]
        raise InputError(
            f"{source}: {len(fitting)} parts of it fit the network, {fitting[0].fraction} tensors each: "
            f"{prefixes.listed(names)}; choose one with weights_prefix, for example {names[0]}"
        )
    return fitting[0] if fitting else max(matches, key=lambda m: len(m.kept))


def _misfit(source: str, matches: list[Match], best: Match) -> str:
    """Return the first sentence on weights that do not fit: the number of those that do, and the remedy."""
    under = f" under the prefix {best.part.shown}" if best.part.prefix else ""
    others = [f"{m.part.shown or 'no prefix'} {m.fraction}" for m in matches if m is not best]
    more = f"; other prefixes: {prefixes.listed(others)}; weights_prefix chooses one" if others else ""
    return (
        f"{source}: these weights do not fit the network, nothing was loaded: {best.fraction} tensors "
        f"fit{under}{more}; are backbone and width those that the file was made with? partial_weights loads "
        "those that fit"
    )


def _take_over(model: nn.Module, source: WeightSource, tensors: dict[str, Tensor]) -> str:
    """Load tensors, and convert the network's inputs to their normalisation; return it if it is another."""
    model.load_state_dict(tensors, strict=False)
    if source.normalisation == inputs.CLIPS:
        return ""
    inputs.adjust(model, source.normalisation)
    return str(source.normalisation)


def _few(names: Iterable[str]) -> str:
    """Return names, one for the same tensor of all blocks."""
    return ", ".join(dict.fromkeys(re.sub(r"\.\d+\.", ".*.", name) for name in names))
