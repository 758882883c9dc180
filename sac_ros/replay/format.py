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

"""How transitions lie on disk: one self-verifying record, and the directory that holds them.

docs/reference/replay.md describes the same bytes for readers written without this package.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import zlib
from collections import Counter
from enum import IntEnum
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ReplayError
from sac_ros.spec import PolicySpec
from sac_ros.types import Transition

RECORD_VERSION = 1
SPEC_FILE = 'spec.json'
LOCK_FILE = 'lock'
ARCHIVE = 'archive'
SUFFIX = '.seg'
TRAILER = Struct('<qQIII')  # stamp [ns], sequence, episode, policy hash, flags; the CRC follows
TRAILER_WORDS = 8
ALIGN_WORDS = 4  # 16 bytes: the 64-bit fields of the trailer are aligned in every row
PAGE = 65_536  # [bytes] largest memory page of the machines that run ROS 2
SMALL_PAGE = max(4096, mmap.PAGESIZE)  # [bytes] that of this machine
SEGMENT_RECORDS = 65_536  # records per segment at most, where nothing else is asked for
SEGMENT_BYTES = 2**25  # size of a segment at most, where whole pages allow it

MAX_RECORD_BYTES = 2**20  # where the length of an unknown record is searched for

Rows = NDArray[np.float32]
Mask = NDArray[np.bool_]


class DataSource(IntEnum):
    """Where a transition was lived."""

    SIM = 0
    REAL = 1
    HUMAN = 2


TRUNCATED = 1  # bit 0 of the flags; bits 1-2 are the source, bits 24-31 the record's version


def flags_of(truncated: bool, source: DataSource) -> int:
    """The flag word of a record."""
    return RECORD_VERSION << 24 | int(source) << 1 | (TRUNCATED if truncated else 0)


class Layout:
    """Where each part of a record lies, in 32-bit words.

    A record is [observation, action, reward, terminated, next_observation, padding, trailer].
    """

    def __init__(self, n_observation: int, n_action: int) -> None:
        if sys.byteorder != 'little':
            raise ReplayError(
                'the replay format is little-endian and this machine is not; use another machine'
            )
        self.n_observation, self.n_action = n_observation, n_action
        self.shape = (n_observation, n_action)
        self.reward = n_observation + n_action
        self.terminated = self.reward + 1
        self.next = self.reward + 2
        self.payload = self.next + n_observation
        self.words = -(-(self.payload + TRAILER_WORDS) // ALIGN_WORDS) * ALIGN_WORDS
        self.trailer = self.words - TRAILER_WORDS
        self.record_bytes = 4 * self.words

    @classmethod
    def of(cls, spec: PolicySpec) -> Layout:
        """The layout of the transitions of one specification."""
        return cls(spec.n_observation, spec.n_action)

    def split(self, rows: Any) -> Transition:
        """View packed rows (..., words), numpy or torch, as a Transition of (...,) columns."""
        return Transition(
            rows[..., : self.n_observation],
            rows[..., self.n_observation : self.reward],
            rows[..., self.reward],
            rows[..., self.terminated],
            rows[..., self.next : self.payload],
        )

    def sequence(self, rows: Rows) -> NDArray[np.uint64]:
        """Sequence numbers of packed rows (..., words), as a view (...,)."""
        return rows.view(np.uint64)[..., self.trailer // 2 + 1]

    def stamp(self, rows: Rows) -> NDArray[np.int64]:
        """Steady-clock stamps [ns] of packed rows (..., words), as a view (...,)."""
        return rows.view(np.int64)[..., self.trailer // 2]

    def episode(self, rows: Rows) -> NDArray[np.uint32]:
        """Episode numbers of packed rows (..., words), as a view (...,)."""
        return rows.view(np.uint32)[..., self.trailer + 4]

    def policy_hash(self, rows: Rows) -> NDArray[np.uint32]:
        """Hashes of the acting policies of packed rows (..., words), as a view (...,)."""
        return rows.view(np.uint32)[..., self.trailer + 5]

    def flags(self, rows: Rows) -> NDArray[np.uint32]:
        """Flag words of packed rows (..., words), as a view (...,)."""
        return rows.view(np.uint32)[..., self.trailer + 6]

    def truncated(self, rows: Rows) -> Mask:
        """Whether each row (..., words) was cut off without being terminal, (...,)."""
        truncated: Mask = (self.flags(rows) & np.uint32(TRUNCATED)) != 0
        return truncated

    def source(self, rows: Rows) -> NDArray[np.uint32]:
        """The `DataSource` of each row (..., words), (...,)."""
        source: NDArray[np.uint32] = (self.flags(rows) >> np.uint32(1)) & np.uint32(3)
        return source

    def valid(self, rows: Rows, first: int) -> Mask:
        """Which of the contiguous rows (n, words) are whole and are record first, first+1, ...

        Only rows whose sequence number and version fit pay for a checksum: empty space is cheap.
        """
        expected = np.arange(first, first + len(rows), dtype=np.uint64)
        return self._intact(rows, self.sequence(rows) == expected)

    def first_sequence(self, rows: Rows) -> int | None:
        """Return the sequence number that row 0 has according to the first intact row, if any."""
        for i in np.flatnonzero(self._intact(rows, np.ones(len(rows), np.bool_)))[:1].tolist():
            first: int = int(self.sequence(rows)[i]) - i
            return first
        return None

    def _intact(self, rows: Rows, fits: Mask) -> Mask:
        fits = fits & ((self.flags(rows) >> np.uint32(24)) == RECORD_VERSION)
        where = np.flatnonzero(fits)
        if not where.size:
            return fits
        data, crc32, covered = rows.data.cast('B'), zlib.crc32, self.record_bytes - 4
        starts = (where * self.record_bytes).tolist()
        computed = np.fromiter(
            (crc32(data[start : start + covered]) for start in starts), np.uint32, where.size
        )
        fits[where] = computed == rows.view(np.uint32)[where, -1]
        return fits

    @property
    def usual_records(self) -> int:
        """Records per segment unless another number is asked for."""
        return min(SEGMENT_RECORDS, max(SEGMENT_BYTES // self.record_bytes, 1))

    def whole_pages(self, records: int) -> int:
        """Round a number of records up so that they fill whole memory pages.

        These are pages of any machine, unless records are so long that SEGMENT_BYTES are exceeded.
        """
        step = PAGE // int(np.gcd(PAGE, self.record_bytes))
        if step * self.record_bytes > SEGMENT_BYTES:
            step = SMALL_PAGE // int(np.gcd(SMALL_PAGE, self.record_bytes))
        return max(-(-records // step), 1) * step


def segment_path(directory: Path, number: int) -> Path:
    """Path of a segment; segment k holds the records k*R to (k+1)*R - 1."""
    return directory / f'{number:010d}{SUFFIX}'


def segment_numbers(directory: Path) -> list[int]:
    """Numbers of the segments that are there, in order."""
    return sorted(int(path.stem) for path in directory.glob('*' + SUFFIX) if path.stem.isdecimal())


def segment_records(directory: Path, layout: Layout) -> int:
    """Records per segment of a directory, 0 where it holds no segment yet.

    The records of each segment tell; the sizes of the files, which a copy may have changed, only
    where there are none.
    """
    sizes: Counter[int] = Counter()
    votes: Counter[int] = Counter()
    for number in segment_numbers(directory):
        with contextlib.suppress(FileNotFoundError):  # a writer may drop it as we look
            path = segment_path(directory, number)
            first, size = first_sequence(path, layout), path.stat().st_size
            sizes[layout.whole_pages(size // layout.record_bytes)] += 1
            if number and first and first % number == 0:
                votes[first // number] += 1
    for counts in (votes, sizes):
        plausible = [size for size in counts if size == layout.whole_pages(size)]
        if plausible:
            return max(plausible, key=lambda size: (counts[size], size))
    return 0


def first_sequence(segment: Path, layout: Layout) -> int | None:
    """Return the sequence number that a segment begins with according to its own records."""
    with segment.open('rb') as file:
        for size in (PAGE, 16 * PAGE):  # the rest of a file is empty or as damaged
            count = max(size // layout.record_bytes, 4)
            raw = os.pread(file.fileno(), count * layout.record_bytes, 0)
            whole = len(raw) // layout.record_bytes
            rows = np.frombuffer(raw, np.float32, whole * layout.words)
            first = layout.first_sequence(rows.reshape(whole, layout.words))
            if first is not None:
                return first
    return None


def record_bytes_of(segment: Path) -> int:
    """Return the length of the record that a file begins with, found by its checksum, else 0."""
    with segment.open('rb') as file:
        head = file.read(MAX_RECORD_BYTES)
    checksum, covered, step = 0, 0, 4 * ALIGN_WORDS
    for end in range(3 * step, len(head) + 1, step):
        checksum = zlib.crc32(head[covered : end - 4], checksum)
        covered = end - 4
        if head[end - 5] == RECORD_VERSION and checksum.to_bytes(4, 'little') == head[covered:end]:
            return end
    return 0
