"""What a run needs of its labels and networks: told before videos are decoded, and again where it starts."""

from ssl_video.contract import Algorithm
from ssl_video.data.partitions.partition import Partition
from ssl_video.engine.activations import find_blocks
from ssl_video.engine.processes import Execution
from ssl_video.errors import InputError
from ssl_video.spec import NetworkSpec, Spec


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
