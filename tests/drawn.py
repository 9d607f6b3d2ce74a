"""What tests of partitions ask of them."""

import pytest

from ssl_video.data.index import Index
from ssl_video.data.partitions import partition
from ssl_video.data.partitions.partition import Partition
from ssl_video.errors import InputError


def labeled(index: Index, part: Partition) -> set[str]:
    """Ids of the labeled clips."""
    return set(index.ids[part.labeled])


def problem(index: Index, protocol: str) -> str:
    """Why a protocol cannot be drawn; looking at it first gives the same reasons."""
    with pytest.raises(InputError) as caught:
        partition.make(index, protocol)
    assert partition.check(protocol, index) == list(caught.value.problems)
    return "\n".join(caught.value.problems)
