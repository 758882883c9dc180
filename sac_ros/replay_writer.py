"""The writing side of a replay directory: append, sync, recover, drop."""

from __future__ import annotations

import errno
import logging
import math
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from time import monotonic_ns
from types import TracebackType

import numpy as np

from sac_ros.errors import ReplayError
from sac_ros.replay_files import Files, Lock, create, write_all
from sac_ros.replay_format import (
    ARCHIVE,
    LOCK_FILE,
    SPEC_FILE,
    TRAILER,
    Source,
    flags_of,
    read_spec,
    segment_numbers,
    segment_path,
    segment_records,
)
from sac_ros.replay_records import Records
from sac_ros.spec import PolicySpec, Transition

_log = logging.getLogger(__name__)
_CRC = struct.Struct('<I')


class ReplayWriter(Records):
    """Append transitions to a replay directory, and sample from it in the same process.

    A kill at any instant loses at most the record being written; power loss at most what came
    after the last sync. An `append` that raises has stored nothing, and may be tried again.

    Args:
        directory: made if missing, reopened if it is there.
        spec: what the transitions are for.
        capacity: at least this many of the newest records are kept, whole older segments are
            dropped; 0 keeps everything.
        segment_records: records per file, rounded up to whole memory pages; what a directory
            already has is kept.
        sync_every: records between two fsyncs; 0 is every record.
        archive: move dropped segments to `archive/`, itself a replay directory, instead of
            deleting them.
        files: the calls that touch the disk.

    Raises:
        ReplayError: another process writes it, it is not a replay directory, or the disk fails.
        SpecMismatch: it belongs to another robot or task; nothing was touched.
    """

    def __init__(
        self,
        directory: str | Path,
        spec: PolicySpec,
        *,
        capacity: int = 0,
        segment_records: int = 65_536,
        sync_every: int = 1000,
        archive: bool = False,
        files: Files | None = None,
    ) -> None:
        directory = Path(directory)
        if capacity < 0 or segment_records < 1 or sync_every < 0:
            raise ReplayError(
                f'capacity {capacity} and sync_every {sync_every} must not be negative, '
                f'segment_records {segment_records} must be above 0'
            )
        super().__init__(directory, spec, 0)
        self._capacity, self._sync_every, self._archive = capacity, max(sync_every, 1), archive
        self._files = files or Files()
        self._fd, self._segment_end, self._closed = -1, 0, False
        self._synced = 0  # records before this sequence number survive power loss
        self._unsure = False  # an fsync failed: the kernel may have dropped what it held
        self._row = np.zeros(self.layout.words, np.float32)
        self._payload = self._row[: self.layout.payload]
        self._bytes = self._row.data.cast('B')
        self._covered = self._bytes[: self.layout.record_bytes - 4]
        self.cut = 0  # torn records removed from the end on opening
        present = _check_directory(directory, spec)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(directory)
        except OSError as error:
            raise ReplayError(
                f'cannot make replay directory {directory}: {error}; give a writable one'
            ) from error
        try:
            self._open(present, segment_records)
        except OSError as error:
            self._abandon()
            raise _disk_error('open', directory, error) from error
        except BaseException:
            self._abandon()
            raise

    @property
    def durable_end(self) -> int:
        """Records before this sequence number survive power loss."""
        return self._synced

    def append(
        self,
        transition: Transition,
        *,
        truncated: bool,
        source: Source = Source.SIM,
        policy_hash: int = 0,
        stamp_ns: int | None = None,
    ) -> int:
        """Store one transition and return its sequence number.

        Args:
            transition: observation (n_obs,), action (n_act,) in [-1, 1], scalars.
            truncated: the episode was cut off after this step without being terminal.
            source: where it was lived.
            policy_hash: 32 bits that tell which policy acted.
            stamp_ns: steady-clock time of the step [ns]; now if None.

        Raises:
            ReplayError: it does not fit the specification, is not finite, or the disk fails.
        """
        if self._state[0] >= self._segment_end:
            self._next_segment()
        end, episode = self._state
        self._fill(transition)
        stamp = monotonic_ns() if stamp_ns is None else stamp_ns
        offset = 4 * self.layout.trailer
        flags = flags_of(truncated, source)
        try:
            TRAILER.pack_into(self._bytes, offset, stamp, end, episode, policy_hash, flags)
        except struct.error as error:
            raise ReplayError(
                f'policy_hash {policy_hash} must fit 32 bits and stamp_ns {stamp} 64: {error}'
            ) from error
        _CRC.pack_into(self._bytes, len(self._covered), zlib.crc32(self._covered))
        try:
            self._write(end)
            if end + 1 - self._synced >= self._sync_every:
                self._sync(end + 1)
        except OSError as error:
            raise _disk_error('write', self.directory, error) from error
        # One store, so that an interrupt finds the record either counted or not.
        self._state = (end + 1, episode + (truncated or bool(transition.terminated)))
        return end

    def sync(self) -> None:
        """Wait until everything appended survives power loss.

        Raises:
            ReplayError: the disk fails; call again once it is well.
        """
        try:
            if self._fd >= 0 and (self._synced < self._state[0] or self._unsure):
                self._sync(self._state[0])
        except OSError as error:
            raise _disk_error('sync', self.directory, error) from error

    def rewind(self, end: int) -> int:
        """Cut simulated records from the end, so that `end` is the next sequence number.

        A run that resumes from a checkpoint repeats those steps. What a real robot or a person
        did is never cut. Returns how many records went.

        Raises:
            ReplayError: `end` is not stored any more, a record is not simulated, the disk fails.
        """
        if not self._start <= end <= self._state[0]:
            raise ReplayError(
                f'{self.directory} holds the records {self._start} to {self._state[0]}; '
                f'it cannot go back to {end}'
            )
        last, size = self._state[0], self._segment_records
        whole = self.sequences(end)
        if self.layout.source(self.rows(whole)).any():
            raise ReplayError(
                f'{self.directory} has real or human steps after record {end}; they are not cut, '
                'go on from where the replay ends'
            )
        if end == last:
            return 0
        self.sync()
        self._segment_end = 0  # the next append looks for its segment again
        self._state = (end, self._state[1] + 1)
        self._set_holes(self.holes[self.holes < end])
        try:
            self._zero_after_end(range(end // size, last // size + 1))
        except OSError as error:
            raise _disk_error('rewind', self.directory, error) from error
        self._synced = end
        return last - end

    def close(self) -> None:
        """Sync and let another writer in. Closing twice is harmless."""
        try:
            self.sync()
        finally:
            self._abandon()

    def __enter__(self) -> ReplayWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _fill(self, transition: Transition) -> None:
        """Pack the transition into the scratch row."""
        layout, row = self.layout, self._row
        observation = np.asarray(transition.observation)
        action = np.asarray(transition.action)
        following = np.asarray(transition.next_observation)
        if observation.shape != (layout.n_observation,) or following.shape != observation.shape:
            raise ReplayError(
                f'an observation of {self.directory} has shape ({layout.n_observation},), '
                f'this transition has {observation.shape} and then {following.shape}'
            )
        if action.shape != (layout.n_action,):
            raise ReplayError(
                f'an action of {self.directory} has shape ({layout.n_action},), '
                f'this one has {action.shape}'
            )
        row[: layout.n_observation] = observation
        row[layout.n_observation : layout.reward] = action
        row[layout.reward] = transition.reward
        row[layout.terminated] = 1.0 if transition.terminated else 0.0
        row[layout.next : layout.payload] = following
        if not math.isfinite(self._payload.dot(self._payload)):
            self._refuse_nonfinite()

    def _refuse_nonfinite(self) -> None:
        finite = np.isfinite(self._row[: self.layout.payload])
        if not finite.all():  # else only the sum of squares was too large
            parts = self.layout.split(finite)
            names = [
                n for n, part in zip(Transition._fields, parts, strict=True) if not part.all()
            ]
            raise ReplayError(
                f'{", ".join(names)} of the transition is not finite; '
                'drop the step: one NaN in the replay spoils every network trained on it'
            )

    def _write(self, sequence: int) -> None:
        offset = (sequence % self._segment_records) * self.layout.record_bytes
        write_all(self._files, self._fd, self._bytes, offset)

    def _sync(self, end: int) -> None:
        """Make the records before `end` durable."""
        if self._unsure:
            self._write_again()
        self._unsure = True
        self._files.sync(self._fd)
        self._unsure = False
        self._synced = end

    def _write_again(self) -> None:
        """After a failed fsync the kernel calls pages clean that never reached the disk."""
        size, width = self._segment_records, self.layout.record_bytes
        first, end = self._synced, self._state[0]
        rows = self._matrix[first - self._base : end - self._base]
        if not self.layout.valid(rows, first).all():
            raise OSError(errno.EIO, 'unsynced records were lost after a failed fsync; reopen')
        if len(rows):
            write_all(self._files, self._fd, rows.data.cast('B'), first % size * width)

    def _open(self, present: PolicySpec | None, wanted_records: int) -> None:
        files, directory, layout = self._files, self.directory, self.layout
        size = segment_records(directory, layout)
        if not size:
            if self._capacity:
                wanted_records = min(wanted_records, self._capacity)
            size = layout.whole_pages(wanted_records)
        self._segment_records = size
        numbers = segment_numbers(directory)
        if numbers:
            self._start = numbers[0] * size
            self._state = (self._start, 0)
            self._show_segments(numbers)
            self._scan(to_the_end=True)
        if present is None:
            if numbers and not len(self):
                raise ReplayError(
                    f'{directory} has segments but no {SPEC_FILE}, and no record in them fits '
                    'this specification; they belong to another robot or task'
                )
            create(files, directory / SPEC_FILE, self.spec.to_json().encode() + b'\n')
        self.cut = self._zero_after_end([n for n in numbers if (n + 1) * size > self._state[0]])
        if self.cut:
            _log.warning(
                '%s: cut %d torn records after number %d', directory, self.cut, self.end - 1
            )
        self._sync_last()
        if len(self.holes):
            _log.warning('%s: %d damaged records are skipped', directory, len(self.holes))

    def _sync_last(self) -> None:
        """Make durable what a killed writer had only handed to the kernel."""
        end = self._state[0]
        path = segment_path(self.directory, max(end - 1, 0) // self._segment_records)
        if end > self._start and path.exists():
            fd = self._files.open(path, os.O_RDWR)
            try:
                self._files.sync(fd)
            finally:
                os.close(fd)
        self._synced = end

    def _zero_after_end(self, numbers: Sequence[int]) -> int:
        """Zero what lies after the end, so that it can never be taken for data; counts records."""
        size, width = self._segment_records, self.layout.record_bytes
        end, zeroed = self._state[0], 0
        zeros = memoryview(bytes(width))
        for number in numbers:
            first, last = max(number * size, end), min((number + 1) * size, self._mapped)
            rows = self._matrix[first - self._base : max(first, last) - self._base]
            dirty = np.flatnonzero(rows.view(np.uint32).any(axis=1)) + first
            if dirty.size:
                fd = self._files.open(segment_path(self.directory, number), os.O_RDWR)
                try:
                    for sequence in dirty.tolist():
                        write_all(self._files, fd, zeros, sequence % size * width)
                    self._files.sync(fd)
                finally:
                    os.close(fd)
                zeroed += dirty.size
        return zeroed

    def _next_segment(self) -> None:
        """Go to the segment of the next record, making it if need be."""
        if self._closed:
            raise ReplayError(f'the writer of {self.directory} is closed; open a new one')
        size, files = self._segment_records, self._files
        number = self._state[0] // size
        path, size_bytes = segment_path(self.directory, number), size * self.layout.record_bytes
        try:
            if self._fd >= 0 and self._synced < self._state[0]:
                self._sync(self._state[0])  # only the open segment can be synced later
            if not path.exists():
                create(files, path, size=size_bytes)
            fd = files.open(path, os.O_RDWR)
            if os.fstat(fd).st_size < size_bytes:
                files.allocate(fd, size_bytes)
        except OSError as error:
            raise _disk_error('make a segment', self.directory, error) from error
        old, self._fd = self._fd, fd
        if old >= 0:
            os.close(old)
        self._show_segments(range(self._start // size, number + 1))
        self._drop_old()
        self._segment_end = (number + 1) * size

    def _drop_old(self) -> None:
        """Remove or archive the segments that hold none of the newest `capacity` records."""
        size, files = self._segment_records, self._files
        keep = (self._state[0] - self._capacity) // size if self._capacity else 0
        old = [n for n in segment_numbers(self.directory) if n < keep]
        if not old:
            return
        try:
            target = self.directory / ARCHIVE
            if self._archive and not (target / SPEC_FILE).exists():
                target.mkdir(exist_ok=True)
                create(files, target / SPEC_FILE, self.spec.to_json().encode() + b'\n')
            for number in old:
                path = segment_path(self.directory, number)
                if self._archive:
                    files.rename(path, target / path.name)
                else:
                    files.remove(path)
            files.sync_directory(self.directory)
            if self._archive:
                files.sync_directory(target)
        except OSError as error:
            raise _disk_error('drop old segments', self.directory, error) from error
        self._forget_before((old[-1] + 1) * size)

    def _abandon(self) -> None:
        fd, self._fd, self._closed, self._segment_end = self._fd, -1, True, 0
        if fd >= 0:
            os.close(fd)
        self._lock.release()


def _check_directory(directory: Path, spec: PolicySpec) -> PolicySpec | None:
    """The specification already there, None where a new replay may begin; touches nothing."""
    if not directory.exists():
        return None
    if not directory.is_dir():
        raise ReplayError(f'{directory} is a file; a replay needs a directory')
    if (directory / SPEC_FILE).exists():
        found = read_spec(directory)
        spec.check_same(found, 'this run', f'replay directory {directory}')
        return found
    strange = [
        path.name
        for path in directory.iterdir()
        if path.name not in (LOCK_FILE, ARCHIVE) and path.suffix not in ('.seg', '.tmp')
    ]
    if strange:
        raise ReplayError(
            f'{directory} is not a replay directory: it has no {SPEC_FILE} but {strange[0]}; '
            'name an empty or a new directory'
        )
    return None


def _disk_error(action: str, directory: Path, error: OSError) -> ReplayError:
    mends = {
        errno.ENOSPC: 'free some space',
        errno.EDQUOT: 'raise the quota',
        errno.EFBIG: 'raise the limit on file sizes (ulimit -f)',
        errno.EROFS: 'mount the disk for writing',
        errno.EACCES: 'make the directory writable',
    }
    mend = mends.get(error.errno or 0, 'check the disk')
    return ReplayError(
        f'cannot {action} in {directory}: {error.strerror or error}; {mend} and try again, '
        'nothing stored before was harmed'
    )
