"""Stored transitions seen as one matrix, and how to draw from it: what reader and writer share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ReplayError
from sac_ros.replay_format import Layout, Rows, segment_path
from sac_ros.replay_map import SegmentMap
from sac_ros.spec import PolicySpec, Transition

_CHUNK = 4096  # records checked at a time
_MIN_SLOTS = 64  # segments reserved at first; addresses cost nothing


class Records:
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
        self._matrix: Rows = np.empty((0, self.layout.words), np.float32)
        self._hole_steps: NDArray[np.int64] = np.empty(0, np.int64)

    def __len__(self) -> int:
        return self._state[0] - self._start - len(self.holes)

    @property
    def words(self) -> int:
        """32-bit words per packed row, the last dimension of `out` in `sample`."""
        return self.layout.words

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

    def sample(
        self, batch_size: int | tuple[int, ...], rng: np.random.Generator, out: Rows | None = None
    ) -> Transition:
        """Draw uniformly, with replacement.

        Args:
            batch_size: how many, or a shape: (K, B) draws K batches in one gather.
            rng: the same state and the same contents give the same draw.
            out: (*batch_size, words) float32, contiguous, to gather into; new if None.

        Returns:
            float32 views into one packed array; overwritten by the next draw into the same `out`.

        Raises:
            ReplayError: there is nothing to draw from.
        """
        rows = self._gather_rows(self._draw(batch_size, rng), out)
        return self.layout.split(rows)

    def rows(self, sequences: NDArray[np.int64], out: Rows | None = None) -> Rows:
        """Packed rows (..., words) of sequence numbers (...) between `start` and `end`."""
        return self._gather_rows(sequences - self._base, out)

    def sequences(self) -> NDArray[np.int64]:
        """Sequence numbers of every whole record, in order."""
        everything = np.arange(self._start, self._state[0])
        return np.delete(everything, self.holes - self._start)

    def _draw(self, size: int | tuple[int, ...], rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows of the map, uniform over whole records."""
        count = len(self)
        if count <= 0:
            raise ReplayError(f'{self.directory} holds no transition to draw; append some first')
        row = rng.integers(0, count, size)
        if len(self.holes):  # step over the holes below each draw
            row += np.searchsorted(self._hole_steps, row, side='right')
        row += self._start - self._base
        return row

    def _gather_rows(self, row: NDArray[np.int64], out: Rows | None) -> Rows:
        if out is None:
            out = np.empty((*row.shape, self.layout.words), np.float32)
        # 'clip' writes straight into `out`; the default mode gathers into a copy first.
        self._matrix.take(row, axis=0, out=out, mode='clip')
        return out

    def _set_holes(self, holes: NDArray[np.int64]) -> None:
        self.holes = holes
        self._hole_steps = holes - self._start - np.arange(len(holes))

    def _show_segments(self, numbers: Sequence[int]) -> None:
        """Map these segments, moving to a larger map where they do not fit."""
        if not numbers:
            return
        size = self._segment_records
        held = (self._mapped - self._base) // size if self._map else 0
        if self._map is None or numbers[-1] - self._base // size >= self._map.slots:
            self._base = numbers[0] * size
            slots = max(_MIN_SLOTS, 2 * (numbers[-1] - numbers[0] + 1))
            self._map = SegmentMap(slots, size * self.layout.record_bytes, self.layout.words)
            self._matrix, held = self._map.matrix, 0
        first = self._base // size
        for number in numbers:
            if number - first < held:
                continue
            with contextlib.suppress(FileNotFoundError):  # dropped meanwhile; reads as holes
                fd = os.open(segment_path(self.directory, number), os.O_RDONLY | os.O_CLOEXEC)
                try:
                    self._map.place(number - first, fd)
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
            self._set_holes(holes[holes < end])
        return found
