"""Index files: what is written is read, and what is not an index file is refused without a crash."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.input_errors import problems
from helpers.sources import FILES, ROWS, manifest, touch

from ssl_video.data.importers import index_file, read
from ssl_video.errors import InputError

GROUPED = [
    "path,label,group,split,split2,labeled",
    "a/1.mp4,A,x,train,test,1",
    "a/2.mp4,A,y,test,train,0",
    "b/1.mp4,B,x,train,train,0",
    "b/2.mp4,B,x,test,train,1",
    "b/3.mp4,B,z,,val,",
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    touch(tmp_path / "set", *FILES)
    index = read(manifest(tmp_path / "set", *GROUPED))
    index_file.write(index, tmp_path / "small.arrow")
    return tmp_path / "small.arrow"


def test_what_is_written_is_read(file: Path) -> None:
    index, written = read(file.parent / "set/manifest.csv"), read(file)
    assert (written.name, written.root, written.notes) == (index.name, index.root, index.notes)
    assert "1 source videos have clips in train and in test" in written.notes[1]
    assert written.ids.tolist() == index.ids.tolist()
    assert written.label.tolist() == index.label.tolist()
    assert written.classes == index.classes
    assert written.groups is not None
    assert written.groups.tolist() == ["x", "y", "x", "x", "z"]
    assert written.splits.tolist() == index.splits.tolist()
    assert {name: column.tolist() for name, column in written.columns.items()} == {
        "split2": ["test", "train", "train", "train", "val"],
        "labeled": ["1", "0", "0", "1", ""],
    }
    assert written.fingerprint == index.fingerprint
    assert list(written.paths) == list(index.paths)


def test_another_split_is_chosen_later(file: Path) -> None:
    index, other = read(file.parent / "set/manifest.csv", split="split2"), read(file, split="split2")
    assert other.splits.tolist() == index.splits.tolist() == ["test", "train", "train", "train", ""]
    assert other.fingerprint == index.fingerprint
    assert list(other.columns) == ["labeled"]
    # What the file says of its own split is not said of this one.
    assert any("in train and in test" in note for note in read(file).notes)
    assert other.notes == (
        "1 clip is neither train nor test: not used",
        "1 class has no test clip: 'B'",
    )
    assert "unknown split column 'split3'; did you mean split" in problems(read, file, split="split3")[0]
    assert "unknown split column 'label'" in problems(read, file, split="label")[0]
    assert "column 'labeled' has '0', '1'; expected train" in problems(read, file, split="labeled")[0]


def test_another_split_may_have_no_test_clip(tmp_path: Path) -> None:
    touch(tmp_path, *FILES[:4])
    rows = [
        f"{name},{name[0]},{part},train" for name, part in zip(FILES, ("train", "test") * 2, strict=False)
    ]
    index_file.write(read(manifest(tmp_path, "path,label,split,all", *rows)), tmp_path / "x.arrow")
    everything = read(tmp_path / "x.arrow", split="all")
    assert everything.splits.tolist() == ["train"] * 4
    (note,) = everything.notes
    assert note.startswith("there is no test clip: runs have no accuracy (--folds 5")


def test_the_root_moves_with_the_file_or_is_given(file: Path, tmp_path: Path) -> None:
    shutil.move(tmp_path / "set", tmp_path / "elsewhere/set")
    shutil.move(file, tmp_path / "elsewhere/small.arrow")
    moved = tmp_path / "elsewhere/small.arrow"
    assert read(moved).paths[0] == str(tmp_path / "elsewhere/set/a/1.mp4")
    assert read(moved, root=tmp_path).paths[0] == str(tmp_path / "a/1.mp4")


def test_pandas_reads_it(file: Path) -> None:
    table = pd.read_feather(file)
    assert table["id"].tolist() == list(FILES)
    assert table["label"].tolist() == ["A", "A", "B", "B", "B"]


def change(file: Path, columns: dict[str, pa.Array] | None = None, **facts: object) -> None:
    """Write the file anew with other columns (None: without one) or other metadata."""
    with pa.memory_map(str(file)) as source:
        batch = pa.ipc.open_file(source).read_all().to_batches()[0]
    kept = dict(zip(batch.schema.names, batch.columns, strict=True)) | (columns or {})
    kept = {name: values for name, values in kept.items() if values is not None}
    metadata = json.dumps(json.loads(batch.schema.metadata[b"ssl-video"]) | facts)
    table = pa.table(kept).replace_schema_metadata({"ssl-video": metadata}).combine_chunks()
    content = pa.BufferOutputStream()
    with pa.ipc.new_file(content, table.schema) as writer:
        writer.write_table(table)
    file.write_bytes(content.getvalue().to_pybytes())


def coded(codes: list[int | None], names: list[str | None]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int64()), pa.array(names, pa.large_string()))


def test_a_file_written_anew_in_the_same_way_is_one(file: Path) -> None:
    change(file)
    assert len(read(file)) == 5


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"id": None}, "id"),
        ({"label": None}, "label"),
        ({"split": None}, "split"),
        ({"id": pa.array(range(5))}, "column 'id' is int64"),
        ({"id": pa.array([*FILES[:4], None], pa.large_string())}, "column 'id'"),
        ({"id": pa.array(FILES[::-1], pa.large_string())}, "not in order"),
        ({"id": pa.array([*FILES[:4], FILES[3]], pa.large_string())}, "not in order"),
        ({"label": pa.array(["A"] * 5)}, "column 'label' is string"),
        ({"label": coded([0, 0, 1, 1, 0], ["B", "A"])}, "not in order"),
        ({"label": coded([0, 0, 1, 1, None], ["A", "B"])}, "none missing"),
        ({"label": coded([0, 0, 1, 1, 1], ["A", None])}, "has values that are missing"),
        ({"label": pa.array(["A", "A", "B", "B", "B"]).dictionary_encode()}, "indices=int32"),
        ({"split": coded([0, 0, 1, 1, 1], ["train", "test"])}, "'split' has other names"),
        ({"more": pa.array([1.5] * 5)}, "column 'more' is double"),
    ],
)
def test_columns_that_no_index_has(file: Path, columns: dict[str, pa.Array], expected: str) -> None:
    change(file, columns)
    [problem] = problems(read, file)
    assert f"{file} is not an index file (" in problem
    assert expected in problem


@pytest.mark.parametrize(
    "facts",
    [
        {"format": 2},
        {"name": 3},
        {"root": None},
        {"root": "a\0b"},
        {"notes": "text"},
        {"notes": [1]},
        {"of_split": {}},
    ],
)
def test_metadata_that_no_index_has(file: Path, facts: dict[str, object]) -> None:
    change(file, **facts)
    assert "is not an index file" in problems(read, file)[0]


def test_an_index_without_clips_is_none(file: Path) -> None:
    with pa.memory_map(str(file)) as source:
        table = pa.ipc.open_file(source).read_all()
    for content in (table[:0], table):
        out = pa.BufferOutputStream()
        with pa.ipc.new_file(out, content.schema) as writer:
            for batch in content[:0].to_batches():
                writer.write_batch(batch)
        file.write_bytes(out.getvalue().to_pybytes())
        assert "is not an index file" in problems(read, file)[0]


def test_damaged_files_are_read_or_refused(file: Path) -> None:
    content, generator = file.read_bytes(), np.random.default_rng(0)
    refused = 0
    for number in range(400):
        damaged = bytearray(content)
        if number % 4 == 0:
            damaged = damaged[: generator.integers(len(content))]
        elif number % 4 == 1:
            damaged[(start := generator.integers(len(content))) : start + 64] = bytes(64)
        else:
            for _ in range(generator.integers(1, 4)):
                damaged[generator.integers(len(content))] ^= 1 << generator.integers(8)
        file.write_bytes(damaged)
        try:
            index = read(file)
        except InputError:
            refused += 1
            continue
        # Whatever was taken can be used, without a look outside the file.
        assert len(index.ids.tolist()) == len(index.label.tolist()) == len(index.splits.tolist()) == 5
        assert len(index.fingerprint) == 12
    assert refused > 100


def test_ids_that_lead_out_are_refused_when_used(file: Path) -> None:
    change(file, {"id": pa.array(["../1.mp4", *FILES[1:]], pa.large_string())})
    index = read(file)
    assert index.paths[1].endswith("set/a/2.mp4")
    with pytest.raises(InputError, match="does not lie in"):
        index.paths[0]


def test_what_cannot_be_written(file: Path, tmp_path: Path) -> None:
    assert "cannot write" in problems(index_file.write, read(file), tmp_path / "no/such.arrow")[0]


def test_manifests_are_no_index_files(tmp_path: Path) -> None:
    path = manifest(tmp_path, *ROWS, name="manifest.arrow")
    assert (
        "is not an index file (Not an Arrow file): make one with ssl-video data index"
        in problems(read, path)[0]
    )
