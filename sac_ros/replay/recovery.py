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

"""What lies after the last whole record: explain it, and repair only what is understood.

A kill tears at most the one record that was being written. Anything else after the end has another
cause, such as power loss, a damaged specification or a file in the wrong place.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
    SPEC_FILE,
    first_sequence,
    record_bytes_of,
    segment_numbers,
    segment_path,
)
from sac_ros.replay.reader import ReplayReader
from sac_ros.replay.records import Records

COPIES = 'repaired'  # directory of the bytes that repairs replaced
LEFTOVER = re.compile(r'(spec|\d{10})\.tmp')


def foreign(records: Records) -> str:
    """Return why a segment is not one of this directory, or '' if all of them are.

    Such a segment has data but not a single whole record, so that nothing is known about it.
    """
    torn, size, layout = records.after_end(), records.segment_records, records.layout
    for number in np.unique(torn // max(size, 1)).tolist():
        path, first = segment_path(records.directory, number), number * size
        if first < records.end:
            continue  # its last whole record is the end
        length, there = record_bytes_of(path), first_sequence(path, layout)
        if length and length != layout.record_bytes:
            return (
                f'{path} does not fit: its records have {length} bytes, {SPEC_FILE} describes '
                f'{layout.record_bytes}; one of the two is damaged or of another robot'
            )
        if there is not None and there != first:
            return (
                f'{path} does not fit: it holds records from number {there}, where number {first} '
                'belongs; give it its own name again, or move it away'
            )
        if torn.tolist() != [records.end]:
            return (
                f'{path} holds data but no whole record; move it away if it is of no use, or put '
                'back a copy'
            )
    return ''


def unexplained(records: Records) -> str:
    """Return why what lies after the end is more than a kill leaves, or ''."""
    torn = records.after_end()
    if not torn.size:
        return ''
    reason = foreign(records)
    if reason or torn.tolist() == [records.end]:
        return reason
    return (
        f'{records.directory}: {torn.size} records that are not whole lie after number '
        f'{records.end - 1}, where a kill leaves at most one'
    )


@dataclass(frozen=True)
class Plan:
    """The changes of a repair."""

    torn: NDArray[np.int64]  # sequence numbers of the records to cut
    short: list[int]  # numbers of the segments to complete
    leftovers: list[Path]  # files to remove


def plan_repair(records: Records) -> Plan:
    """Return what a repair would change.

    Raises:
        ReplayError: a segment is not understood, so nothing may be changed.
    """
    reason = foreign(records)
    if reason:
        raise ReplayError(f'{reason}; nothing was changed')
    directory = records.directory
    size_bytes = records.segment_records * records.layout.record_bytes
    numbers = segment_numbers(directory)
    return Plan(
        records.after_end(),
        [n for n in numbers if segment_path(directory, n).stat().st_size < size_bytes],
        sorted(path for path in directory.iterdir() if LEFTOVER.fullmatch(path.name)),
    )


def repair(directory: str | Path, *, yes: bool = False, files: FileSystem | None = None) -> Plan:
    """Cut torn records, complete files cut short, remove leftovers; return what was changed.

    Replaced bytes are copied to `repaired/` first.

    Args:
        directory: the replay directory.
        yes: cut more than the one record that a kill explains.
        files: the calls that touch the disk.

    Raises:
        ReplayError: it is being written, it is not understood, or the disk fails.
    """
    directory, files = Path(directory), files or FileSystem()
    ReplayReader(directory)  # refuse what is no replay directory before it gets a lock file
    try:
        lock = Lock(directory)
        try:
            records = ReplayReader(directory)
            plan = plan_repair(records)
            if unexplained(records) and not yes:
                raise ReplayError(f'{unexplained(records)}; nothing was changed without --yes')
            _apply(plan, records, files)
        finally:
            lock.release()
    except OSError as error:
        raise disk_error('repair', directory, error) from error
    return plan


def _apply(plan: Plan, records: Records, files: FileSystem) -> None:
    directory, size = records.directory, records.segment_records
    width = records.layout.record_bytes
    if plan.torn.size:
        make_directory(files, directory / COPIES)
    for sequence in plan.torn.tolist():
        fd = files.open(segment_path(directory, sequence // size), os.O_RDWR)
        try:
            offset = sequence % size * width
            old = os.pread(fd, width, offset)
            create(files, _free_name(directory / COPIES, sequence), old)
            write_all(files, fd, memoryview(bytes(len(old))), offset)
            files.sync(fd)
        finally:
            os.close(fd)
    for number in plan.short:
        fd = files.open(segment_path(directory, number), os.O_RDWR)
        try:
            files.allocate(fd, size * width)
            files.sync(fd)
        finally:
            os.close(fd)
    for path in plan.leftovers:
        files.remove(path)


def _free_name(directory: Path, sequence: int) -> Path:
    number = 0
    while (path := directory / f'{sequence}-{number}.bin').exists():
        number += 1
    return path
