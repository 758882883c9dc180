"""A replay buffer on disk that outlives crashes: one writing process, any number of readers.

A directory of segment files of packed records (format) is seen as one matrix (map), so that
sampling is one gather (records). Appending is one write call (writer).
"""

from sac_ros.replay.format import DataSource
from sac_ros.replay.reader import ReplayReader
from sac_ros.replay.records import Records
from sac_ros.replay.sampling import MixedSampler, NStep, RecordSampler, Sampler, SourceSampler
from sac_ros.replay.writer import ReplayWriter

__all__ = [
    'DataSource',
    'MixedSampler',
    'NStep',
    'RecordSampler',
    'Records',
    'ReplayReader',
    'ReplayWriter',
    'Sampler',
    'SourceSampler',
]
