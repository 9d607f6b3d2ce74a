"""The script that measures indexes, and what it is to show: workers do not pay for rows."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from ssl_video.benchmarks.speed import index_scale
from ssl_video.data.importers import read


def test_the_made_up_manifest_is_one(tmp_path: Path) -> None:
    index_scale.write_manifest(tmp_path / "m.csv", 16_000)
    index_scale.index(tmp_path / "m.csv", check=False)
    index = read(tmp_path / "m.arrow")
    assert (len(index), len(index.classes)) == (16_000, 400)
    assert index.groups is not None
    assert set(np.bincount(index.groups.codes).tolist()) == {4}
    # Every fifth source video of a class is for test: 2 of 10, of 4 clips each.
    assert set(index.counts("test").tolist()) == {8}
    assert not index.notes


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_worker_shares_the_index(tmp_path: Path) -> None:
    index_scale.write_manifest(tmp_path / "m.csv", 400_000)
    index_scale.index(tmp_path / "m.csv", check=False)
    index, small = read(tmp_path / "m.arrow"), index_scale.small_index(tmp_path)
    # 400,000 rows hold 16 MB of names and 10 MB of codes.
    assert index.ids.values.nbytes > 15e6
    _, own = index_scale.apart(index_scale.work, pickle.dumps(read(small)), pickle.dumps(index))
    assert own < 2
