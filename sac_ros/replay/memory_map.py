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

"""Segment files mapped side by side, so that a whole replay is one matrix.

Sampling over hundreds of segments is then one gather, whatever segment each row lies in. Python's
mmap cannot place a mapping at an address, hence the call into the C library.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import weakref
from collections.abc import Iterator

import numpy as np

from sac_ros.errors import ReplayError
from sac_ros.replay.format import Rows

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
_libc.munmap.restype = ctypes.c_int
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.fstatfs.restype = ctypes.c_int
_libc.fstatfs.argtypes = [ctypes.c_int, ctypes.c_void_p]
_FAILED = ctypes.c_void_p(-1).value
_FIXED = 0x10  # MAP_FIXED
_NORESERVE = 0x4000  # MAP_NORESERVE
_TMPFS = 0x01021994  # TMPFS_MAGIC
_EMPTY = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE


def _map(address: int | None, size: int, flags: int, fd: int = -1, offset: int = 0) -> int:
    if not size:
        return address or 0
    result = _libc.mmap(address, size, mmap.PROT_READ, flags, fd, offset)
    if result is None or result == _FAILED:
        code = ctypes.get_errno()
        raise ReplayError(
            f'cannot map {size} bytes of replay: {os.strerror(code)}; '
            'raise the limits on address space (ulimit -v) and on mappings (vm.max_map_count)'
        )
    return int(result)


def _on_tmpfs(fd: int) -> bool:
    status = (ctypes.c_long * 32)()  # struct statfs begins with the kind of file system
    return _libc.fstatfs(fd, status) == 0 and status[0] == _TMPFS


def _extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the parts (start, end) of a sparse file that have data, in whole memory pages."""
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole follows
                return
            raise
        start -= start % mmap.PAGESIZE
        end = os.lseek(fd, start, os.SEEK_HOLE)
        end = -(-end // mmap.PAGESIZE) * mmap.PAGESIZE
        yield start, min(end, size)


class _Region:
    """Reserved addresses that live as long as any array that looks into them."""

    def __init__(self, size: int) -> None:
        self.address = _map(None, size, _EMPTY)
        # Not at exit: arrays may still be read while the interpreter shuts down.
        weakref.finalize(self, _libc.munmap, self.address, size).atexit = False
        self.__array_interface__ = {
            'shape': (size // 4,),
            'typestr': '<f4',
            'data': (self.address, True),
            'version': 3,
        }


class SegmentMap:
    """`slots` segments of one size at consecutive addresses; a slot without a file reads zero."""

    def __init__(self, slots: int, slot_bytes: int, words: int) -> None:
        self.slots = slots
        self._slot_bytes = slot_bytes
        self._region = _Region(slots * slot_bytes)
        self.matrix: Rows = np.asarray(self._region).reshape(-1, words)  # (slots*R, words)

    def place(self, slot: int, fd: int) -> bool:
        """Show a file in a slot; return False if holes of it are left out.

        What a file lacks reads as zeros. Holes on tmpfs are left out: reading one takes space, and
        where there is none, the process would end with SIGBUS.
        """
        status = os.fstat(fd)
        size = min(status.st_size, self._slot_bytes)
        address = self._region.address + slot * self._slot_bytes
        complete = 512 * status.st_blocks >= size or not _on_tmpfs(fd)
        for start, end in [(0, size)] if complete else _extents(fd, size):
            _map(address + start, end - start, mmap.MAP_SHARED | _FIXED, fd, start)
        return complete

    def clear(self, slot: int) -> None:
        """Let go of a slot's file, so that the disk gets the space of a deleted one back."""
        address = self._region.address + slot * self._slot_bytes
        _map(address, self._slot_bytes, _EMPTY | _FIXED)
