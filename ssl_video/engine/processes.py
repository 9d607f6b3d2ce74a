"""The processes that carry out a run together, one a device, joined by Lightning Fabric.

A run on one device is the same code in a world of one. What the processes have to agree on is exchanged as
tensors in main memory, through gloo, so that no GPU is stopped for it.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
import torch.distributed
from torch import Tensor, nn

from ssl_video.engine.assemble import choose_device
from ssl_video.errors import InputError

Value = TypeVar("Value")
Launcher = Literal["self", "torchrun", "slurm"]


@dataclass(frozen=True)
class Execution:
    """How a run is carried out. It changes the rounding of numbers at most, but for two cases.

    With several devices and batch_norm "local" each process normalises its own clips. With on_nonfinite
    "skip" a run goes on where it would have stopped.

    Attributes:
        device: "auto", "cpu", "cuda" or "cuda:1".
        threads: CPU threads of each process; None leaves it to torch.
        workers: processes that prepare batches, for each process.
        checkpoint_seconds: time between checkpoints.
        devices: processes on this machine, one a device.
        num_nodes: machines.
        strategy: "auto" is DDP where there are several processes.
        launcher: who starts the processes; "self" is this project.
        compile: whether networks are compiled.
        activation_checkpointing: whether blocks run again for the backward pass, which saves memory.
        evaluate_every: steps between looks at the validation clips; 0: none.
        on_nonfinite: what a loss or gradient that is not finite does: "stop" the run, or "skip" the step.

    Raises:
        InputError: both `compile` and `activation_checkpointing`.
    """

    device: str = "auto"
    threads: int | None = None
    workers: int | None = None
    checkpoint_seconds: float = 60.0
    devices: int = 1
    num_nodes: int = 1
    strategy: Literal["auto", "ddp"] = "auto"
    launcher: Launcher = "self"
    compile: bool = False
    activation_checkpointing: bool = False
    evaluate_every: int = 0
    on_nonfinite: Literal["stop", "skip"] = "stop"

    def __post_init__(self) -> None:
        # torch's compiler takes no checkpoint with a context of its own; here one keeps batch norms from
        # averaging a clip twice.
        if self.compile and self.activation_checkpointing:
            raise InputError(
                "--compile and --activation-checkpointing exclude each other: torch cannot compile blocks "
                "that run again. Leave out --compile where memory is short, else --activation-checkpointing"
            )

    @property
    def processes(self) -> int:
        """How many processes carry out the run."""
        return self.devices * self.num_nodes


class Processes:
    """This process and its place among those that carry out the run.

    Attributes:
        device: this process's device.
        rank: its number, from 0.
        size: how many there are.
    """

    def __init__(self, execution: Execution) -> None:
        """Join the others; waits until all are there.

        Raises:
            InputError: there is no such device, or not so many.
        """
        # Imported here, because whoever only starts processes does without; see `join` for its price.
        from lightning_fabric import Fabric

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
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"cannot use {execution.devices} devices: {str(error).splitlines()[0]}"
            ) from None
        self.device = self._fabric.device
        self.rank, self.size = self._fabric.global_rank, self._fabric.world_size

    @property
    def main(self) -> bool:
        """Whether this is the one process that writes files and reports."""
        return self.rank == 0

    def wrap(self, algorithm: nn.Module, batch_norm: Literal["local", "sync"]) -> nn.Module:
        """What to call instead of an algorithm, so that gradients are averaged over all processes.

        With "sync", batch norm takes its statistics over the clips of all processes. In each training pass
        all take the first one's buffers (batch-norm statistics, memories), so that the first one's state is
        all that a checkpoint needs.
        """
        if batch_norm == "sync" and self.size > 1:
            if self.device.type != "cuda":
                raise InputError("batch_norm sync needs GPUs: torch has it for CUDA alone")
            algorithm = nn.SyncBatchNorm.convert_sync_batchnorm(algorithm)
        # Not Fabric's own wrapper: it copies every batch and output, field by field, to convert tensors.
        wrapped: nn.Module = self._fabric.strategy.setup_module(algorithm)
        return wrapped

    def local(self, wrapped: nn.Module, enabled: bool) -> AbstractContextManager[None]:
        """A context whose backward passes stay in this process: all but the last of several in one step."""
        if enabled and isinstance(wrapped, nn.parallel.DistributedDataParallel):
            kept: AbstractContextManager[None] = wrapped.no_sync()
            return kept
        return nullcontext()

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes of a tensor in main memory, in place."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values

    def any(self, *flags: bool) -> list[bool]:
        """Which flags are set in any process."""
        if self.size == 1:
            return list(flags)
        return [count > 0 for count in self.sum(torch.tensor(flags, dtype=torch.int32)).tolist()]

    def from_main(self, value: Value) -> Value:
        """The first process's value."""
        held = [value]
        if self.size > 1:
            torch.distributed.broadcast_object_list(held)
        return held[0]

    def gather(self, value: Value) -> list[Value]:
        """Every process's value, in the order of ranks."""
        values: list[Any] = [value]
        if self.size > 1:
            values = [None] * self.size
            torch.distributed.all_gather_object(values, value)
        return values

    def same_buffers(self, modules: Iterable[nn.Module]) -> None:
        """Gives all processes the first one's buffers, as for the test: each tests a share of the clips."""
        if self.size > 1:
            for module in modules:
                for buffer in module.buffers():
                    torch.distributed.broadcast(buffer, 0)


def _strategy(execution: Execution, device: torch.device) -> Any:
    """Fabric's way of joining processes."""
    from lightning_fabric.strategies.ddp import DDPStrategy

    if execution.processes == 1 and execution.strategy == "auto":
        return "auto"
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    return DDPStrategy(process_group_backend=backend)


def _environment(launcher: Launcher) -> Any:
    """Where Fabric reads this process's place. Its own guess takes any Slurm allocation for a launcher."""
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    kinds = {"self": LightningEnvironment, "torchrun": TorchElasticEnvironment, "slurm": SLURMEnvironment}
    return kinds[launcher]()
