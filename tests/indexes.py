"""Indexes for tests, without files."""

from collections.abc import Sequence

import pyarrow as pa

from ssl_video.data.columns import Category, Strings
from ssl_video.data.index import PARTS, Index


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
