"""Tensors without numbers, on torch's meta device: a step on them needs no data, memory or GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch

META = torch.device("meta")


@contextmanager
def on_meta() -> Iterator[None]:
    """Let code that asks for autocast by the device of its tensors run on the meta device, which has none."""
    with mock.patch.object(torch, "autocast", _Autocast):
        yield


class _Autocast(torch.autocast):
    def __init__(self, device_type: str, *arguments: Any, **named: Any) -> None:
        super().__init__("cpu" if device_type == META.type else device_type, *arguments, **named)
