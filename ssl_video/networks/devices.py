"""Devices: their names, the precision that suits them, and torch's settings for them.

Only the process of a run may touch a GPU. Others, such as that of the command line, would keep memory of it,
or take it away from the run where a GPU admits one process. They ask a process that ends at once.
"""

import functools
import json
import subprocess
import sys
from typing import Any, Literal, NamedTuple

import torch

from ssl_video.errors import InputError, counted

# GPUs of this compute capability and above (A100, RTX 30 and later) compute in bfloat16.
BFLOAT16 = (8, 0)
_SLOW = "Slow"  # the first letters of the names of torch's own implementations
_ANSWER = "ssl-video GPU: "  # the beginning of a line; libraries may print others
_SECONDS = 120  # to import torch on a slow disk


class Gpu(NamedTuple):
    """A GPU.

    Attributes:
        name: its name, such as "Tesla T4".
        capability: its compute capability; on AMD's GPUs that of their architecture.
        backend: torch's implementation of a convolution over bfloat16 clips: "Cudnn", "Miopen",
            "SlowDilated3d", ...
        library: the versions of torch and cuDNN, in words.
    """

    name: str
    capability: tuple[int, int]
    backend: str
    library: str

    @property
    def has_bfloat16(self) -> bool:
        """True if convolutions in bfloat16 are fast."""
        return self.capability >= BFLOAT16 and not self.backend.startswith(_SLOW)


def choose_device(name: str) -> torch.device:
    """Return a device by name; "auto" is the GPU if there is one. Nothing is put there.

    Raises:
        InputError: the device is not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        reason = _missing(device)
        if device.type not in ("cpu", "cuda", "mps"):
            torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
    if reason:
        raise InputError(f"device {name!r} cannot be used: {reason}")
    return device


def _missing(device: torch.device) -> str:
    """Return the reason why this machine lacks a device; "" if it has it, or if torch has to be asked."""
    if device.type == "cuda":
        if not torch.backends.cuda.is_built():
            return "this torch is built without CUDA"
        if not torch.cuda.is_available():
            return "torch finds no GPU, or no driver for it"
        found = torch.cuda.device_count()
        if (device.index or 0) >= found:
            return f"this machine has {counted(found, 'GPU')}, numbered from 0"
    if device.type == "mps" and not torch.backends.mps.is_available():
        return "this machine, or this torch, has no MPS"
    return ""


def check_count(device: torch.device, devices: int, launcher: str) -> None:
    """Check that this machine has as many GPUs as a run has processes on it.

    Raises:
        InputError: it has fewer.
    """
    found = torch.cuda.device_count() if device.type == "cuda" else devices
    if found >= devices:
        return
    if launcher == "slurm":
        raise InputError(
            f"srun started {devices} tasks on this machine, and each of them sees {counted(found, 'GPU')}: "
            f"give the job --gpus-per-node={devices} in place of --gpus-per-task or --gpu-bind, so that each "
            "task sees all of them"
        )
    raise InputError(f"--devices {devices}: this machine has {counted(found, 'GPU')}")


def automatic_precision(device: torch.device) -> Literal["bfloat16", "float32"]:
    """Return bfloat16 for a GPU that computes convolutions in it fast, else float32.

    A GPU that is only on another machine counts as one that does; see `slow_bfloat16`.
    """
    if device.type != "cuda":
        return "float32"
    if not torch.cuda.is_available():
        return "bfloat16"
    return "bfloat16" if gpu(str(device)).has_bfloat16 else "float32"


def slow_bfloat16(device: torch.device) -> str:
    """Return a sentence if convolutions in bfloat16 have no fast implementation on a GPU; "" if they have."""
    found = gpu(str(device))
    if found.has_bfloat16:
        return ""
    capability = ".".join(map(str, found.capability))
    return (
        f"precision bfloat16: {found.name} (compute capability {capability}, {found.library}) computes "
        f"convolutions in it by {found.backend}, ten times slower or worse: use --precision float32"
    )


def precision_of_inference(precision: str, device: torch.device) -> str:
    """Return the precision in which a trained network computes on a device.

    Many CPUs compute bfloat16 far slower than float32 (17 times, for slow_r50 on one thread without AVX-512).
    """
    if device.type == "cpu" and precision == "bfloat16" and not _cpu_has_bfloat16():
        return "float32"
    return precision


def _cpu_has_bfloat16() -> bool:
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return False


def set_up(device: torch.device) -> None:
    """Choose torch's settings for networks on a device: float32 is float32, and convolutions are tuned.

    The clips of a run have one shape, so trying all implementations of a convolution once pays.
    """
    if device.type != "cuda":
        return
    torch.backends.cudnn.benchmark = True
    if hasattr(torch.backends, "fp32_precision"):
        # Since torch 2.9; the older switches below are refused where somebody used these.
        cudnn: Any = torch.backends.cudnn
        for backend in (torch.backends, torch.backends.cuda.matmul, cudnn.conv):
            backend.fp32_precision = "ieee"
    else:
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False


@functools.cache
def gpu(name: str) -> Gpu:
    """Describe a GPU by the name of its device, without touching it in this process.

    Raises:
        InputError: it cannot be used.
    """
    if torch.cuda.is_initialized():
        return describe(torch.device(name))
    # Without the working directory, in which there may be modules of any name.
    code = f"import sys; sys.path = [place for place in sys.path if place]; from {__name__} import tell; "
    command = [sys.executable, "-c", code + f"tell({name!r})"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"device {name!r} does not answer within {_SECONDS} seconds") from None
    answers = [line for line in done.stdout.splitlines() if line.startswith(_ANSWER)]
    if done.returncode or not answers:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise InputError(f"device {name!r} cannot be used: {lines[-1]}")
    values: dict[str, Any] = json.loads(answers[-1].removeprefix(_ANSWER))
    return Gpu(**values | {"capability": tuple(values["capability"])})


def tell(name: str) -> None:
    """Print the description of a GPU as JSON."""
    print(f"\n{_ANSWER}{json.dumps(describe(torch.device(name))._asdict())}")


def describe(device: torch.device) -> Gpu:
    """Describe a GPU in this process."""
    found, (major, minor) = torch.cuda.get_device_properties(device), torch.cuda.get_device_capability(device)
    library = f"torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}"
    return Gpu(found.name, (major, minor), convolution_backend(device), library)


def convolution_backend(device: torch.device) -> str:
    """Return the name of torch's implementation of a convolution over bfloat16 clips on a device.

    "unknown": this torch does not tell.
    """
    clip = torch.zeros(1, 8, 4, 8, 8, dtype=torch.bfloat16, device=device)
    clip = clip.contiguous(memory_format=torch.channels_last_3d)
    weight = torch.zeros(8, 8, 3, 3, 3, dtype=torch.bfloat16, device=device)
    try:
        chosen = torch._C._select_conv_backend(
            clip, weight, None, [1, 1, 1], [1, 1, 1], [1, 1, 1], False, [0, 0, 0], 1, None
        )
    except (AttributeError, TypeError):  # it is not public, and may change
        return "unknown"
    return str(chosen).rpartition(".")[2]
