"""Compare numbers that were computed in float32."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from torch import Tensor

# Processors and versions of torch add in different orders, and have an exponential of their own. That changes
# the last digits, which are 1e-7 of a value; a wrong factor, mask or term changes a loss by 1e-3 at least.
RELATIVE = 1e-5
# Where terms cancel, what is left of the rounding is relative to the terms, which are around 1.
ABSOLUTE = 1e-6
# Of a network's outputs and gradients, behind dozens of layers. Relative to the largest, as small ones are
# differences of large ones. A wrong frame, weight or layout changes them by 1e-2 at least.
NETWORK = 1e-4


def close(expected: float | Sequence[float] | Mapping[str, float]) -> Any:
    """Return an object that equals numbers computed in float32, whatever processor computed them."""
    return pytest.approx(expected, rel=RELATIVE, abs=ABSOLUTE)


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Check that two tensors of a network are the same but for rounding."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    largest = expected.abs().max().item() if expected.numel() else 0.0
    difference = (found - expected).abs().max().item() if expected.numel() else 0.0
    assert difference <= NETWORK * largest, f"they differ by {difference:.3g} of {largest:.3g}"
