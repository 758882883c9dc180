"""A TensorBoard log without TensorBoard: event files of scalars and moving pictures.

An event file is a row of TFRecords, each a serialised `Event` message: its length, a checksum of
that, the message, a checksum of the message. Only the few fields used here are written; the
protocol buffer wire format is a key (number and kind), then a varint, fixed bits or bytes.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from sac_ros.disk import writing

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # kinds of the wire format
POLYNOMIAL = 0x82F63B78  # CRC-32C, reflected
MASK = 0xA282EAD8
VERSION = b'brain.Event:2'
RGB = 3  # channels


class EventLog:
    """Appends to an event file of its own in a folder; TensorBoard merges those of one folder."""

    def __init__(self, folder: Path) -> None:
        """Begin a file.

        Raises:
            StorageError: the disk refuses, here and in every later call.
        """
        name = f'events.out.tfevents.{time.time_ns() // 10**9:010d}.sac_ros.{os.getpid()}'
        self.path = folder / name
        with writing(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            # Without a buffer, whose rest would be written again by `close` after an error.
            self._file = self.path.open('ab', buffering=0)
        self._write(_bytes(3, VERSION))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write figures by their tags."""
        summary = b''.join(
            _bytes(1, _bytes(1, tag.encode()) + _key(2, FIXED32) + struct.pack('<f', value))
            for tag, value in values.items()
        )
        self._write(_integer(2, step) + _bytes(5, summary))

    def picture(self, step: int, tag: str, encoded: bytes, width: int, height: int) -> None:
        """Write a PNG or a moving GIF, as bytes of its file."""
        image = _integer(1, height) + _integer(2, width) + _integer(3, RGB) + _bytes(4, encoded)
        value = _bytes(1, tag.encode()) + _bytes(4, image)
        self._write(_integer(2, step) + _bytes(5, _bytes(1, value)))

    def close(self) -> None:
        """End the file."""
        self._file.close()

    def _write(self, event: bytes) -> None:
        event = _key(1, FIXED64) + struct.pack('<d', time.time()) + event
        length = struct.pack('<Q', len(event))
        left = memoryview(length + _checksum(length) + event + _checksum(event))
        with writing(self.path):
            while left:
                left = left[self._file.write(left) :]


def _integer(number: int, value: int) -> bytes:
    return _key(number, VARINT) + _varint(value)


def _bytes(number: int, content: bytes) -> bytes:
    return _key(number, BYTES) + _varint(len(content)) + content


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last have the highest bit set."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def _table() -> tuple[int, ...]:
    entries = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
        entries.append(value)
    return tuple(entries)


TABLE = _table()


def crc32c(content: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of some bytes."""
    value = 0xFFFFFFFF
    for byte in content:
        value = value >> 8 ^ TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def _checksum(content: bytes) -> bytes:
    value = crc32c(content)
    rotated = (value >> 15 | value << 17) & 0xFFFFFFFF
    return struct.pack('<I', (rotated + MASK) & 0xFFFFFFFF)
