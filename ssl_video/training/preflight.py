"""Check the batches, clips and networks of a run, before videos are decoded and again when it starts."""

import torch
from torch.nn.modules.conv import _ConvNd

from ssl_video.contract import Algorithm
from ssl_video.data.partitions.partition import Partition
from ssl_video.errors import InputError, counted
from ssl_video.networks.activation_checkpointing import find_blocks
from ssl_video.networks.devices import slow_bfloat16
from ssl_video.spec import NetworkSpec, Spec
from ssl_video.training.execution import Execution


def check_shards(spec: Spec, algorithm: Algorithm, processes: int) -> None:
    """Check that a step's batches can be cut into equal shards, and that the method allows parts.

    Unequal shards would weight their clips differently. An algorithm that is fitted at once has no batches.

    Raises:
        InputError: a batch cannot be cut, or the method needs the whole batch.
    """
    if algorithm.at_once:
        return
    shards = processes * spec.accumulate
    kinds = ["labeled_batch", "unlabeled_batch"] if algorithm.unlabeled else ["labeled_batch"]
    problems = [
        f"{kind} {getattr(spec, kind)} cannot be cut into {counted(shards, 'equal shard')} "
        f"({counted(processes, 'process')}, accumulate {spec.accumulate}): choose a multiple of {shards}"
        for kind in kinds
        if getattr(spec, kind) % shards
    ]
    if algorithm.whole_batch and spec.accumulate > 1:
        problems.append(
            f"{spec.algorithm} needs the whole batch at once, so accumulate {spec.accumulate} would "
            "change the method: leave it out; --activation-checkpointing saves memory, too"
        )
    if problems:
        raise InputError(*problems)


def check_precision(spec: Spec, algorithm: Algorithm, device: torch.device) -> None:
    """Check that a run's gradients can be computed in its precision.

    On CPUs, torch's gradients of convolutions in bfloat16 contain uninitialised memory where a padded kernel
    reaches beyond a map (seen with torch 2.14 and 2.15: kernels of 3 over 2 frames, of 3 x 3 over 1 x 1
    places). They are then not finite in some runs, and wrong in others. GPUs before the A100 and the RTX 30,
    and some combinations of torch and cuDNN, have no fast convolutions in bfloat16.

    Raises:
        InputError: they cannot, or so slowly that it must be a mistake.
    """
    convolutions = [module for module in algorithm.modules() if isinstance(module, _ConvNd)]
    if spec.precision != "bfloat16" or not convolutions:
        return
    if device.type == "cuda" and (slow := slow_bfloat16(device)):
        raise InputError(slow)
    padded = (module for module in convolutions if any(module.padding))
    if device.type == "cpu" and any(module.weight.requires_grad for module in padded):
        raise InputError(
            "precision bfloat16: on a CPU, torch computes wrong gradients of padded convolutions: "
            "use float32, or a GPU"
        )


def check_clips(spec: Spec, algorithm: Algorithm, partition: Partition, execution: Execution) -> None:
    """Check that a partition has the clips that the run reads.

    Raises:
        InputError: it has no unlabeled clips, or no validation clips.
    """
    problems = list[str]()
    if algorithm.unlabeled and not len(partition.unlabeled):
        problems.append(
            f"{spec.algorithm} reads unlabeled clips, and {spec.protocol} leaves none: "
            "use --labeled-in-unlabeled"
        )
    if execution.evaluate_every and not len(partition.validation):
        problems.append("--evaluate-every needs clips to evaluate on: keep some with --validation 0.2")
    if problems:
        raise InputError(*problems)


def check_networks(spec: Spec, algorithm: Algorithm, execution: Execution) -> None:
    """Check that each role's network supports the execution settings; it may be on the meta device.

    Args:
        spec: a resolved specification.
        algorithm: its algorithm.
        execution: the execution settings.

    Raises:
        InputError: networks without blocks to checkpoint, see `activation_checkpointing.find_blocks`; no
            stored features, for an algorithm that is fitted to them.
    """
    problems = list[str]()
    frozen = all(network.probe != "none" for network in spec.networks.values())
    if algorithm.at_once and not (frozen and spec.feature_copies):
        problems.append(
            f"{spec.algorithm} is fitted to the stored features of a frozen network: give --recipe probe, or "
            "--probe linear with --weights, and leave out --feature-copies 0"
        )
    for role in algorithm.roles if execution.activation_checkpointing else ():
        backbone = spec.networks.get(role, NetworkSpec()).backbone or spec.backbone
        try:
            find_blocks(algorithm.get_submodule(role), backbone)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*dict.fromkeys(problems))
