"""Segment files mapped side by side, so that a whole replay is one matrix.

Sampling over hundreds of segments is then one gather, whatever segment each row lies in. Python's
mmap cannot place a mapping at an address, hence the call into the C library.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref

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
_FAILED = ctypes.c_void_p(-1).value
_FIXED = 0x10  # MAP_FIXED
_NORESERVE = 0x4000  # MAP_NORESERVE
_EMPTY = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE


def _map(address: int | None, size: int, flags: int, fd: int = -1) -> int:
    result = _libc.mmap(address, size, mmap.PROT_READ, flags, fd, 0)
    if result is None or result == _FAILED:
        code = ctypes.get_errno()
        raise ReplayError(
            f'cannot map {size} bytes of replay: {os.strerror(code)}; '
            'raise the limits on address space (ulimit -v) and on mappings (vm.max_map_count)'
        )
    return int(result)


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

    def place(self, slot: int, fd: int) -> None:
        """Show a file in a slot. A file cut short shows zeros after its end, not a bus error."""
        size = min(os.fstat(fd).st_size, self._slot_bytes)
        if size:
            address = self._region.address + slot * self._slot_bytes
            _map(address, size, mmap.MAP_SHARED | _FIXED, fd)

    def clear(self, slot: int) -> None:
        """Let go of a slot's file, so that the disk gets the space of a deleted one back."""
        address = self._region.address + slot * self._slot_bytes
        _map(address, self._slot_bytes, _EMPTY | _FIXED)
