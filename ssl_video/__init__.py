"""ssl-video: a modular algorithm zoo and benchmark for semi-supervised learning on video.

The names below are everything a new algorithm or backbone needs. They are loaded on first use, so that
commands which need no network never import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Algorithm": "contract",
    "Batch": "contract",
    "LossOutput": "contract",
    "Network": "contract",
    "NotNegative": "contract",
    "Pseudo": "contract",
    "Share": "contract",
    "Task": "contract",
    "View": "contract",
    "Features": "algorithms.parts.features",
    "Taught": "algorithms.parts.teacher",
    "Teacher": "algorithms.parts.teacher",
    "Threshold": "algorithms.parts.pseudo",
    "gather": "algorithms.parts.processes",
    "in_passes": "algorithms.parts.passes",
    "info_nce": "algorithms.parts.contrast",
    "masked_cross_entropy": "algorithms.parts.pseudo",
    "ramp": "algorithms.parts.pseudo",
    "together": "algorithms.parts.passes",
    "algorithm": "registry",
    "backbone": "registry",
    "InputError": "errors",
}
__all__ = [
    "Algorithm",
    "Batch",
    "Features",
    "InputError",
    "LossOutput",
    "Network",
    "NotNegative",
    "Pseudo",
    "Share",
    "Task",
    "Taught",
    "Teacher",
    "Threshold",
    "View",
    "algorithm",
    "backbone",
    "gather",
    "in_passes",
    "info_nce",
    "masked_cross_entropy",
    "ramp",
    "together",
]

if TYPE_CHECKING:
    from ssl_video.algorithms.parts.contrast import info_nce
    from ssl_video.algorithms.parts.features import Features
    from ssl_video.algorithms.parts.passes import in_passes, together
    from ssl_video.algorithms.parts.processes import gather
    from ssl_video.algorithms.parts.pseudo import Threshold, masked_cross_entropy, ramp
    from ssl_video.algorithms.parts.teacher import Taught, Teacher
    from ssl_video.contract import (
        Algorithm,
        Batch,
        LossOutput,
        Network,
        NotNegative,
        Pseudo,
        Share,
        Task,
        View,
    )
    from ssl_video.errors import InputError
    from ssl_video.registry import algorithm, backbone


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ssl_video' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ssl_video.{_HOME[name]}"), name)
