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

"""Fill a disk until a writer refuses, make room, and go on: DISK."""

import sys
from pathlib import Path

import numpy as np
from replay_values import SMALL, assert_rows, fill, make_spec, transition

from sac_ros.errors import ReplayError
from sac_ros.replay import ReplayReader, ReplayWriter

disk = Path(sys.argv[1])
ballast = disk / 'ballast'
ballast.write_bytes(bytes(400_000))
writer = ReplayWriter(disk / 'r', make_spec(), segment_records=SMALL)
i = 0
try:
    while True:
        writer.append(transition(i), truncated=False)
        i += 1
except ReplayError as error:
    assert 'No space left' in str(error), error
    assert i and i % SMALL == 0, i
assert_rows(ReplayReader(disk / 'r'), np.arange(i))
ballast.unlink()
fill(writer, i, i + SMALL)
writer.close()
assert_rows(ReplayReader(disk / 'r'), np.arange(i + SMALL))
print('went on')
