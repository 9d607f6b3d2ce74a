"""Data: from the user's video files to training batches.

The names below are public, `ssl_video.data.NAME`: index files, unusable videos, the cache of decoded frames,
and partitions into labeled and unlabeled clips. They are loaded on first use. A data set is opened for
training by `ssl_video.load_data`.
"""

from typing import TYPE_CHECKING

from ssl_video import lazy as _lazy

if TYPE_CHECKING:  # `as` says that a name is public
    from ssl_video.data.caching import CacheContents as CacheContents
    from ssl_video.data.caching import Filled as Filled
    from ssl_video.data.caching import StoredFeatures as StoredFeatures
    from ssl_video.data.caching import StoredFrames as StoredFrames
    from ssl_video.data.caching import cache_contents as cache_contents
    from ssl_video.data.caching import cache_size as cache_size
    from ssl_video.data.caching import clear_cache as clear_cache
    from ssl_video.data.caching import clear_features as clear_features
    from ssl_video.data.caching import feature_sets as feature_sets
    from ssl_video.data.caching import fill_cache as fill_cache
    from ssl_video.data.diagnosis import ClassLoss as ClassLoss
    from ssl_video.data.diagnosis import Diagnosis as Diagnosis
    from ssl_video.data.diagnosis import doctor as doctor
    from ssl_video.data.indexing import IndexFile as IndexFile
    from ssl_video.data.indexing import PartSize as PartSize
    from ssl_video.data.indexing import make_index as make_index
    from ssl_video.data.label_conversion import ConvertedLabels as ConvertedLabels
    from ssl_video.data.label_conversion import convert_labels as convert_labels
    from ssl_video.data.partitioning import DataPartition as DataPartition
    from ssl_video.data.partitioning import ListedClips as ListedClips
    from ssl_video.data.partitioning import PartitionComparison as PartitionComparison
    from ssl_video.data.partitioning import compare_partitions as compare_partitions
    from ssl_video.data.partitioning import find_published as find_published
    from ssl_video.data.partitioning import list_published as list_published
    from ssl_video.data.partitioning import make_partition as make_partition
    from ssl_video.data.partitioning import read_partition as read_partition
    from ssl_video.data.partitions.published import PublishedProtocol as PublishedProtocol
    from ssl_video.data.partitions.summary import ClipComparison as ClipComparison
    from ssl_video.data.partitions.summary import Clips as Clips
    from ssl_video.data.partitions.summary import Spread as Spread

# Where each public name is defined.
_HOME = {
    "CacheContents": "data.caching",
    "ClassLoss": "data.diagnosis",
    "Clips": "data.partitions.summary",
    "ClipComparison": "data.partitions.summary",
    "ConvertedLabels": "data.label_conversion",
    "DataPartition": "data.partitioning",
    "Diagnosis": "data.diagnosis",
    "Filled": "data.caching",
    "IndexFile": "data.indexing",
    "ListedClips": "data.partitioning",
    "PartSize": "data.indexing",
    "PartitionComparison": "data.partitioning",
    "PublishedProtocol": "data.partitions.published",
    "Spread": "data.partitions.summary",
    "StoredFeatures": "data.caching",
    "StoredFrames": "data.caching",
    "cache_contents": "data.caching",
    "cache_size": "data.caching",
    "clear_cache": "data.caching",
    "clear_features": "data.caching",
    "compare_partitions": "data.partitioning",
    "convert_labels": "data.label_conversion",
    "doctor": "data.diagnosis",
    "feature_sets": "data.caching",
    "fill_cache": "data.caching",
    "find_published": "data.partitioning",
    "list_published": "data.partitioning",
    "make_index": "data.indexing",
    "make_partition": "data.partitioning",
    "read_partition": "data.partitioning",
}
__all__ = list(_HOME)

if not TYPE_CHECKING:
    __getattr__, __dir__ = _lazy.names(__name__, _HOME)
