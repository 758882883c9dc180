"""A TensorBoard log without TensorBoard: event files of scalars and moving pictures.

An event file is a row of TFRecords, each a serialised `Event` message: its length, a checksum of
that, the message, a checksum of the message. Only the few fields used here are written; the
protocol buffer wire format is a key (number and kind), then a varint, fixed bits or bytes.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sac_ros.filesystem import writing

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


Scalars = dict[str, list[tuple[int, float]]]  # (step, value) by tag, in the order of steps


def read_scalars(folder: Path) -> Scalars:
    """Return the scalars in the event files of a folder; a torn end is left out.

    Of a step that was logged twice, as by a resumed run, the later value counts.
    """
    found: dict[str, dict[int, float]] = {}
    for path in sorted(folder.glob('events.out.tfevents.*')):
        for event in _events(path.read_bytes()):
            fields = dict(_fields(event))
            for number, value in _fields(fields.get(5, b'')):
                parts = dict(_fields(value)) if number == 1 else {}
                if 1 in parts and isinstance(parts.get(2), float):
                    step = fields.get(2, 0)
                    found.setdefault(parts[1].decode(errors='replace'), {})[step] = parts[2]
    return {tag: sorted(values.items()) for tag, values in found.items()}


def _events(content: bytes) -> Iterator[bytes]:
    """Yield the messages of an event file up to the first record that is not whole."""
    place = 0
    while place + 12 <= len(content):
        head = content[place : place + 8]
        end = place + 12 + struct.unpack('<Q', head)[0]
        if content[place + 8 : place + 12] != _checksum(head) or end + 4 > len(content):
            return
        yield content[place + 12 : end]
        place = end + 4


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field of a message."""
    place = 0
    while place < len(message):
        key, place = _read_varint(message, place)
        if key & 7 == VARINT:
            value, place = _read_varint(message, place)
            yield key >> 3, value
            continue
        if key & 7 == BYTES:
            size, place = _read_varint(message, place)
            yield key >> 3, message[place : place + size]
        else:
            size = 8 if key & 7 == FIXED64 else 4
            yield key >> 3, struct.unpack_from('<d' if size == 8 else '<f', message, place)[0]
        place += size


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    """Return a varint and the place after it."""
    value = shift = 0
    while message[place] > 0x7F:
        value |= (message[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
    return value | message[place] << shift, place + 1
