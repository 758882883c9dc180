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

"""Write into the holes of a sparse copy on a full disk: DISK SOURCE."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from replay_values import SMALL, assert_rows, fill, make_spec, transition

from sac_ros.errors import ReplayError
from sac_ros.replay import ReplayReader, ReplayWriter

disk, source = map(Path, sys.argv[1:])
size = 100 * SMALL
with ReplayWriter(source, make_spec(), segment_records=size) as writer:
    fill(writer, 0, 50)
subprocess.run(['cp', '-r', '--sparse=always', source, disk / 'r'], check=True)
segment = disk / 'r/0000000000.seg'
assert 512 * segment.stat().st_blocks < segment.stat().st_size == size * 128
free = os.statvfs(disk).f_bavail * 4096
(disk / 'ballast').write_bytes(bytes(free))
reader = ReplayReader(disk / 'r')
assert reader.refresh() == 0
assert_rows(reader, np.arange(50))
writer = ReplayWriter(disk / 'r', make_spec())
try:
    writer.append(transition(50), truncated=False)
    raise AssertionError('it found space on a full disk')
except ReplayError as error:
    assert 'No space left' in str(error), error
(disk / 'ballast').unlink()
fill(writer, 50, size)
assert_rows(writer, np.arange(size))
assert reader.refresh() == size - 50
assert_rows(reader, np.arange(size))
writer.close()
print('went on')
