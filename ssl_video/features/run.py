"""The features that a run reads in place of clips."""

import contextlib
import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssl_video.backbones.probe import Probe
from ssl_video.contract import View
from ssl_video.data.caching import feature_folder
from ssl_video.data.dataset import Data
from ssl_video.data.features.store import FeatureSet, Item
from ssl_video.data.pool import evaluation_clips
from ssl_video.data.progress import CountProgress
from ssl_video.data.reading_threads import Job, in_order
from ssl_video.data.views.sampling import ClipShape
from ssl_video.features.extract import Extractor
from ssl_video.features.pool import FeaturePool, RowsByContent
from ssl_video.networks import flops, frozen
from ssl_video.networks.assemble import Assembly
from ssl_video.spec import Spec


class RunFeatures:
    """The frozen networks of a run, and which views and predictors read their features.

    Args:
        spec: the resolved specification.
        assembly: its networks, on their device.
        data: its data; the limit of the frame cache is also that of the features.
        device: the device of the networks.
        threads: threads that read clips, while their features are computed.

    Attributes:
        extractors: the frozen networks by role; empty if the run reads clips.
    """

    def __init__(
        self, spec: Spec, assembly: Assembly, data: Data, device: torch.device, threads: int = 0
    ) -> None:
        self.spec, self.assembly, self.data, self.threads = spec, assembly, data, threads
        self._rows = RowsByContent(data.store)
        self._sets: dict[tuple[int, ClipShape], tuple[FeatureSet, set[Item]]] = {}
        known = dict[str, Extractor]()

        def extractor(role: str) -> Extractor:
            if role not in known:
                network = assembly.algorithm.get_submodule(role)
                assert isinstance(network, Probe)
                known[role] = Extractor(network, spec.networks[role], spec, data.store.setting, device)
            return known[role]

        def same(one: str, other: str) -> bool:
            return extractor(one).about == extractor(other).about

        roles = frozen.readers(spec, assembly.algorithm, same)
        self.extractors = {role: extractor(role) for role in roles}

    def of_views(self, views: Mapping[str, View]) -> dict[str, Extractor]:
        """Return the frozen network of each view whose features are read."""
        first = next(iter(self.spec.networks))
        found = frozen.of_views(views, self.extractors, first)
        return {name: self.extractors[role] for name, role in found.items()}

    def make(self, about: Any, shape: tuple[int, ...]) -> FeatureSet:
        """Return the set of features that `about` determines."""
        return FeatureSet(feature_folder(), about, shape, self.data.store.limit)

    def operations(self, pools: Iterable[FeaturePool]) -> int:
        """Return the multiply-adds of the frozen networks for all features of pools, each computed once."""
        rows, of_clip = dict[str, set[int]](), dict[str, int]()
        for pool in pools:
            for _, extractor, (request, _), about in pool.needed():
                name = json.dumps(about, sort_keys=True)
                rows.setdefault(name, set()).update(pool.rows.tolist())
                if name not in of_clip:
                    of_clip[name] = flops.of_features(extractor.probe, request.shape.frames, self.spec.size)
        return sum(len(rows[name]) * self.spec.feature_copies * of_clip[name] for name in rows)

    def of_videos(self, predictor: str, rows: Sequence[int]) -> Tensor | None:
        """Return the features of the test clips of videos, (videos * clips * crops, ...).

        Args:
            predictor: the name of a predictor.
            rows: the videos.

        Returns:
            None if the predictor does not read the features of its role.
        """
        extractor = self._of_predictor(predictor)
        if extractor is None:
            return None
        made, items = self._evaluated(predictor, extractor, rows)
        return torch.from_numpy(made.read(made.places(items))).float().flatten(0, 1)

    def fill(self, rows: np.ndarray, progress: CountProgress | None = None) -> None:
        """Compute the features of the test clips of videos that are not stored, for all predictors."""
        for name in self.assembly.predictors():
            extractor = self._of_predictor(name)
            if extractor:
                self._evaluated(name, extractor, rows.tolist(), progress)

    def _of_predictor(self, name: str) -> Extractor | None:
        role = name if name in self.spec.networks else next(iter(self.spec.networks))
        extractor = self.extractors.get(role)
        predictor = self.assembly.predictors()[name]
        probes = [module for module in predictor.modules() if isinstance(module, Probe)]
        same = extractor and all(probe.backbone is extractor.probe.backbone for probe in probes)
        return extractor if same and probes else None

    def _evaluated(
        self, name: str, extractor: Extractor, rows: Sequence[int], progress: CountProgress | None = None
    ) -> tuple[FeatureSet, list[Item]]:
        """Return the set of a predictor's test clips, and the items of videos, which it stores now."""
        shape, spec, store = self.assembly.shape_for(name), self.spec, self.data.store
        views = spec.test_clips * spec.test_crops
        key = id(extractor), shape
        if key not in self._sets:
            about = {
                "augmentation": "test",
                **{"frames": shape.frames, "stride": shape.stride, "sampling": spec.sampling},
                **{"clips": spec.test_clips, "crops": spec.test_crops},
            }
            made = self.make(extractor.about | {"view": about}, (views, *extractor.shape(shape.frames)))
            self._sets[key] = made, set()
        made, filled = self._sets[key]
        contents = self._rows.contents(rows)

        def job(item: Item) -> Job[Tensor]:
            row = self._rows.row(item[0])
            size = 4 * 3 * shape.frames * spec.size**2 * views
            return Job(lambda store: evaluation_clips(store, row, shape, spec), size)

        def compute(some: Sequence[Item]) -> Generator[np.ndarray, None, None]:
            with contextlib.closing(in_order(map(job, some), store, self.threads)) as clips:
                found = extractor.features(chain.from_iterable(clips))
                yield from (np.stack(list(islice(found, views))) for _ in some)

        items = [(content, 0) for content in contents]
        if not filled.issuperset(items):
            made.fill(items, compute, progress, self._rows.has)
            filled.update(items)
        return made, items
