"""A full disk: a run tells it in a sentence, loses nothing, and resumes once there is room."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.resumed import ALWAYS, assert_equal, outcome, places
from helpers.small_disk import fill, small_disk

from ssl_video.errors import InputError
from ssl_video.runs import checkpoint
from ssl_video.training.run import Plan, run


@pytest.fixture
def made(make_plan: Callable[..., Plan], plugin: str) -> Plan:
    return make_plan(algorithm=plugin, steps=4, validation=1)


@pytest.mark.slow
def test_a_run_meets_the_end_of_a_full_disk_anywhere(made: Plan, tmp_path: Path) -> None:
    """With little room its folder cannot be made; with more, its checkpoints, records, arrays or result."""
    (straight,) = places(made, tmp_path, "straight")
    run(made, straight, ALWAYS)
    expected, told = outcome(made, straight), set[str]()
    with small_disk(tmp_path / "disk"):
        room = 0
        while "finished" not in told:
            (folder,) = places(made, tmp_path / "disk", f"with-{room}")
            other = fill(tmp_path / "disk", room)
            try:
                run(made, folder, ALWAYS)
                told.add("finished")
            except InputError as error:
                told.add(str(error).replace(str(folder), "FOLDER"))
            assert list(folder.glob(".*.part")) == []
            if (folder / checkpoint.CURRENT).exists():
                checkpoint.load(folder / checkpoint.CURRENT)
            other.unlink()
            run(made, folder, ALWAYS)
            assert_equal(outcome(made, folder), expected)
            for path in folder.iterdir():
                path.unlink()
            room += 3 * 4096
    told.remove("finished")
    assert all("No space left on device" in sentence and "\n" not in sentence for sentence in told)
    for beginning in ("cannot write to FOLDER", "cannot write a checkpoint to FOLDER"):
        assert any(sentence.startswith(beginning) for sentence in told), told
