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

"""Records of TensorBoard event files."""

import struct

from tensorboardX.crc32c import crc32c


def records(path):
    """Yield the messages of an event file, their checksums checked."""
    content, place = path.read_bytes(), 0
    while place < len(content):
        (length,) = struct.unpack_from('<Q', content, place)
        for start, size in ((place, 8), (place + 12, length)):
            crc = crc32c(content[start : start + size])
            masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
            assert struct.unpack_from('<I', content, start + size) == (masked,)
        yield content[place + 12 : place + 12 + length]
        place += length + 16
