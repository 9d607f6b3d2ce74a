import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from ssl_video.errors import InputError
from ssl_video.runs import checkpoint, weight_file
from ssl_video.runs.checkpoint import CURRENT, FINAL, NEXT, PREVIOUS


def state(step: int) -> dict[str, Any]:
    """What a run saves, in small."""
    return {
        "algorithm": {"weight": torch.full((40,), float(step))},
        "spec": {"steps": 9},
        "classes": ["a", "b"],
        "num_unlabeled": 3,
        "step": step,
    }


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_two_checkpoints_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint.save(state(step), tmp_path)
    assert names(tmp_path) == {CURRENT, PREVIOUS}
    assert checkpoint.load(tmp_path / CURRENT)["step"] == 3
    assert checkpoint.load(tmp_path / PREVIOUS)["step"] == 2
    assert torch.equal(checkpoint.load(tmp_path / CURRENT)["algorithm"]["weight"], torch.full((40,), 3.0))


def test_nothing_there(tmp_path: Path) -> None:
    assert checkpoint.latest(tmp_path) == (None, [])
    with pytest.raises(InputError, match="there is no checkpoint"):
        checkpoint.load(tmp_path / CURRENT)


@pytest.mark.parametrize("error", [RuntimeError("disk full"), OSError("disk full"), KeyboardInterrupt()])
def test_an_error_while_writing_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    checkpoint.save(state(1), tmp_path)
    checkpoint.save(state(2), tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}

    def fail(state: Any, file: Any) -> None:
        file.write(b"half")
        raise error

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else InputError):
        checkpoint.save(state(3), tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


@pytest.mark.parametrize("renames_done", [0, 1, 2])
def test_killed_between_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames_done: int) -> None:
    """Wherever a run is killed while it saves step 3, a checkpoint of step 2 or 3 can be read."""
    checkpoint.save(state(1), tmp_path)
    checkpoint.save(state(2), tmp_path)
    rename, done = os.replace, list[None]()

    class Killed(BaseException):
        """So that nothing handles it, as nothing handles SIGKILL."""

    def replace(*paths: Any) -> None:
        if len(done) == renames_done:
            raise Killed
        done.append(rename(*paths))

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(Killed):
        checkpoint.save(state(3), tmp_path)
    monkeypatch.undo()
    found, damaged = checkpoint.latest(tmp_path)
    assert found is not None
    assert found["step"] == 2
    assert not damaged
    checkpoint.save(state(4), tmp_path)
    assert checkpoint.latest(tmp_path)[0]["step"] == 4  # type: ignore[index]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    checkpoint.save(state(1), tmp_path)
    checkpoint.save(state(2), tmp_path)
    (tmp_path / CURRENT).write_bytes((tmp_path / CURRENT).read_bytes()[:-300])
    found, damaged = checkpoint.latest(tmp_path)
    assert found is not None
    assert found["step"] == 1
    assert len(damaged) == 1
    assert str(tmp_path / CURRENT) in damaged[0]
    (tmp_path / PREVIOUS).write_bytes(b"")
    found, damaged = checkpoint.latest(tmp_path)
    assert found is None
    assert len(damaged) == 2


def test_a_checkpoint_cut_anywhere_is_an_error(tmp_path: Path) -> None:
    checkpoint.save(state(1), tmp_path)
    whole = (tmp_path / CURRENT).read_bytes()
    for length in range(0, len(whole), 61):
        (tmp_path / "cut.pt").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.pt is damaged or not a checkpoint: ."):
            checkpoint.load(tmp_path / "cut.pt")


def test_a_flipped_bit_is_an_error_or_harmless(tmp_path: Path) -> None:
    """torch.load itself does not look at checksums: most flips of weights would go unnoticed."""
    checkpoint.save(state(1), tmp_path)
    whole, refused = (tmp_path / CURRENT).read_bytes(), 0
    weights = whole.index(torch.full((40,), 1.0).numpy().tobytes())
    for place in [*range(0, len(whole), 41), weights, weights + 150]:
        flipped = bytearray(whole)
        flipped[place] ^= 16
        (tmp_path / "flipped.pt").write_bytes(flipped)
        try:
            found = checkpoint.load(tmp_path / "flipped.pt")
        except InputError:
            refused += 1
        else:
            assert place not in (weights, weights + 150)
            assert torch.equal(found.pop("algorithm")["weight"], torch.ones(40))
            assert found == {key: value for key, value in state(1).items() if key != "algorithm"}
    assert refused > 20


class Evil:
    """What an attacker puts into a pickle: code that runs when it is loaded."""

    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_checkpoint_with_code_is_refused(tmp_path: Path, form: str) -> None:
    evil = state(1) | {"extra": Evil(str(tmp_path / "owned"))}
    if form == "torch":
        torch.save(evil, tmp_path / CURRENT)
    else:
        (tmp_path / CURRENT).write_bytes(pickle.dumps(evil))
    with pytest.raises(InputError, match="not a checkpoint"):
        checkpoint.load(tmp_path / CURRENT)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [[1, 2], {"model": torch.zeros(2)}, state(1) | {"spec": None}])
def test_other_files_of_torch_are_refused(tmp_path: Path, content: Any) -> None:
    if isinstance(content, dict):
        content.pop("spec", None)
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"other\.pt is not a checkpoint of ssl-video"):
        checkpoint.load(tmp_path / "other.pt")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write a checkpoint to"):
        checkpoint.save(state(1), tmp_path / "file")


def test_clearing_leaves_the_final_checkpoint_alone(tmp_path: Path) -> None:
    checkpoint.save(state(1), tmp_path)
    checkpoint.save(state(2), tmp_path)
    weight_file.save(state(2), tmp_path / FINAL)
    (tmp_path / NEXT).touch()
    for name in (NEXT, "metrics.jsonl"):
        (tmp_path / f".{name}.123-456.part").touch()  # of a process that was killed while it wrote
    (tmp_path / "metrics.jsonl").touch()
    checkpoint.clear(tmp_path)
    assert names(tmp_path) == {FINAL, "metrics.jsonl"}


def test_the_random_state_comes_back() -> None:
    before = checkpoint.random_state()
    first = torch.rand(3)
    checkpoint.restore_random_state(before)
    assert torch.equal(torch.rand(3), first)


@pytest.mark.parametrize("name", [CURRENT, PREVIOUS, NEXT])
def test_a_folder_in_the_place_of_a_checkpoint_is_told(tmp_path: Path, name: str) -> None:
    """Before the training, not when the first checkpoint is written."""
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=rf"{name} is a folder, in the place of a checkpoint: remove"):
        checkpoint.latest(tmp_path)
