"""Build indexes without files, and inspect the partitions drawn from them."""

from collections.abc import Sequence

import pyarrow as pa
import pytest

from ssl_video.data.columns import Category, Strings
from ssl_video.data.index import PARTS, Index
from ssl_video.data.partitions import partition
from ssl_video.data.partitions.partition import Partition
from ssl_video.errors import InputError


def make_index(
    ids: Sequence[str],
    splits: Sequence[str] | None = None,
    *,
    labels: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    **columns: Sequence[str],
) -> Index:
    """An index of clips (sorted by id) whose class is their first folder, all for training unless said."""
    assert list(ids) == sorted(ids)
    return Index(
        name="small",
        root="/data",
        ids=Strings(pa.array(ids)),
        label=Category.of(labels or [name.split("/")[0] for name in ids]),
        groups=Category.of(groups) if groups else None,
        splits=Category.of(splits or ["train"] * len(ids), PARTS),
        columns={name: Category.of(values) for name, values in columns.items()},
        notes=(),
    )


def labeled(index: Index, part: Partition) -> set[str]:
    """Return the ids of the labeled clips."""
    return set(index.ids[part.labeled])


def problem(index: Index, protocol: str) -> str:
    """Return why a protocol cannot be drawn; checking it beforehand gives the same reasons."""
    with pytest.raises(InputError) as caught:
        partition.make(index, protocol)
    assert partition.check(protocol, index) == list(caught.value.problems)
    return "\n".join(caught.value.problems)
