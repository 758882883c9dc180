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

"""What a writer does beside appending: open, recover, sync, next segment, drop old ones."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from sac_ros.errors import ReplayError
from sac_ros.replay.filesystem import (
    FileSystem,
    Lock,
    create,
    disk_error,
    make_directory,
    write_all,
)
from sac_ros.replay.format import (
    ARCHIVE,
    LOCK_FILE,
    SPEC_FILE,
    segment_numbers,
    segment_path,
    segment_records,
)
from sac_ros.replay.records import Records
from sac_ros.replay.recovery import COPIES, unexplained
from sac_ros.replay.spec_file import read_spec, spec_text
from sac_ros.spec import PolicySpec

_log = logging.getLogger(__name__)


class WritableRecords(Records):
    """The records of a directory that this process holds the lock of."""

    def __init__(
        self,
        directory: Path,
        spec: PolicySpec,
        *,
        capacity: int,
        segment_records: int,
        sync_every: int,
        archive: bool,
        files: FileSystem,
    ) -> None:
        super().__init__(directory, spec, 0)
        self._capacity, self._sync_every, self._archive = capacity, sync_every, archive
        self._files = files
        self._fd, self._segment_end, self._closed = -1, 0, False
        self._record: Callable[[memoryview, int], int] = lambda data, offset: 0
        self._due = 0  # sequence number before which the next append has nothing else to do
        self._synced = 0  # records before this sequence number survive power loss
        self._unsure = False  # an fsync failed: the kernel may have dropped what it held
        self._pool = ThreadPoolExecutor(1, 'replay-sync')
        self._pending: Future[None] | None = None  # the fsync under way beside us
        self._pending_end = 0
        self.cut = 0  # torn records removed from the end on opening, 0 or 1
        present = _check_directory(directory, spec)
        try:
            make_directory(files, directory)
            self._lock = Lock(directory)
        except OSError as error:
            raise disk_error('make a replay', directory, error) from error
        try:
            self._open(present, segment_records)
        except OSError as error:
            self._abandon()
            raise disk_error('open the replay', directory, error) from error
        except BaseException:
            self._abandon()
            raise

    @property
    def durable_end(self) -> int:
        """Records before this sequence number survive power loss."""
        pending = self._pending
        if pending is not None and pending.done() and pending.exception() is None:
            return self._pending_end
        return self._synced

    def _attend(self) -> None:
        """Do what is due before the next record: a segment to put it in, a sync beside us."""
        if self._closed:
            raise ReplayError(f'the writer of {self.directory} is closed; open a new one')
        if not self._lock.held:
            raise ReplayError(
                f'{self.directory} was moved, or its lock removed, while it was written; end '
                'every writer of it and start again, nothing stored before was harmed'
            )
        end = self._state[0]
        try:
            if end >= self._segment_end:
                self._next_segment()
            else:
                self._finish_sync()
                if self._unsure:
                    self._sync(end)
                elif end - self._synced >= self._sync_every:
                    self._start_sync(end)
        except OSError as error:
            raise disk_error('store more', self.directory, error) from error
        self._due = min(self._segment_end, end + max(self._sync_every, 1))

    def _start_sync(self, end: int) -> None:
        """Make the records before `end` durable while we go on appending."""

        def sync(fd: int) -> None:
            try:
                self._files.sync(fd)
            except BaseException:
                self._due = 0  # so that the next append looks at once
                raise

        self._pending_end = end
        self._pending = self._pool.submit(sync, self._fd)

    def _finish_sync(self) -> None:
        """Wait for the sync beside us and take over its result or error."""
        pending = self._pending
        if pending is None:
            return
        error = pending.exception()
        self._pending = None
        if error is not None:
            self._unsure = True
            raise error
        self._synced = self._pending_end

    def _sync(self, end: int) -> None:
        """Make the records before `end` durable before going on."""
        self._finish_sync()
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
        directory, layout = self.directory, self.layout
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
            self._create_spec(directory)
        self.cut = self._cut_torn()
        if self.cut:
            _log.warning('%s: cut the torn record after number %d', directory, self.end - 1)
        self._sync_last()
        if len(self.holes):
            _log.warning('%s: %d damaged records are skipped', directory, len(self.holes))

    def _sync_last(self) -> None:
        """Make durable what a killed writer had only handed to the kernel."""
        end = self._state[0]
        path = segment_path(self.directory, max(end - 1, 0) // self._segment_records)
        if end > self._start and path.exists():
            with self._opened(path) as fd:
                self._files.sync(fd)
        self._synced = end

    def _cut_torn(self) -> int:
        """Zero the one record that a kill may have torn; return how many were."""
        reason = unexplained(self)
        if reason:
            raise ReplayError(
                f'{reason}; nothing was changed: see `sac_ros replay repair {self.directory}`'
            )
        torn = self.after_end()
        size, width = self._segment_records, self.layout.record_bytes
        for sequence in torn.tolist():
            with self._opened(segment_path(self.directory, sequence // size)) as fd:
                write_all(self._files, fd, memoryview(bytes(width)), sequence % size * width)
                self._files.sync(fd)
        return int(torn.size)

    @contextlib.contextmanager
    def _opened(self, segment: Path) -> Iterator[int]:
        fd = self._files.open(segment, os.O_RDWR)
        try:
            yield fd
        finally:
            os.close(fd)

    def _create_spec(self, directory: Path) -> None:
        create(self._files, directory / SPEC_FILE, spec_text(self.spec).encode())

    def _next_segment(self) -> None:
        """Go to the segment of the next record, making it if need be."""
        size, files, end = self._segment_records, self._files, self._state[0]
        number = end // size
        path, size_bytes = segment_path(self.directory, number), size * self.layout.record_bytes
        if self._fd >= 0 and (self._synced < end or self._unsure):
            self._sync(end)  # later only the new segment is open
        if not path.exists():
            create(files, path, size=size_bytes)
        fd = files.open(path, os.O_RDWR)
        old, self._fd = self._fd, fd
        if old >= 0:
            os.close(old)
        files.allocate(fd, size_bytes)  # a sparse copy has the size without the space
        self._show_segments(range(self._start // size, number + 1))
        self._drop_old()
        self._record = files.recorder(fd, size_bytes)
        self._segment_end = (number + 1) * size

    def _drop_old(self) -> None:
        """Remove or archive the segments that hold none of the newest `capacity` records."""
        size, files = self._segment_records, self._files
        keep = (self._state[0] - self._capacity) // size if self._capacity else 0
        old = [n for n in segment_numbers(self.directory) if n < keep]
        if not old:
            return
        target = self.directory / ARCHIVE
        if self._archive and not (target / SPEC_FILE).exists():
            make_directory(files, target)
            self._create_spec(target)
        for number in old:
            path = segment_path(self.directory, number)
            if self._archive:
                files.rename(path, target / path.name)
            else:
                files.remove(path)
        if self._archive:  # first, or a power cut could lose both names
            files.sync_directory(target)
        files.sync_directory(self.directory)
        self._forget_before((old[-1] + 1) * size)

    def _abandon(self) -> None:
        """Close without another word to the disk."""
        self._pool.shutdown()
        fd, self._fd, self._closed, self._due = self._fd, -1, True, 0
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
        spec.require_equal(found, 'this run', f'replay directory {directory}')
        return found
    strange = [
        path.name
        for path in directory.iterdir()
        if path.name not in (LOCK_FILE, ARCHIVE, COPIES) and path.suffix not in ('.seg', '.tmp')
    ]
    if strange:
        raise ReplayError(
            f'{directory} is not a replay directory: it has no {SPEC_FILE} but {strange[0]}; '
            'name an empty or a new directory'
        )
    return None
