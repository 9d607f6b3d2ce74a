"""Devices of machines that this one is not: GPUs of several kinds, several devices, and none."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ssl_video.errors import InputError
from ssl_video.networks import devices
from ssl_video.networks.devices import Gpu
from ssl_video.training.execution import Execution, complete

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
T4 = Gpu("Tesla T4", (7, 5), "SlowDilated3d", "torch 2.9.0, cuDNN 91300")
A100 = Gpu("NVIDIA A100", (8, 0), "Cudnn", "torch 2.9.1, cuDNN 91500")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    devices.gpu.cache_clear()
    yield
    devices.gpu.cache_clear()


def with_gpus(monkeypatch: pytest.MonkeyPatch, number: int, kind: Gpu = A100) -> None:
    """Pretend that the machine has GPUs; nothing can be put there."""
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: number)

    def answer(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[-1].endswith("tell('cuda')")
        return subprocess.CompletedProcess(
            command, 0, f"noise\n{devices._ANSWER}{json.dumps(kind._asdict())}\nmore\n", ""
        )

    monkeypatch.setattr(subprocess, "run", answer)


@pytest.mark.parametrize(
    ("kind", "precision"),
    [
        (A100, "bfloat16"),
        (T4, "float32"),
        (A100._replace(backend="SlowDilated3d"), "float32"),  # torch 2.9.0
        (T4._replace(backend="Cudnn"), "float32"),
        (A100._replace(backend="Miopen"), "bfloat16"),
        (A100._replace(backend="unknown"), "bfloat16"),
    ],
)
def test_the_precision_of_a_gpu(monkeypatch: pytest.MonkeyPatch, kind: Gpu, precision: str) -> None:
    with_gpus(monkeypatch, 1, kind)
    assert devices.automatic_precision(CUDA) == precision
    assert devices.automatic_precision(CPU) == "float32"
    assert bool(devices.slow_bfloat16(CUDA)) is (precision == "float32")


def test_a_gpu_without_bfloat16_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 1, T4)
    assert devices.slow_bfloat16(CUDA) == (
        "precision bfloat16: Tesla T4 (compute capability 7.5, torch 2.9.0, cuDNN 91300) computes "
        "convolutions in it by SlowDilated3d, ten times slower or worse: use --precision float32"
    )


def test_a_gpu_of_another_machine_has_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 0)
    assert devices.automatic_precision(CUDA) == "bfloat16"


def test_a_gpu_that_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 1)
    failed = subprocess.CompletedProcess([], 1, "", "Traceback\nRuntimeError: CUDA error: device is busy\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(InputError, match="'cuda' cannot be used: RuntimeError: CUDA error: device is busy"):
        devices.automatic_precision(CUDA)


def test_the_backend_of_this_machine_is_known() -> None:
    """The function of torch that tells it is not public."""
    assert devices.convolution_backend(CPU) not in ("unknown", "")


def test_precision_of_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    for supported, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda supported=supported: supported)
        assert devices.precision_of_inference("bfloat16", CPU) == expected
        assert devices.precision_of_inference("bfloat16", CUDA) == "bfloat16"
        assert devices.precision_of_inference("float32", CPU) == "float32"


def test_float32_is_float32_on_a_gpu() -> None:
    """In a process of its own, as the settings are those of all of torch."""
    code = """
import torch
from ssl_video.networks.devices import set_up
if hasattr(torch.backends, "fp32_precision"):
    torch.backends.fp32_precision = "tf32"
set_up(torch.device("cpu"))
before = torch.backends.cudnn.benchmark
set_up(torch.device("cuda"))
new = hasattr(torch.backends, "fp32_precision")
kinds = torch.backends.cuda.matmul, torch.backends.cudnn.conv if new else torch.backends.cudnn
off = [kind.fp32_precision == "ieee" if new else not kind.allow_tf32 for kind in kinds]
print(before, torch.backends.cudnn.benchmark, *off)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True", "True"]


def test_a_gpu_is_asked_in_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever modules the working directory has; here torch has no GPU to tell of."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"'cuda' cannot be used: (?!.*wrong json)"):
        devices.gpu("cuda")


def test_names_of_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 2)
    monkeypatch.setattr(torch, "empty", lambda *_, **__: pytest.fail("something is put on the device"))
    assert devices.choose_device("cuda:1") == torch.device("cuda:1")
    assert devices.choose_device("auto") == CUDA
    with pytest.raises(InputError, match="'cuda:2' cannot be used: this machine has 2 GPUs, numbered from 0"):
        devices.choose_device("cuda:2")
    with_gpus(monkeypatch, 0)
    with pytest.raises(InputError, match="'cuda' cannot be used: torch finds no GPU, or no driver for it"):
        devices.choose_device("cuda")
    assert devices.choose_device("auto") == CPU


def test_too_few_gpus_are_said_before_any_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 1)
    with pytest.raises(InputError, match="--devices 2: this machine has 1 GPU"):
        complete({"device": "cuda", "devices": 2})
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    with pytest.raises(InputError, match="each of them sees 1 GPU: give the job --gpus-per-node=4"):
        complete({"device": "cuda"})


def test_an_index_and_several_devices_exclude_each_other() -> None:
    with pytest.raises(
        InputError, match=r"--device cuda:1 is one device, and --devices 2 .*CUDA_VISIBLE_DEVICES"
    ):
        Execution("cuda:1", devices=2)


@pytest.mark.parametrize(
    ("cores", "devices", "jobs", "expected"),
    [(64, 1, 1, 8), (2, 1, 1, 2), (16, 4, 1, 4), (16, 1, 4, 4), (1, 8, 1, 1)],
)
def test_loading_processes_share_the_cores(cores: int, devices: int, jobs: int, expected: int) -> None:
    execution = Execution("cuda", devices=devices, jobs=jobs)
    assert execution.loaders("cuda", cores) == expected
    assert execution.loaders("cpu", cores) == 0
    assert Execution("cuda", workers=3, devices=devices, jobs=jobs).loaders("cuda", cores) == 3


def test_tasks_of_srun_have_cores_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    execution = Execution("cuda", devices=4, launcher="slurm")
    assert execution.loaders("cuda", 9) == 8, "the cores of this task"
    assert execution.loaders("cuda", 64) == 8
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    assert execution.loaders("cuda", 16) == 4, "all cores of the machine: tasks are not bound"


def test_jobs_elsewhere_have_machines_of_their_own() -> None:
    assert Execution("cuda", executor="slurm", jobs=100).loaders("cuda", 16) == 8


@pytest.mark.parametrize(
    ("values", "cores"),
    [
        ({"device": "cuda"}, 8),
        ({"device": "cuda", "threads": 2, "devices": 4}, 32),
        ({"device": "cuda", "workers": 0}, 1),
        ({"device": "cpu", "threads": 3}, 3),
        ({"device": "cpu", "workers": 2}, 3),
    ],
)
def test_cores_that_a_cluster_is_asked_for(values: dict[str, Any], cores: int) -> None:
    assert Execution(executor="slurm", **values).cores_wanted == cores
