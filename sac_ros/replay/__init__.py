# Copyright 2026 sac_ros maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

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
