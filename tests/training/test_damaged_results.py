"""A finished run whose result is damaged or of another run: carried out again, and nothing is lost."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.resumed import ALWAYS, ONCE, assert_equal, outcome, places

from ssl_video.benchmarks.running import run_queue
from ssl_video.runs.folder import CHECKPOINT, RESULT, RunFolder
from ssl_video.training.run import Plan, Stopped, run

# Files that are written at the start, or by another part than the run.
OTHERS = {"spec.yaml", "partition.txt"}
Damage = Callable[[Path, Path], object]


def cut(result: Path, _: Path) -> None:
    result.write_bytes(result.read_bytes()[:-20])


def edited(result: Path, _: Path) -> None:
    result.write_text(result.read_text().replace('"steps": 6', '"steps": 7'))


def of_another_run(result: Path, other: Path) -> None:
    shutil.copy(other, result)


@pytest.fixture
def plans(make_plan: Callable[..., Plan], plugin: str) -> tuple[Plan, Plan]:
    plans = [make_plan(algorithm=plugin, seed=seed, validation=1) for seed in (0, 1)]
    return plans[0], plans[1]


@pytest.fixture
def finished(plans: tuple[Plan, Plan], tmp_path: Path) -> tuple[Path, Path]:
    """The folders of two finished runs of one results folder."""
    folders = [places(plan, tmp_path, "results")[0] for plan in plans]
    for plan, folder in zip(plans, folders, strict=True):
        run(plan, folder, ONCE)
    return folders[0], folders[1]


@pytest.mark.parametrize("damage", [cut, edited, of_another_run])
def test_its_files_are_kept_and_the_run_is_repeated(
    plans: tuple[Plan, Plan], finished: tuple[Path, Path], damage: Damage
) -> None:
    plan, (folder, other) = plans[0], finished
    expected = outcome(plan, folder)
    for name in ("damaged", "damaged-1"):
        damage(folder / RESULT, other / RESULT)
        before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        assert run_queue.finished(RunFolder(folder).results, plan) is None
        said = list[str]()
        run(plan, folder, ONCE, warn=said.append)
        kept = {path.name: path.read_bytes() for path in (folder / name).iterdir()}
        assert kept == {file: before[file] for file in before.keys() - OTHERS}
        assert said == [
            f"{folder / RESULT} is damaged or belongs to another run: it is kept in {folder / name}, and "
            "the run is trained again"
        ]
        expected["files"] = sorted([*expected["files"], name])
        assert_equal(outcome(plan, folder), expected)


def test_a_result_beside_a_checkpoint_costs_no_training(plans: tuple[Plan, Plan], tmp_path: Path) -> None:
    """As after a kill between the result and the removal of the checkpoint."""
    plan = plans[0]
    (folder,) = places(plan, tmp_path, "a")
    answers = iter([False] * 4 + [True])
    with pytest.raises(Stopped):
        run(plan, folder, ALWAYS, stopping=lambda: next(answers))
    (folder / RESULT).write_text("{")
    said, steps = list[str](), list[int]()
    run(plan, folder, ONCE, warn=said.append, report=lambda progress: steps.append(progress.done))
    assert steps[0] == 6  # of 6: it went on behind step 5
    assert said[0].endswith("and the run resumes from its checkpoint")
    assert [path.name for path in (folder / "damaged").iterdir()] == [RESULT]
    assert not (folder / CHECKPOINT).exists()


def test_a_checkpoint_that_cannot_be_used_keeps_the_files_no_less(
    plans: tuple[Plan, Plan], finished: tuple[Path, Path]
) -> None:
    """The run is trained again, which would replace them."""
    plan, (folder, _) = plans[0], finished
    names = {path.name for path in folder.iterdir()} - OTHERS
    cut(folder / RESULT, folder)
    (folder / CHECKPOINT).write_bytes(b"PK")
    said = list[str]()
    run(plan, folder, ONCE, warn=said.append)
    assert said[0].endswith("and the run is trained again")
    assert {path.name for path in (folder / "damaged").iterdir()} == names


def test_moving_that_was_cut_short_is_completed(
    plans: tuple[Plan, Plan], finished: tuple[Path, Path]
) -> None:
    plan, (folder, _) = plans[0], finished
    cut(folder / RESULT, folder)
    names = {path.name for path in folder.iterdir()} - OTHERS
    (folder / "damaged").mkdir()
    (folder / "final.safetensors").rename(folder / "damaged" / "final.safetensors")
    run(plan, folder, ONCE)
    assert {path.name for path in (folder / "damaged").iterdir()} == names
