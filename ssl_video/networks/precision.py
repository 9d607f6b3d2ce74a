"""Compute the networks' passes in the precision of a specification."""

from contextlib import AbstractContextManager

import torch

from ssl_video.spec import Spec


def autocast(spec: Spec, device: torch.device) -> AbstractContextManager[None]:
    """Return the autocast context for the networks of a resolved specification."""
    enabled = spec.precision == "bfloat16"
    # Up to torch 2.9, the cache of converted weights keeps entries of a pass without gradient, so the passes
    # after it give these weights no gradient (pytorch issues 65766, 112583, 158232; seen with 2.4.1).
    # FixMatch's weak clips are such a pass. Without the cache, gradients of passes add up in float32.
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled, cache_enabled=False)
