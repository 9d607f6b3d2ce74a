"""The doctor names each damaged file of a run's folder, and changes nothing."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.damaged import FEW, damages
from helpers.resumed import ALWAYS, ONCE, places
from hypothesis import given
from hypothesis import strategies as st

from ssl_video.checkup import check_storage
from ssl_video.errors import InputError
from ssl_video.runs import checkpoint
from ssl_video.runs.checkup import check
from ssl_video.runs.folder import RunFolder
from ssl_video.runs.identity import same_settings
from ssl_video.runs.result import Result
from ssl_video.spec import plain
from ssl_video.training.run import Plan, Stopped, run

# Text that people read, and the lock.
UNCHECKED = {"log.txt", "left-out.txt", ".lock", ".machine"}


@pytest.fixture
def plans(make_plan: Callable[..., Plan], plugin: str) -> list[Plan]:
    return [make_plan(algorithm=plugin, seed=seed, steps=4, validation=1) for seed in (0, 1)]


def stopped(plan: Plan, folder: Path) -> None:
    answers = iter([False] * 2 + [True])
    with pytest.raises(Stopped):
        run(plan, folder, ALWAYS, stopping=lambda: next(answers))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("finished", [True, False])
def test_each_damaged_file_is_named(plans: list[Plan], tmp_path: Path, finished: bool) -> None:
    """Also one of another run, and one that was removed."""
    folders = [places(plan, tmp_path, "results")[0] for plan in plans]
    for plan, folder in zip(plans, folders, strict=True):
        if finished:
            run(plan, folder, ONCE)
        else:
            stopped(plan, folder)
    folder, other = folders
    assert list(check(RunFolder(folder))) == []
    whole = content(folder)
    # The partition of an unfinished run is written again when it goes on, and only its clips are checked.
    names = sorted(whole.keys() - UNCHECKED - (set() if finished else {"partition.txt"}))
    assert len(names) >= 5

    @FEW
    @given(data=st.data())
    def look(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(names))
        kind = data.draw(st.sampled_from(["damaged", "foreign", "removed"]))
        if kind == "foreign" and (other / name).read_bytes() != whole[name]:
            shutil.copy(other / name, folder / name)
        elif kind == "removed":
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(data.draw(damages(whole[name])))
        before = content(folder)
        try:
            found = [finding.path for finding in check(RunFolder(folder))]
            assert content(folder) == before
            assert found == ([folder / name] if matters(kind, name, finished, folder, whole) else [])
        finally:
            (folder / name).write_bytes(whole[name])

    look()


def matters(kind: str, name: str, finished: bool, folder: Path, whole: dict[str, bytes]) -> bool:
    """Return whether a damage has a consequence."""
    if name == "spec.yaml":
        try:
            found = RunFolder(folder).spec
        except InputError:
            return True
        (folder / name).write_bytes(whole[name])
        # Data may lie elsewhere; that it is the same is known by its content.
        return finished and not same_settings(plain(found), plain(RunFolder(folder).spec))
    if kind == "removed":
        # Without a result, a run is not finished; without one of its checkpoints, it has the other.
        return name not in ("result.json", "checkpoint.pt", "checkpoint-previous.pt")
    if name.endswith(".jsonl") and not finished:
        return not (folder / name).read_bytes().startswith(whole[name])
    return (reader := VALUES.get(Path(name).suffix)) is None or differs(reader, folder / name, whole[name])


def differs(reader: Callable[[Path], bytes], path: Path, whole: bytes) -> bool:
    """Return whether a file has other values than it had, or none that can be read."""
    try:
        found = reader(path)
    except (InputError, ValueError):
        return True
    path.write_bytes(whole)
    return found != reader(path)


def state(path: Path) -> bytes:
    content = io.BytesIO()
    torch.save(checkpoint.load(path), content)
    return content.getvalue()


# Blanks of JSON and the dates in an archive are no values.
VALUES: dict[str, Callable[[Path], bytes]] = {
    ".json": lambda path: Result.read(path.read_bytes()).write().encode(),
    ".pt": state,
}


def test_the_consequence_is_told(plans: list[Plan], tmp_path: Path) -> None:
    plan = plans[0]
    (folder,) = places(plan, tmp_path, "results")
    stopped(plan, folder)
    kept = content(folder)

    def told() -> list[str]:
        return [f"{found.path.name}: {found.remedy}" for found in check(RunFolder(folder))]

    (folder / "partition.txt").write_text(kept["partition.txt"].decode().replace(",labeled", ",unused"))
    assert told() == ["partition.txt: it is written again when the command of the run is repeated"]
    (folder / "partition.txt").write_bytes(kept["partition.txt"])
    (folder / "checkpoint.pt").write_bytes(b"PK")
    assert told() == ["checkpoint.pt: the run resumes from the other checkpoint"]
    (folder / "checkpoint-previous.pt").write_bytes(b"PK")
    assert told()[1:] == ["checkpoint-previous.pt: the run starts from scratch"]
    (folder / "checkpoint.pt").write_bytes(kept["checkpoint.pt"])
    (folder / "checkpoint-previous.pt").write_bytes(kept["checkpoint-previous.pt"])
    (folder / "result.json").write_text("{")
    assert told() == ["result.json: the run is left out of tables; its command resumes from the checkpoint"]
    for name in ("checkpoint.pt", "checkpoint-previous.pt"):
        (folder / name).unlink()
    assert told()[0].startswith("result.json: the run is left out of tables; its command trains it again")
    run(plan, folder, ONCE)
    (folder / "final.safetensors").write_bytes(b"")
    (folder / "dynamics.json").write_text("{")
    assert [text.partition(":")[0] for text in told()] == ["final.safetensors", "dynamics.json"]


def test_folders_that_are_none_of_a_run(plans: list[Plan], tmp_path: Path) -> None:
    """Foreign ones are left alone; one that lost its specification is told."""
    (folder,) = places(plans[0], tmp_path, "results")
    stopped(plans[0], folder)
    for name in ("empty", "foreign"):
        (folder.parent / name).mkdir()
    (folder.parent / "foreign" / "notes.txt").write_text("mine")
    (folder.parent / "file").write_text("mine")
    found = check_storage(tmp_path / "results", tmp_path, progress=False)
    assert (found.runs, list(found.findings)) == (3, [])
    (folder / "spec.yaml").unlink()
    (finding,) = check_storage(tmp_path / "results", tmp_path, progress=False).findings
    assert (finding.path, finding.reason) == (folder / "spec.yaml", "it is missing")
    frame = check_storage(tmp_path / "results", tmp_path, progress=False).to_frame()
    assert frame["path"].tolist() == [str(folder / "spec.yaml")]


def test_what_is_no_results_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a results folder: .* `ssl-video data doctor` checks"):
        check_storage(tmp_path, progress=False)
    with pytest.raises(InputError, match="there is no cache folder"):
        check_storage(None, tmp_path / "nowhere", progress=False)
    assert check_storage(None, tmp_path, progress=False).cached == 0
