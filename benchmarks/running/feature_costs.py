"""The time in which the features of frozen networks are computed, before the first step of the first run."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from ssl_video.benchmarks.running.prepare import Checked
from ssl_video.contract import Task
from ssl_video.data.pool import requests
from ssl_video.networks import assemble, frozen
from ssl_video.networks.assemble import Assembly
from ssl_video.networks.memory_format import place
from ssl_video.networks.precision import autocast
from ssl_video.spec import Spec, configuration

# Clips per measured pass, and measured passes.
_AT_ONCE, _REPEAT = 2, 3


class _Set(NamedTuple):
    """Features of one kind of clip: those of equal sets are computed once.

    Attributes:
        name: tells it from other sets.
        settings: those of its network, which decide the cost of a pass.
        network: the frozen network.
        frames: frames of a clip.
        part: the part of the data whose clips it has.
        each: number of features of a clip.
    """

    name: str
    settings: str
    network: Any  # a probe
    frames: int
    part: str
    each: int


def seconds(runs: Sequence[Checked], device: torch.device) -> float:
    """Measure the seconds that all features of runs take in one process, as if none were stored.

    Decoding and cutting clips is left out. Without a run on stored features, they are 0.

    Raises:
        InputError: a network cannot be built.
    """
    groups = defaultdict[str, list[Checked]](list)
    for run in runs:
        groups[configuration(run.spec)].append(run)
    rows, taken, passes = defaultdict[str, set[int]](set), dict[str, float](), dict[str, float]()
    for group in groups.values():
        spec = group[0].spec
        assembly = assemble.assemble(spec, Task(2, 1), trained=True)
        for found in _sets(spec, assembly):
            for run in group:
                rows[found.name].update(getattr(run.partition, found.part).tolist())
            if found.name not in taken:
                way = f"{found.settings} {found.frames} {spec.size} {spec.precision}"
                if way not in passes:
                    passes[way] = _pass(found, spec, device)
                taken[found.name] = found.each * passes[way]
    return sum(len(rows[name]) * each for name, each in taken.items())


def _sets(spec: Spec, assembly: Assembly) -> Iterator[_Set]:
    """Yield the sets of features that a run reads."""
    algorithm, first = assembly.algorithm, next(iter(assembly.shapes))
    roles = frozen.readers(spec, algorithm)
    common = spec.data, spec.size, spec.sampling, spec.augmentation, spec.precision
    for part in () if algorithm.at_once else ("labeled", "unlabeled"):
        views = getattr(algorithm, part)
        wanted = requests(views, assembly.shapes)
        for view, role in frozen.of_views(views, roles, first).items():
            own = f"own/{view}" if wanted[view].window == "own" else "shared"
            settings = repr(frozen.settings(spec.networks[role]))
            name = repr((settings, wanted[view], own, common))
            yield _Set(name, settings, roles[role], wanted[view].shape.frames, part, spec.feature_copies)
    for predictor in assembly.predictors():
        role = predictor if predictor in assembly.shapes else first
        if role in roles:
            clips, shape = spec.test_clips * spec.test_crops, assembly.shape_for(predictor)
            settings = repr(frozen.settings(spec.networks[role]))
            # An algorithm that is fitted at once reads its clips as a test does.
            fitted = ("labeled", "unlabeled") if algorithm.fits_unlabeled else ("labeled",)
            for part in ("test", "validation", *(fitted if algorithm.at_once else ())):
                name = repr((settings, shape, clips, common, "test"))
                yield _Set(name, settings, roles[role], shape.frames, part, clips)


def _pass(of: _Set, spec: Spec, device: torch.device) -> float:
    """Return the seconds of a pass over one clip, the median of some."""
    network, taken = place(of.network, device).eval(), list[float]()
    clips = torch.randn(_AT_ONCE, 3, of.frames, spec.size, spec.size, device=device)
    for _ in range(1 + _REPEAT):
        began = time.perf_counter()
        with autocast(spec, device):
            network.features(clips)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - began)
    return sorted(taken[1:])[_REPEAT // 2] / _AT_ONCE
