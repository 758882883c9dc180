"""A replay buffer on disk that outlives crashes: one writing process, any number of readers.

A directory of segment files of packed records (format) is seen as one matrix (map), so that
sampling is one gather (records). Appending is one write call (writer).
"""

from sac_ros.replay.format import Source
from sac_ros.replay.reader import ReplayReader
from sac_ros.replay.records import Records
from sac_ros.replay.sampling import Mixture, NStep, RecordSampler, Sampler, Selection
from sac_ros.replay.writer import ReplayWriter

__all__ = [
    'Mixture',
    'NStep',
    'RecordSampler',
    'Records',
    'ReplayReader',
    'ReplayWriter',
    'Sampler',
    'Selection',
    'Source',
]
