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
