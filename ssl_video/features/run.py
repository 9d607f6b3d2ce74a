"""The features that a run reads in place of clips."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
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
from ssl_video.data.views.sampling import ClipShape
from ssl_video.features.extract import Extractor
from ssl_video.features.pool import RowsByContent
from ssl_video.networks.assemble import Assembly
from ssl_video.spec import Spec


class RunFeatures:
    """The frozen networks of a run, and which views and predictors read their features.

    Args:
        spec: the resolved specification.
        assembly: its networks, on their device.
        data: its data; the limit of the frame cache is also that of the features.
        device: the device of the networks.

    Attributes:
        extractors: the frozen networks by role; empty if the run reads clips.
    """

    def __init__(self, spec: Spec, assembly: Assembly, data: Data, device: torch.device) -> None:
        self.spec, self.assembly, self.data = spec, assembly, data
        self.extractors = dict[str, Extractor]()
        self._rows = RowsByContent(data.store)
        self._sets: dict[tuple[int, ClipShape], tuple[FeatureSet, set[Item]]] = {}
        algorithm = assembly.algorithm
        if algorithm.works_on_pixels or not spec.feature_copies:
            return
        networks = {role: algorithm.get_submodule(role) for role in spec.networks}
        found = {
            role: Extractor(network, spec.networks[role], spec, data.store.setting, device)
            for role, network in networks.items()
            if isinstance(network, Probe)
        }
        views = [*algorithm.labeled.values(), *algorithm.unlabeled.values()]
        named = {view.network for view in views}
        first = next(iter(networks))
        # A role that no view names reads the first role's views, so it needs the same features.
        shared = [role for role in networks if role != first and role not in named]
        if all(_same(found.get(first), found.get(role)) for role in shared):
            self.extractors = found

    def of_views(self, views: Mapping[str, View]) -> dict[str, Extractor]:
        """Return the frozen network of each view whose features are read."""
        roles = {name: view.network or next(iter(self.spec.networks)) for name, view in views.items()}
        return {name: self.extractors[role] for name, role in roles.items() if role in self.extractors}

    def make(self, about: Any, shape: tuple[int, ...]) -> FeatureSet:
        """Return the set of features that `about` determines."""
        return FeatureSet(feature_folder(), about, shape, self.data.store.limit)

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

        def compute(some: Sequence[Item]) -> Iterator[np.ndarray]:
            clips = (
                clip
                for item, _ in some
                for clip in evaluation_clips(store, self._rows.row(item), shape, spec)
            )
            found = extractor.features(clips)
            return (np.stack(list(islice(found, views))) for _ in some)

        items = [(content, 0) for content in contents]
        if not filled.issuperset(items):
            made.fill(items, compute, progress, self._rows.has)
            filled.update(items)
        return made, items


def _same(one: Extractor | None, other: Extractor | None) -> bool:
    """Return whether two networks give the same features; None stands for one that is trained."""
    if one is None or other is None:
        return one is other
    return one.about == other.about
