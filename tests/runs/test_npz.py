"""Arrays of a run's folder: any damage is an InputError that names the file, or changes nothing."""

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from helpers.damaged import FEW, damages
from hypothesis import given

from ssl_video.errors import InputError
from ssl_video.runs import fold_logits, npz, predictions, pseudo_labels
from ssl_video.runs.folder import FOLD_LOGITS, PREDICTIONS, PSEUDO_LABELS

CLIPS, CLASSES = np.array(["a", "b", "c"]), np.array(["x", "y"])
LABELS = np.array([0, 1, 1], np.int32)
SCORES = {"model": np.array([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]])}
LOGITS = {"model": np.arange(12, dtype=np.float32).reshape(3, 2, 2)}


def arrays_of(kind: str) -> dict[str, np.ndarray]:
    """The arrays of a whole file."""
    if kind == PREDICTIONS:
        made = predictions.predictions(CLIPS.tolist(), CLASSES.tolist(), LABELS, SCORES)
        named = {"guesses/model": made.guesses["model"], "confidences/model": made.confidences["model"]}
        return {"clips": CLIPS, "classes": CLASSES, "labels": LABELS, **named}
    if kind == FOLD_LOGITS:
        names = {"clips": CLIPS, "classes": CLASSES, "labels": LABELS, "folds": LABELS}
        return {**names, "logits/model": LOGITS["model"]}
    entries = {"steps": np.arange(2), "indices": np.array([2, 0]), "labels/model": np.array([1, -1])}
    weights = {"weights/model": np.array([1, 0], np.float32)}
    return {"clips": CLIPS, "classes": CLASSES, "truths": LABELS, **entries, **weights}


READERS: Mapping[str, Callable[[Path], object]] = {
    PREDICTIONS: predictions.read,
    FOLD_LOGITS: fold_logits.read,
    PSEUDO_LABELS: pseudo_labels.read,
}


@pytest.mark.parametrize("kind", READERS)
def test_damage_is_told_or_changes_nothing(kind: str, tmp_path: Path) -> None:
    path = tmp_path / kind
    npz.save(path, arrays_of(kind), "run")
    whole, expected = path.read_bytes(), repr(READERS[kind](tmp_path))

    @FEW
    @given(content=damages(whole))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            found = repr(READERS[kind](tmp_path))
        except InputError as error:
            found = expected if str(path) in str(error) else str(error)
        assert found == expected

    check()


def _member(header: bytes, content: bytes = b"") -> bytes:
    """An archive with one array, of which the header is given."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "clips.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content
        )
    return file.getvalue()


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<i4', 'fortran_order': False, 'shape': (10000000000000,)}\n",
        b"{'descr': '<i4', 'fortran_order': False, 'shape': (-1, -4)}\n",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n",
        b"{'descr': '<i4', 'fortran_order': False, 'shape': (1,\n",
        b"{'descr': " + b"(" * 900 + b"\n",
    ],
)
def test_headers_that_are_forged(header: bytes, tmp_path: Path) -> None:
    """Not one of them takes the memory that it asks for, or runs a pickle."""
    (tmp_path / PREDICTIONS).write_bytes(_member(header, bytes(4)))
    with pytest.raises(InputError, match=r"predictions\.npz is damaged"):
        predictions.read(tmp_path)


def test_a_member_that_states_more_than_can_be_packed(tmp_path: Path) -> None:
    content = _member(b"{'descr': '<i4', 'fortran_order': False, 'shape': (1,)}\n", bytes(4))
    at = content.index(b"PK\x01\x02") + 24  # the size in the directory at the end of the archive
    (tmp_path / PREDICTIONS).write_bytes(content[:at] + (2**31).to_bytes(4, "little") + content[at + 4 :])
    with pytest.raises(InputError, match="cannot have 2147483648 bytes"):
        predictions.read(tmp_path)


def test_a_compression_that_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / PREDICTIONS
    npz.save(path, arrays_of(PREDICTIONS))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 10] = 99
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"predictions\.npz is damaged"):
        predictions.read(tmp_path)


# By kind: an array, and content that does not belong there.
WRONG = [
    (PREDICTIONS, "labels", np.array([0, 1, 2])),
    (PREDICTIONS, "labels", np.array([0, 1])),
    (PREDICTIONS, "labels", np.array([0.0, 1.0, 1.0])),
    (PREDICTIONS, "classes", np.array([1, 2])),
    (PREDICTIONS, "guesses/model", np.array([[0, 5], [0, 1], [1, 0]])),
    (PREDICTIONS, "guesses/model", np.array([[0], [0], [1]])),
    (PREDICTIONS, "guesses/other", np.array([[0], [0], [1]])),
    (PREDICTIONS, "confidences/model", np.full((3, 2), np.nan)),
    (PREDICTIONS, "confidences/model", np.full((3, 2), 1.5)),
    (FOLD_LOGITS, "folds", np.array([-1, 0, 0])),
    (FOLD_LOGITS, "logits/model", np.zeros((3, 2, 5), np.float32)),
    (FOLD_LOGITS, "logits/model", np.full((3, 2, 2), np.inf)),
    (PSEUDO_LABELS, "truths", np.array([0, 1, 2])),
    (PSEUDO_LABELS, "indices", np.array([0, 3])),
    (PSEUDO_LABELS, "indices", np.array([0])),
    (PSEUDO_LABELS, "labels/model", np.array([0, 2])),
    (PSEUDO_LABELS, "labels/other", np.array([0, 1])),
    (PSEUDO_LABELS, "weights/model", np.array([0.5, -1])),
]


@pytest.mark.parametrize(("kind", "name", "wrong"), WRONG)
def test_content_that_does_not_belong_there(kind: str, name: str, wrong: np.ndarray, tmp_path: Path) -> None:
    npz.save(tmp_path / kind, arrays_of(kind))
    READERS[kind](tmp_path)
    npz.save(tmp_path / kind, arrays_of(kind) | {name: wrong})
    with pytest.raises(InputError, match=f"{kind} is damaged: "):
        READERS[kind](tmp_path)


@pytest.mark.parametrize("kind", READERS)
def test_an_array_that_is_missing(kind: str, tmp_path: Path) -> None:
    for name in arrays_of(kind):
        npz.save(tmp_path / kind, {n: array for n, array in arrays_of(kind).items() if n != name})
        with pytest.raises(InputError, match=f"{kind} is damaged: "):
            READERS[kind](tmp_path)
