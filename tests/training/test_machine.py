"""Names of processors and GPUs in records."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ssl_video.training import machine


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    machine.processor.cache_clear()
    yield
    machine.processor.cache_clear()


def test_the_name_of_the_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: AMD EPYC  7B13\nprocessor\t: 1\n")
    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "cpuinfo")
    assert machine.name(torch.device("cpu")) == "cpu (AMD EPYC 7B13)"
    assert machine.name(torch.device("mps")) == "mps (AMD EPYC 7B13)"


@pytest.mark.parametrize("content", ["", "processor\t: 0\nBogoMIPS\t: 50\n", None])
def test_processors_without_a_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "cpuinfo").write_text(content)
    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert machine.name(torch.device("cpu")) == "cpu (aarch64)"
