"""The machine and the library versions that a run is computed with."""

import contextlib
import functools
import platform
import subprocess
from pathlib import Path

import torch

import ssl_video
from ssl_video.data.video.container import decoder_name
from ssl_video.runs.result import Environment

_CPU_INFO = Path("/proc/cpuinfo")


def environment(device: torch.device, processes: int = 1) -> Environment:
    """Return the library versions and the hardware."""
    return Environment(
        ssl_video=ssl_video.__version__,
        torch=torch.__version__,
        python=platform.python_version(),
        system=platform.platform(),
        device=name(device),
        threads=torch.get_num_threads(),
        processes=processes,
        decoder=decoder_name(),
    )


def name(device: torch.device) -> str:
    """Return the name of the GPU, or the kind of device with the processor: "cpu (AMD EPYC 7B13)"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({processor()})"


@functools.cache
def processor() -> str:
    """Return the name of the processor, or its architecture where it has none."""
    # Python gives no name on Linux, and "i386" on a Mac.
    try:
        for line in _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return " ".join(value.split())
    except OSError:
        pass
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
            if answer.stdout.strip():
                return answer.stdout.strip()
    return platform.processor() or platform.machine()
