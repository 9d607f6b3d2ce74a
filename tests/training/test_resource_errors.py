"""What a machine runs out of: the last checkpoint is whole, the message clear, and the run goes on."""

import errno
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from ssl_video.contract import Algorithm, Batch, LossOutput, Task
from ssl_video.data.dataset import load
from ssl_video.errors import InputError
from ssl_video.networks.assemble import assemble
from ssl_video.runs import checkpoint, weight_file
from ssl_video.runs.folder import METRICS
from ssl_video.spec import Spec
from ssl_video.training import resource_errors
from ssl_video.training.distributed import ProcessLost
from ssl_video.training.execution import Execution
from ssl_video.training.resource_errors import as_input_errors
from ssl_video.training.run import Plan, Stopped, plan, run

MakePlan = Callable[..., Plan]
CPU = torch.device("cpu")
ONCE = Execution("cpu", checkpoint_seconds=1e9)
ALWAYS = Execution("cpu", checkpoint_seconds=0.0)


def outcome(folder: Path) -> tuple[bytes, dict[str, torch.Tensor]]:
    return (folder / METRICS).read_bytes(), weight_file.load(folder / checkpoint.FINAL)["algorithm"]


def assert_goes_on(plan: Plan, folder: Path, straight: Path) -> None:
    """The run ends as if nothing had been."""
    run(plan, straight, ONCE)
    run(plan, folder, ONCE)
    (metrics, weights), (expected, others) = outcome(folder), outcome(straight)
    assert metrics == expected
    assert all(torch.equal(weights[name], others[name]) for name in others)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.name != "posix" or shutil.which("mount") is None:
        pytest.skip("there is no mount")
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs rights that this user does not have")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def filled(folder: Path, left: int) -> Path:
    """A file that leaves so many bytes of the disk."""
    status = os.statvfs(folder)
    junk = folder / "junk"
    junk.write_bytes(b"x" * max(0, status.f_bavail * status.f_frsize - left))
    return junk


@pytest.mark.parametrize("left", [0, 40_000], ids=["nothing", "less than a checkpoint"])
def test_a_full_disk(make_plan: MakePlan, plugin: str, small_disk: Path, tmp_path: Path, left: int) -> None:
    """Records or checkpoints cannot be written, whichever comes first."""
    made, folder = make_plan(algorithm=plugin, width=0.25, steps=8), small_disk / "run"
    steps = iter(range(9))
    with pytest.raises(Stopped):
        run(made, folder, ALWAYS, stopping=lambda: next(steps) == 3)
    before = (folder / checkpoint.CURRENT).read_bytes()
    assert len(before) > 40_000
    junk = filled(small_disk, left)
    with pytest.raises(InputError, match=r"(?s)cannot write .*: No space left on device; .* intact"):
        run(made, folder, ALWAYS)
    junk.unlink()
    assert (folder / checkpoint.CURRENT).read_bytes() == before
    assert_goes_on(made, folder, tmp_path / "straight")


def test_a_disk_that_can_only_be_read(
    make_plan: MakePlan, plugin: str, small_disk: Path, tmp_path: Path
) -> None:
    made, folder = make_plan(algorithm=plugin, steps=4), small_disk / "run"
    with pytest.raises(Stopped):
        run(made, folder, ALWAYS, stopping=lambda: True)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(InputError, match=r"cannot write to .*: Read-only file system; .* intact"):
        run(made, folder, ALWAYS)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert_goes_on(made, folder, tmp_path / "straight")


@pytest.mark.parametrize("while_", ["training", "testing"])
def test_data_that_has_vanished(
    small_spec: Callable[..., Spec], video_folder: Path, tmp_path: Path, while_: str
) -> None:
    """Without a cache: the videos are moved away after two steps, or before the test, and back."""
    videos, away = tmp_path / "videos", tmp_path / "away"
    shutil.copytree(video_folder, videos)
    spec = small_spec(data=str(videos), algorithm="fixmatch")
    made = plan(spec, load(spec, cache_gib=0), CPU)
    calls = iter(range(99))

    def move() -> bool:
        if next(calls) == (1 if while_ == "training" else made.spec.steps - 1):
            videos.rename(away)
        return False

    with pytest.raises(InputError, match=r"could be decoded when the run began: restore it"):
        run(made, tmp_path / "run", ALWAYS, stopping=move)
    away.rename(videos)
    assert checkpoint.latest(tmp_path / "run")[0] is not None
    made = plan(spec, load(spec, cache_gib=0), CPU)
    assert_goes_on(made, tmp_path / "run", tmp_path / "straight")


