"""The predicted memory of a step, against the tensors that a real step keeps, and against sums by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from ssl_video.benchmarks.running import costs
from ssl_video.contract import Task
from ssl_video.networks import memory
from ssl_video.networks.assemble import assemble, resolve
from ssl_video.networks.random_batch import random_batch
from ssl_video.spec import Spec, build

CPU = torch.device("cpu")
SMALL = {"width": 0.5, "frames": 4, "size": 16, "labeled_batch": 4, "unlabeled_batch": 8}


def resolved(**values: Any) -> Spec:
    return resolve(build(SMALL | values), CPU)


def really_kept(spec: Spec) -> int:
    """Bytes of the storages that autograd holds when the loss of a real step is there, beside its inputs."""
    assembly = assemble(spec, Task(3, 8), trained=True)
    batch = random_batch(assembly, 4, 8, classes=3, size=16)
    clips = [*batch.labeled.values(), *batch.unlabeled.values()]
    known = {t.data_ptr() for t in (*clips, *assembly.algorithm.parameters(), *assembly.algorithm.buffers())}
    held = dict[int, Tensor]()

    def pack(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = assembly.algorithm.train()(batch, 0.5).loss
    assert loss.requires_grad
    return sum(t.untyped_storage().nbytes() for place, t in held.items() if place not in known)


@pytest.mark.parametrize("name", ["supervised", "fixmatch", "cmpl", "meanteacher", "ltg", "timebalance"])
def test_results_that_the_backward_pass_needs(name: str) -> None:
    """Up to one in a hundred: torch's implementations on the CPU keep small tensors of their own."""
    spec = resolved(algorithm=name)
    assert memory.of_step(spec, 3).kept == pytest.approx(really_kept(spec), rel=0.01)


def test_weights_gradients_and_states() -> None:
    """A number has 4 bytes. AdamW keeps two more of each that is trained, beside its gradient; SGD one."""
    made = assemble(resolved(algorithm="supervised"), Task(3, 8), trained=True).algorithm
    trained = sum(p.numel() for p in made.parameters())
    others = sum(b.numel() * b.element_size() for b in made.buffers())
    found = [memory.of_step(resolved(algorithm="supervised", optimizer=o), 3) for o in ("adamw", "sgd")]
    assert [one.weights for one in found] == [4 * 4 * trained + others, 3 * 4 * trained + others]
    teacher = memory.of_step(resolved(algorithm="meanteacher"), 3).weights
    assert teacher - found[0].weights == 4 * trained + others + 8, "an average, and its number of updates"


def test_clips_are_those_of_two_batches() -> None:
    """4 weak ones, 8 weak and 8 strong ones, of 3 * 4 * 16 * 16 numbers."""
    found = memory.of_step(resolved(algorithm="fixmatch"), 3)
    assert found.clips == 2 * 20 * 3 * 4 * 16 * 16 * 4
    assert found.total == found.kept + found.weights + found.clips


def test_precision_micro_batches_and_processes_take_less() -> None:
    whole = memory.of_step(resolved(algorithm="fixmatch"), 3)
    assert memory.of_step(resolved(algorithm="fixmatch", precision="bfloat16"), 3).kept == whole.kept // 2
    parts = memory.of_step(resolved(algorithm="fixmatch", accumulate=2), 3)
    assert parts.kept == pytest.approx(whole.kept / 2, rel=0.02)
    assert (parts.clips, parts.weights) == (whole.clips // 2, whole.weights)
    assert memory.of_step(resolved(algorithm="fixmatch"), 3, processes=2) == parts


def test_a_method_that_looks_at_its_clips_has_no_prediction() -> None:
    assert costs.memory(resolved(algorithm="tcl")) is None
    assert (
        costs.memory(resolved(algorithm="fixmatch"))
        == memory.of_step(resolved(algorithm="fixmatch"), 2).total
    )
