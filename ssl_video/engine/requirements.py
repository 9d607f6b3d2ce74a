"""What a run needs of batches, labels and networks: told before videos are decoded, and where it starts."""

from ssl_video.contract import Algorithm
from ssl_video.data.partitions.partition import Partition
from ssl_video.engine.activations import find_blocks
from ssl_video.engine.processes import Execution
from ssl_video.errors import InputError
from ssl_video.spec import NetworkSpec, Spec


def check_shares(spec: Spec, algorithm: Algorithm, processes: int) -> None:
    """Whether a step's batches can be cut into equal shares, and into parts at all.

    Unequal ones would weigh their clips differently.

    Raises:
        InputError: a batch that cannot.
    """
    shares = processes * spec.accumulate
    kinds = ["labeled_batch", "unlabeled_batch"] if algorithm.unlabeled else ["labeled_batch"]
    problems = [
        f"{kind} {getattr(spec, kind)} cannot be cut into {shares} equal shares ({processes} processes, "
        f"accumulate {spec.accumulate}): choose a multiple of {shares}"
        for kind in kinds
        if getattr(spec, kind) % shares
    ]
    if algorithm.whole_batch and spec.accumulate > 1:
        problems.append(
            f"{spec.algorithm} looks at a step's clips as a whole, and would be another method with "
            f"accumulate {spec.accumulate}: leave it out; --activation-checkpointing saves memory, too"
        )
    if problems:
        raise InputError(*problems)


def check_clips(spec: Spec, algorithm: Algorithm, partition: Partition, execution: Execution) -> None:
    """Whether a partition has the clips that the run reads.

    Raises:
        InputError: no unlabeled clips, no validation clips.
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
    """Whether each role's network can be carried out so; they may be on the meta device.

    Args:
        spec: a resolved specification.
        algorithm: its algorithm.
        execution: what is asked of networks.

    Raises:
        InputError: all that have no blocks to checkpoint, see `activations.find_blocks`.
    """
    problems = list[str]()
    for role in algorithm.roles if execution.activation_checkpointing else ():
        backbone = spec.networks.get(role, NetworkSpec()).backbone or spec.backbone
        try:
            find_blocks(algorithm.get_submodule(role), backbone)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*dict.fromkeys(problems))
