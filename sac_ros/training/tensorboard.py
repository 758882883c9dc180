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

"""TensorBoard event files: scalars and moving pictures are written, scalars are read.

An event file is a row of TFRecords, each an `Event` message: its length, a checksum of that, the
message, a checksum of the message. The messages and the checksum are those of tensorboardX. Its
`SummaryWriter` is not used: a full disk ends its thread without an error, and training would then
wait forever for its queue.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

from sac_ros.filesystem import writing

RGB = 3  # channels
Scalars = dict[str, list[tuple[int, float]]]  # (step, value) by tag, in the order of steps


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
        self._write(Event(file_version='brain.Event:2'))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write figures by their tags."""
        row = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(Event(step=step, summary=Summary(value=row)))

    def picture(self, step: int, tag: str, encoded: bytes, width: int, height: int) -> None:
        """Write a PNG or a moving GIF, as bytes of its file."""
        image = Summary.Image(
            height=height, width=width, colorspace=RGB, encoded_image_string=encoded
        )
        value = Summary.Value(tag=tag, image=image)
        self._write(Event(step=step, summary=Summary(value=[value])))

    def close(self) -> None:
        """End the file."""
        self._file.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        message = event.SerializeToString()
        length = struct.pack('<Q', len(message))
        left = memoryview(length + _checksum(length) + message + _checksum(message))
        with writing(self.path):
            while left:
                left = left[self._file.write(left) :]


def read_scalars(folder: Path) -> Scalars:
    """Return the scalars in the event files of a folder; a torn end is left out.

    Of a step that was logged twice, as by a resumed run, the later value counts.
    """
    found: dict[str, dict[int, float]] = {}
    for path in sorted(folder.glob('events.out.tfevents.*')):
        for event in _events(path.read_bytes()):
            for value in event.summary.value:
                if value.HasField('simple_value'):
                    found.setdefault(value.tag, {})[event.step] = value.simple_value
    return {tag: sorted(values.items()) for tag, values in found.items()}


def _events(content: bytes) -> Iterator[Event]:
    """Yield the messages of an event file up to the first record that is not whole."""
    place = 0
    while place + 12 <= len(content):
        head = content[place : place + 8]
        end = place + 12 + struct.unpack('<Q', head)[0]
        if content[place + 8 : place + 12] != _checksum(head) or end + 4 > len(content):
            return
        try:
            yield Event.FromString(content[place + 12 : end])
        except DecodeError:
            return
        place = end + 4


def _checksum(content: bytes) -> bytes:
    return struct.pack('<I', masked_crc32c(content))
