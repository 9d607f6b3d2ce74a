"""Files of another run, or damaged ones, in a run's folder: never used, and never without a word."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.resumed import ALWAYS, ONCE, assert_equal, outcome, places

from ssl_video.errors import InputError
from ssl_video.inference.load import load
from ssl_video.runs import checkpoint, predictions
from ssl_video.runs.folder import METRICS, PREDICTIONS, PSEUDO_LABELS, UNFINISHED_PSEUDO_LABELS, RunFolder
from ssl_video.training.run import Plan, Stopped, run

CPU = torch.device("cpu")


def stop(plan: Plan, folder: Path, steps: int) -> None:
    """Run some steps, with a checkpoint after each."""
    answers = iter([False] * (steps - 1) + [True])
    with pytest.raises(Stopped):
        run(plan, folder, ALWAYS, stopping=lambda: next(answers))


@pytest.fixture
def plan(make_plan: Callable[..., Plan], plugin: str) -> Plan:
    return make_plan(algorithm=plugin)


@pytest.fixture
def other(make_plan: Callable[..., Plan], plugin: str) -> Plan:
    return make_plan(algorithm=plugin, seed=1)


@pytest.mark.parametrize(
    ("names", "begun", "sentences"),
    [
        ([checkpoint.CURRENT], 2, 1),
        ([checkpoint.CURRENT, checkpoint.PREVIOUS], 0, 2),
        ([checkpoint.PREVIOUS, checkpoint.NEXT, checkpoint.FINAL], 3, 0),
    ],
)
def test_a_checkpoint_of_another_run_is_not_resumed(
    plan: Plan, other: Plan, tmp_path: Path, names: list[str], begun: int, sentences: int
) -> None:
    """The previous one is, or the run starts anew."""
    straight, folder, theirs = (
        *places(plan, tmp_path, "straight", "stopped"),
        *places(other, tmp_path, "stopped"),
    )
    run(plan, straight, ONCE)
    stop(plan, folder, 3)
    stop(other, theirs, 3)
    for name in names:
        source = theirs / name if (theirs / name).exists() else theirs / checkpoint.CURRENT
        shutil.copy(source, folder / name)
    said, steps = list[str](), list[int]()
    run(plan, folder, ALWAYS, warn=said.append, report=lambda progress: steps.append(progress.done))
    assert steps[0] == begun + 1
    assert len(said) == sentences
    assert all(f"is of another run, {other.name}: it is not used" in sentence for sentence in said)
    assert_equal(outcome(plan, folder), outcome(plan, straight))


def test_weights_of_another_run_are_not_loaded(plan: Plan, other: Plan, tmp_path: Path) -> None:
    folder, theirs = (*places(plan, tmp_path, "a"), *places(other, tmp_path, "a"))
    run(plan, folder, ONCE)
    run(other, theirs, ONCE)
    shutil.copy(theirs / checkpoint.FINAL, folder / checkpoint.FINAL)
    for path in (folder, folder / checkpoint.FINAL):
        with pytest.raises(InputError, match=f"is of the run {other.name}, not of the run {plan.name}"):
            load(path, CPU)
    alone = shutil.copy(theirs / checkpoint.FINAL, tmp_path / checkpoint.FINAL)
    load(Path(alone), CPU)  # in a folder of no run, it says itself what it is


def test_weights_without_a_name_are_compared_by_settings(plan: Plan, other: Plan, tmp_path: Path) -> None:
    """Older versions wrote none."""
    (folder,) = places(plan, tmp_path, "a")
    (theirs,) = places(other, tmp_path, "a")
    stop(plan, folder, 2)
    stop(other, theirs, 2)
    for name in (checkpoint.CURRENT, checkpoint.PREVIOUS):
        state = checkpoint.load(theirs / name)
        del state["run"]
        torch.save(state, folder / name)
    with pytest.raises(InputError, match="is of a run with other settings or classes"):
        load(folder, CPU)
    said = list[str]()
    run(plan, folder, ONCE, warn=said.append)
    assert len(said) == 2
    assert all("is of another run: its settings" in sentence for sentence in said)


def test_arrays_and_records_of_another_run_are_refused(plan: Plan, other: Plan, tmp_path: Path) -> None:
    folder, theirs = (*places(plan, tmp_path, "a"), *places(other, tmp_path, "a"))
    run(plan, folder, ONCE)
    run(other, theirs, ONCE)
    for name in (PREDICTIONS, PSEUDO_LABELS, METRICS):
        shutil.copy(theirs / name, folder / name)
    found = RunFolder(folder)
    with pytest.raises(InputError, match=f"predictions.npz is of another run, {other.name}"):
        found.predictions  # noqa: B018
    with pytest.raises(InputError, match=f"pseudo-labels.npz is of another run, {other.name}"):
        found.pseudo_labels  # noqa: B018
    with pytest.raises(InputError, match=r"metrics.jsonl is damaged or of another run"):
        found.metrics  # noqa: B018
    assert len(RunFolder(theirs).metrics) == plan.spec.steps
    # Made anew for the run, but not as the run wrote it.
    made = RunFolder(theirs).predictions
    predictions.write(folder, made, run=plan.name)
    with pytest.raises(InputError, match=r"its checksum is not the one in result.json"):
        predictions.read(folder)


def test_lost_pseudo_labels_give_no_number(plan: Plan, tmp_path: Path) -> None:
    """The fraction of those that are left would be another one; the weights are the same."""
    straight, folder = places(plan, tmp_path, "straight", "stopped")
    whole = run(plan, straight, ONCE)
    stop(plan, folder, 3)
    lines = (folder / UNFINISHED_PSEUDO_LABELS).read_text().splitlines(keepends=True)
    (folder / UNFINISHED_PSEUDO_LABELS).write_text("".join(lines[1:]))
    said = list[str]()
    result = run(plan, folder, ONCE, warn=said.append)
    assert whole.pseudo_labels_used.keys() == {"teacher"}
    assert (result.pseudo_labels_used, result.incomplete) == ({}, [UNFINISHED_PSEUDO_LABELS])
    assert not RunFolder(folder).has_pseudo_labels
    assert len(said) == 2
    assert "lines of pseudo-labels.jsonl were lost" in result.notes[0]
    assert (whole.incomplete, whole.notes) == ([], ())
    assert (folder / METRICS).read_bytes() == (straight / METRICS).read_bytes()
    weights = [checkpoint.load(each / checkpoint.FINAL)["algorithm"] for each in (straight, folder)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_files_that_are_removed_under_a_run(plan: Plan, tmp_path: Path) -> None:
    """What can be written again is; the records say that they are incomplete."""
    (folder,) = places(plan, tmp_path, "a")
    said, steps = list[str](), iter(range(100))

    def remove() -> bool:
        if next(steps) == 2:
            for path in folder.iterdir():
                path.unlink()
        return False

    result = run(plan, folder, ALWAYS, stopping=remove, warn=said.append)
    assert set(result.incomplete) == {METRICS, UNFINISHED_PSEUDO_LABELS}
    assert any("metrics.jsonl was changed or removed" in sentence for sentence in said)
    assert RunFolder(folder).exists
    assert len(RunFolder(folder).partition) == 6
    assert (
        json.loads((folder / METRICS).read_text().splitlines()[0])["step"] == 2
    )  # its own line was not yet written
