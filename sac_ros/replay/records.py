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

"""Stored transitions seen as one matrix, and how to draw from it: what reader and writer share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ReplayError
from sac_ros.replay.format import Layout, Mask, Rows, segment_path
from sac_ros.replay.memory_map import SegmentMap
from sac_ros.replay.sampling import RecordSampler, Size
from sac_ros.spec import PolicySpec

_CHUNK = 4096  # records checked at a time
_MIN_SLOTS = 64  # segments reserved at first; addresses cost nothing


class Records(RecordSampler):
    """The stored transitions of one directory and how to draw from them.

    A transition is known by its sequence number. Records found damaged are holes: they are counted
    in `holes` and never drawn. One object serves one thread.
    """

    def __init__(self, directory: Path, spec: PolicySpec, segment_records: int) -> None:
        self.directory, self.spec, self.layout = directory, spec, Layout.of(spec)
        self.holes: NDArray[np.int64] = np.empty(0, np.int64)  # damaged sequence numbers, sorted
        self._segment_records = segment_records  # R
        self._state = (0, 0)  # (next sequence, next episode), replaced in one step
        self._start = 0  # oldest sequence number still there
        self._base = 0  # sequence number of the first row of the map
        self._mapped = 0  # first sequence number after the last mapped segment
        self._map: SegmentMap | None = None
        self._sparse: set[int] = set()  # numbers of mapped segments that lack disk space
        self._matrix: Rows = np.empty((0, self.layout.words), np.float32)
        self._sequence_of_row = self.layout.sequence(self._matrix)  # (rows,) view
        self._hole_steps: NDArray[np.int64] = np.empty(0, np.int64)

    def __len__(self) -> int:
        return self._state[0] - self._start - len(self.holes)

    @property
    def records(self) -> Records:
        """Itself: what is drawn from."""
        return self

    @property
    def segment_records(self) -> int:
        """Records per segment, 0 where there is no segment yet."""
        return self._segment_records

    @property
    def start(self) -> int:
        """Sequence number of the oldest record."""
        return self._start

    @property
    def end(self) -> int:
        """Sequence number of the next record."""
        return self._state[0]

    def refresh(self) -> int:
        """Take in what was appended meanwhile; returns how many new records there are."""
        return 0

    def count_before(self, end: int) -> int:
        """How many whole records there are before a sequence number."""
        return max(end - self._start - int(np.searchsorted(self.holes, end)), 0)

    def draw(
        self, size: Size, rng: np.random.Generator, end: int | None = None
    ) -> NDArray[np.int64]:
        """Sequence numbers, uniform over whole records, or those of them before `end`."""
        count = len(self) if end is None else self.count_before(end)
        if count <= 0:
            raise ReplayError(f'{self.directory} holds no transition to draw; append some first')
        drawn = rng.integers(0, count, size)
        if len(self.holes):  # step over the holes below each draw
            drawn += np.searchsorted(self._hole_steps, drawn, side='right')
        if self._start:
            drawn += self._start
        return drawn

    def rows(self, sequences: NDArray[np.int64], out: Rows | None = None) -> Rows:
        """Packed rows (..., words) of sequence numbers (...) from `start` to before `end`."""
        if out is None:
            out = np.empty((*sequences.shape, self.layout.words), np.float32)
        where = sequences - self._base if self._base else sequences
        # 'clip' writes straight into `out`; the default mode gathers into a copy first.
        self._matrix.take(where, axis=0, out=out, mode='clip')
        return out

    def sequences(self, first: int | None = None) -> NDArray[np.int64]:
        """Sequence numbers of every whole record, in order, from `first` on."""
        first = self._start if first is None else first
        holes = self.holes[np.searchsorted(self.holes, first) :]
        return np.delete(np.arange(first, self._state[0]), holes - first)

    def after_end(self) -> NDArray[np.int64]:
        """Sequence numbers after the end whose place is not empty: torn records."""
        end = self._state[0]
        torn = [np.empty(0, np.int64)]
        for first in range(end, self._mapped, _CHUNK):
            last = min(first + _CHUNK, self._mapped)
            rows = self._matrix[first - self._base : last - self._base]
            torn.append(np.flatnonzero(rows.view(np.uint32).any(axis=1)) + first)
        return np.concatenate(torn)

    def whole(self, sequences: NDArray[np.int64]) -> Mask:
        """Which sequence numbers are those of whole records still there."""
        there: Mask = (sequences >= self._start) & (sequences < self._state[0])
        if len(self.holes):
            there &= ~np.isin(sequences, self.holes)
        return there

    def _still_broken(self, sequences: NDArray[np.int64]) -> NDArray[np.int64]:
        """Look again: a writer may have filled a record after we passed, and then later ones."""
        rows = self.rows(sequences)
        again = [
            not self.layout.valid(rows[i : i + 1], sequence)[0]
            for i, sequence in enumerate(sequences.tolist())
        ]
        return sequences[np.array(again, np.bool_)]

    def _set_holes(self, holes: NDArray[np.int64]) -> None:
        self.holes = holes
        self._hole_steps = holes - self._start - np.arange(len(holes))

    def _show_segments(self, numbers: Sequence[int]) -> None:
        """Map these segments, moving to a larger map where they do not fit.

        A file that is not there any more reads as zeros.
        """
        if not numbers:
            return
        size = self._segment_records
        held = (self._mapped - self._base) // size if self._map else 0
        if self._map is None or numbers[-1] - self._base // size >= self._map.slots:
            self._base = numbers[0] * size
            slots = max(_MIN_SLOTS, 2 * (numbers[-1] - numbers[0] + 1))
            self._map = SegmentMap(slots, size * self.layout.record_bytes, self.layout.words)
            self._matrix, held = self._map.matrix, 0
            self._sequence_of_row = self.layout.sequence(self._matrix)
        first = self._base // size
        for number in numbers:
            if number - first < held and number not in self._sparse:
                continue
            try:
                fd = os.open(segment_path(self.directory, number), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                complete = self._map.place(number - first, fd)
                (self._sparse.discard if complete else self._sparse.add)(number)
            finally:
                os.close(fd)
        self._mapped = (numbers[-1] + 1) * size

    def _forget_before(self, start: int) -> None:
        """Let go of the segments before the sequence number `start`."""
        if start <= self._start or self._map is None:
            return
        size = self._segment_records
        for number in range(max(self._start, self._base) // size, start // size):
            self._map.clear(number - self._base // size)
        end, episode = self._state
        self._start, self._state = start, (max(end, start), episode)
        self._set_holes(self.holes[self.holes >= start])

    def _scan(self, to_the_end: bool) -> int:
        """Check the mapped records from `end` on; returns how many whole ones were added.

        The end is after the last whole record; broken ones before it are holes. Unless
        `to_the_end`, stop at the first chunk without a whole record: nothing is written behind it.
        """
        end, episode = self._state
        first, found, broken = end, 0, [self.holes]
        candidates: list[NDArray[np.int64]] = []
        while first < self._mapped:
            last = min(first + _CHUNK, self._mapped)
            rows = self._matrix[first - self._base : last - self._base]
            whole = self.layout.valid(rows, first)
            good = np.flatnonzero(whole)
            if not good.size and not to_the_end:
                break
            candidates.append(np.flatnonzero(~whole) + first)
            if good.size:
                broken += candidates
                candidates = []
                found += good.size
                end = first + int(good[-1]) + 1
                episode = max(episode, int(self.layout.episode(rows[good]).max()) + 1)
            first = last
        if found:
            holes = np.concatenate(broken)
            self._state = (end, episode)
            self._set_holes(self._still_broken(holes[holes < end]))
        return found