def test_memory(make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real allocation that cannot be had, in the third step."""
    made = make_plan(algorithm="fixmatch", labeled_batch=4)
    algorithm_loss, calls = type(made_algorithm(made)).loss, iter(range(99))

    def greedy(self: object, batch: object, progress: float) -> object:
        if next(calls) == 2:
            torch.empty(1 << 60)
        return algorithm_loss(self, batch, progress)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(type(made_algorithm(made)), "loss", greedy)
        with pytest.raises(InputError, match=r"out of memory with 4\+4 clips per step of 2x.*--accumulate"):
            run(made, tmp_path / "run", ALWAYS)
    assert_goes_on(made, tmp_path / "run", tmp_path / "straight")


def made_algorithm(made: Plan) -> Algorithm:
    return assemble(made.spec, Task(3, 6)).algorithm


def test_what_is_not_the_disks_is_left_as_it_is(make_plan: MakePlan, tmp_path: Path) -> None:
    """A method's own file is not the run's, and an error of another kind may have a disk's class."""
    spec, folder = make_plan().spec, tmp_path / "run"
    with pytest.raises(FileNotFoundError), as_input_errors(folder, spec, ONCE):
        (tmp_path / "prototypes.npy").open()
    with pytest.raises(OSError, match=r"^could not get source code$"), as_input_errors(folder, spec, ONCE):
        raise OSError("could not get source code")
    with (
        pytest.raises(InputError, match=r"cannot write to .*run/metrics.jsonl: No such file"),
        as_input_errors(folder, spec, ONCE),
    ):
        (folder / "metrics.jsonl").open("w")
    (tmp_path / "run").write_text("a file")
    with (
        pytest.raises(InputError, match=r"cannot write to .*run/logs: Not a directory"),
        as_input_errors(folder, spec, ONCE),
    ):
        (folder / "logs").mkdir()
    with (
        pytest.raises(InputError, match=r"cannot write to .*: No space left"),
        as_input_errors(folder, spec, ONCE),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError(
            "NCCL error in: ProcessGroupNCCL.cpp:1, unhandled cuda error\nCuda failure 2 'out of memory'"
        ),
        RuntimeError("HIP out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
    ],
)
def test_memory_of_all_kinds(make_plan: MakePlan, tmp_path: Path, error: Exception) -> None:
    with (
        pytest.raises(InputError, match="out of memory with"),
        as_input_errors(tmp_path, make_plan().spec, ONCE),
    ):
        raise error


def test_advice_that_is_followed_is_not_given_again(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(execution: Execution, **values: object) -> str:
        spec = make_plan().spec.model_copy(update=values)
        with pytest.raises(InputError) as caught, as_input_errors(tmp_path, spec, execution):
            raise MemoryError
        return caught.value.problems[0]

    assert "--activation-checkpointing stores less" in told(ONCE)
    assert "--activation-checkpointing, in place of --compile" not in told(ONCE)
    assert "stores less of each, in place of --compile" in told(Execution("cpu", compile=True))
    assert "--activation-checkpointing" not in told(Execution("cpu", activation_checkpointing=True))
    assert "bfloat16" not in told(ONCE), "refused on a CPU"
    for capability, advised in (((8, 0), True), ((7, 5), False)):
        monkeypatch.setattr(resource_errors, "_of_this_gpu", lambda: " (a GPU)")
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda capability=capability: capability)
        assert ("bfloat16" in told(ONCE)) is advised
        assert "bfloat16" not in told(ONCE, precision="bfloat16")


def test_gpus_that_cannot_reach_each_other(make_plan: MakePlan, tmp_path: Path) -> None:
    text = "NCCL error in: ProcessGroupNCCL.cpp:3690, unhandled system error\nLast error:\nsocket timed out"
    with (
        pytest.raises(
            InputError, match=r"cannot reach each other, or one .*unhandled system error; NCCL_DEBUG=INFO"
        ),
        as_input_errors(tmp_path, make_plan().spec, ONCE),
    ):
        raise RuntimeError(text)


@pytest.mark.parametrize(
    "text",
    [
        "[gloo/transport/tcp/pair.cc:545] Read error [127.0.0.1]: Connection reset by peer",
        "recvValue failed on SocketImpl(fd=5): Connection was likely closed",
    ],
)
def test_a_process_of_several_that_is_gone(text: str, make_plan: MakePlan, tmp_path: Path) -> None:
    """Its own report explains more, so it comes first."""
    spec = make_plan().spec
    with (
        pytest.raises(
            ProcessLost, match=r"^another process of this run has ended.* The same command resumes"
        ),
        as_input_errors(tmp_path, spec, Execution("cpu", devices=2)),
    ):
        raise RuntimeError(text)
    with pytest.raises(RuntimeError, match="Connection"), as_input_errors(tmp_path, spec, ONCE):
        raise RuntimeError(text)


def test_parts_are_no_remedy_for_what_looks_at_the_whole(make_plan: MakePlan, tmp_path: Path) -> None:
    """They would be refused."""
    with (
        pytest.raises(InputError, match=r"in 1 part: --activation-checkpointing stores less"),
        as_input_errors(tmp_path, make_plan(algorithm="tcl").spec, ONCE),
    ):
        raise MemoryError


def test_a_loading_process_that_dies_during_a_step(make_plan: MakePlan, tmp_path: Path) -> None:
    """torch raises its error from a signal handler, wherever the run is."""
    with (
        pytest.raises(InputError, match=r"a loading process has ended \(killed by signal: Killed\): "),
        as_input_errors(tmp_path, make_plan().spec, ONCE),
    ):
        raise RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed. ")


def test_other_errors_are_left_alone(make_plan: MakePlan, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shape"), as_input_errors(tmp_path, make_plan().spec, ONCE):
        raise RuntimeError("shape")


# -- what is not finite


def poison(patch: pytest.MonkeyPatch, made: Plan, steps: set[int], where: str) -> None:
    """Makes clips, and with them batch-norm statistics, or only gradients not finite in some steps."""
    kind = type(made_algorithm(made))
    loss, count = kind.loss, iter(range(99))

    def bad(self: Algorithm, batch: Batch, progress: float) -> LossOutput:
        # Operations are counted on clips without numbers, before the first step.
        if batch.labels.is_meta or next(count) not in steps:
            return loss(self, batch, progress)
        if where == "clips":
            batch.labeled["weak"].fill_(float("inf"))
            return loss(self, batch, progress)
        output = loss(self, batch, progress)
        # Its value is 0, its gradient infinite.
        weights = next(self.parameters())
        output.terms["labeled"] = output.terms["labeled"] + (weights - weights.detach()).abs().sqrt().sum()
        return output

    patch.setattr(kind, "loss", bad)


def test_the_message_names_term_step_and_clips(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_plan(algorithm="fixmatch", steps=9)
    poison(monkeypatch, made, {5}, "clips")
    with pytest.raises(InputError) as error:
        run(made, tmp_path, ALWAYS)
    text = str(error.value)
    assert "the loss term 'labeled' was not finite at step 5 of 9" in text
    names = text.split("The step's clips were ")[1]
    assert names.count(".mkv'") == 3 + 4
    assert checkpoint.load(tmp_path / checkpoint.CURRENT)["step"] == 5


@pytest.mark.parametrize("where", ["clips", "gradients"])
def test_steps_that_are_not_finite_can_be_skipped(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Steps 0 to 2 are bad, so that nothing moves before step 3; then 2 more, and the run goes on."""
    made = make_plan(algorithm="supervised", steps=6, ema=0.5)
    skip = Execution("cpu", checkpoint_seconds=0, on_nonfinite="skip")
    poison(monkeypatch, made, {0, 1, 2, 4, 5}, where)
    states = []

    def look() -> bool:
        states.append(checkpoint.latest(tmp_path)[0])
        return False

    result = run(made, tmp_path, skip, stopping=look)
    assert result.skipped_steps == 5
    lines = (tmp_path / METRICS).read_text().splitlines()
    assert [("null" in line) for line in lines] == [
        where == "clips" and step in {0, 1, 2, 4, 5} for step in range(6)
    ]
    # `look` sees the checkpoint of the step before, and is also asked during the test.
    after = [{**state["algorithm"], **state["ema"]} for state in states[1:7]]
    same = [
        all(torch.equal(one[name], other[name]) for name in one) for one, other in itertools.pairwise(after)
    ]
    assert same == [True, True, False, True, True]
    assert [state["skipped"] for state in states[1:7]] == [1, 2, 3, 3, 4, 5]
