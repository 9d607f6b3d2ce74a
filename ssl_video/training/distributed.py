"""The processes of a run, one per device, connected by Lightning Fabric.

A run on one device uses the same code with one process. Decisions common to all processes are exchanged as
tensors in main memory, through gloo, so that no GPU has to synchronise.
"""

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeVar

import torch
import torch.distributed
from torch import Tensor, nn

from ssl_video.errors import InputError, counted
from ssl_video.networks.devices import choose_device, set_up
from ssl_video.training.execution import Execution, Launcher

Value = TypeVar("Value")
_BY_NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"


class ProcessLost(InputError):
    """Another process of the run has ended or cannot be reached; that one knows the reason."""


class Processes:
    """This process and its place among the processes of the run.

    Attributes:
        device: this process's device.
        rank: its number, from 0.
        size: number of processes.
    """

    def __init__(self, execution: Execution) -> None:
        """Join the other processes, and wait until all have joined.

        Raises:
            InputError: there is no such device, or there are too few.
        """
        # Imported lazily: processes that only launch others do not need it.
        from lightning_fabric import Fabric
        from lightning_fabric.utilities.exceptions import MisconfigurationException

        # Fabric sets it, for processes that fork, as those of a run do not. With it, every step of AdamW
        # would load the driver's library again.
        os.environ.pop(_BY_NVML, None)
        device = choose_device(execution.device)
        try:
            self._fabric = Fabric(
                accelerator=device.type,
                devices=[device.index] if device.index is not None else execution.devices,
                num_nodes=execution.num_nodes,
                strategy=_strategy(execution, device),
                plugins=[_environment(execution.launcher)],
            )
            self._fabric.launch()
        except (ValueError, RuntimeError, MisconfigurationException) as error:
            raise InputError(
                f"cannot use {counted(execution.devices, 'device')}: {str(error).splitlines()[0]}"
            ) from None
        self.device = self._fabric.device
        self.rank, self.size = self._fabric.global_rank, self._fabric.world_size
        set_up(self.device)

    @property
    def main(self) -> bool:
        """True in the process that writes files and reports."""
        return self.rank == 0

    def wrap(self, algorithm: nn.Module, batch_norm: Literal["local", "sync"]) -> nn.Module:
        """Return a module to call instead of an algorithm, which averages gradients over all processes.

        With "sync", batch norm computes its statistics over the clips of all processes. In each training
        pass, all processes copy the first one's buffers (batch-norm statistics, memories), so a checkpoint
        needs only the first one's state.
        """
        if batch_norm == "sync" and self.size > 1:
            if self.device.type != "cuda":
                raise InputError("batch_norm sync needs GPUs: torch has it for CUDA alone")
            algorithm = nn.SyncBatchNorm.convert_sync_batchnorm(algorithm)
        # Not Fabric's own wrapper: it copies every batch and output, field by field, to convert tensors.
        wrapped: nn.Module = self._fabric.strategy.setup_module(algorithm)
        return wrapped

    def local(self, wrapped: nn.Module, enabled: bool) -> AbstractContextManager[None]:
        """Return a context whose backward passes do not average gradients, for all but a step's last one."""
        if enabled and isinstance(wrapped, nn.parallel.DistributedDataParallel):
            kept: AbstractContextManager[None] = wrapped.no_sync()
            return kept
        return nullcontext()

    def sum(self, values: Tensor) -> Tensor:
        """Sum a tensor in main memory over all processes, in place, and return it."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values

    def any(self, *flags: bool) -> list[bool]:
        """Return for each flag whether it is set in any process."""
        if self.size == 1:
            return list(flags)
        return [count > 0 for count in self.sum(torch.tensor(flags, dtype=torch.int32)).tolist()]

    def from_main(self, value: Value) -> Value:
        """Return the first process's value."""
        held = [value]
        if self.size > 1:
            torch.distributed.broadcast_object_list(held)
        return held[0]

    def gather(self, value: Value) -> list[Value]:
        """Return every process's value, in the order of ranks."""
        values: list[Any] = [value]
        if self.size > 1:
            values = [None] * self.size
            torch.distributed.all_gather_object(values, value)
        return values

    def same_buffers(self, modules: Iterable[nn.Module]) -> None:
        """Copy the first process's buffers to all, for example before each evaluates a part of the clips."""
        if self.size > 1:
            for module in modules:
                for buffer in module.buffers():
                    torch.distributed.broadcast(buffer, 0)


def _strategy(execution: Execution, device: torch.device) -> Any:
    """Return Fabric's strategy for these processes."""
    from lightning_fabric.strategies.ddp import DDPStrategy

    if execution.processes == 1 and execution.strategy == "auto":
        return "auto"
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    return DDPStrategy(process_group_backend=backend)


def _environment(launcher: Launcher) -> Any:
    """Return Fabric's environment for a launcher; its own guess takes any Slurm allocation for a launcher."""
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    kinds = {"self": LightningEnvironment, "torchrun": TorchElasticEnvironment, "slurm": SLURMEnvironment}
    return kinds[launcher]()
