"""Predict the memory of a training step from shapes alone, without data and without a GPU."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from ssl_video.contract import Batch, Task
from ssl_video.meta import META, on_meta
from ssl_video.networks import frozen
from ssl_video.networks.assemble import Assembly, assemble
from ssl_video.networks.random_batch import PROGRESS, random_batch
from ssl_video.spec import Spec

# Numbers that an optimizer keeps of each parameter.
_STATES = {"adamw": 2, "sgd": 1}


@dataclass(frozen=True)
class StepMemory:
    """The memory of a step in one process, in bytes.

    Libraries, buffers of convolutions, and gaps between tensors come on top: two to three GiB on a GPU.

    Attributes:
        kept: results that the forward pass keeps for the backward pass.
        weights: all networks, and the gradients and the optimizer's states of those that are trained.
        clips: two batches, of which one arrives while the other is used.
    """

    kept: int
    weights: int
    clips: int

    @property
    def total(self) -> int:
        """The sum."""
        return self.kept + self.weights + self.clips


def of_step(spec: Spec, classes: int, processes: int = 1) -> StepMemory:
    """Predict the memory of a step, without activation checkpointing.

    The step is that of the run on tensors without numbers. In bfloat16, results take half of what they take
    in float32: slow_r50's 53 %.

    Args:
        spec: a resolved specification.
        classes: number of classes.
        processes: number of processes that share a step.

    Raises:
        InputError: see `assemble.assemble`.
        Exception: the error of a method whose step depends on the values of its clips.
    """
    labeled, unlabeled = (
        max(1, batch // (spec.accumulate * processes)) for batch in (spec.labeled_batch, spec.unlabeled_batch)
    )
    with META:
        assembly = assemble(spec, Task(classes, max(unlabeled, 1)), trained=True)
    assembly.begin(spec.steps - 1)
    stored = frozen.readers(spec, assembly.algorithm)
    batch = random_batch(
        assembly, labeled, unlabeled, classes=classes, size=spec.size, device=META, stored=stored
    )
    kept = _kept(assembly, batch) // (2 if spec.precision == "bfloat16" else 1)
    clips = sum(map(_bytes, (*batch.labeled.values(), *batch.unlabeled.values())))
    return StepMemory(kept, _of_weights(assembly, _STATES[spec.optimizer]), 2 * clips)


def _kept(assembly: Assembly, batch: Batch) -> int:
    """Return the bytes that a forward pass keeps, each storage once, without weights and clips."""
    # The tensors are held, or another one could get the place of one that is gone.
    found = dict[int, Tensor]()

    def note(tensor: Tensor) -> Tensor:
        return found.setdefault(tensor.untyped_storage()._cdata, tensor)

    with saved_tensors_hooks(note, lambda tensor: tensor), on_meta():
        assembly.algorithm.train()(batch, PROGRESS)
    others = [tensor for part in assembly.parts() for tensor in _all(part)]
    others += [*batch.labeled.values(), *batch.unlabeled.values()]
    known = {tensor.untyped_storage()._cdata for tensor in others}
    return sum(tensor.untyped_storage().nbytes() for place, tensor in found.items() if place not in known)


def _of_weights(assembly: Assembly, states: int) -> int:
    """Return the bytes of all weights, and of the gradients and states of those that are trained."""
    sizes = {
        p: _bytes(p) * (2 + states if p.requires_grad else 1) for part in assembly.parts() for p in _all(part)
    }
    return sum(sizes.values())


def _all(part: nn.Module) -> list[Tensor]:
    return [*part.parameters(), *part.buffers()]


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
