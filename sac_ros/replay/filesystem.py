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

"""The few calls through which a replay writer touches the disk, and the lock of its directory.

They are methods of one small class so that a test can fail, shorten or record every one of them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import socket
from collections.abc import Callable
from pathlib import Path

from sac_ros.errors import ReplayError
from sac_ros.filesystem import fix_for, sync_directory
from sac_ros.replay.format import LOCK_FILE

IN_PLACE = ('ext2', 'ext3', 'ext4', 'xfs', 'tmpfs')  # file systems


class FileSystem:
    """The operating system's calls, one method each; all raise OSError."""

    def open(self, path: Path, flags: int) -> int:
        """Open a file and return its descriptor."""
        return os.open(path, flags | os.O_CLOEXEC, 0o644)

    def allocate(self, fd: int, size: int) -> None:
        """Give a file `size` bytes of real disk space, so that writing into it cannot run out."""
        os.posix_fallocate(fd, 0, size)

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        """Write at an offset; may write less than asked and returns how much."""
        return os.pwrite(fd, data, offset)

    def recorder(self, fd: int, size: int) -> Callable[[memoryview, int], int]:
        """How records get into an open segment of `size` bytes: a function (data, offset)."""
        return lambda data, offset: self.write(fd, data, offset)

    def sync(self, fd: int) -> None:
        """Wait until the contents of a file survive power loss."""
        os.fdatasync(fd)

    def sync_directory(self, path: Path) -> None:
        """Wait until the names in a directory survive power loss."""
        sync_directory(path)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, replacing what had it."""
        os.replace(source, target)

    def remove(self, path: Path) -> None:
        """Delete a file."""
        os.unlink(path)


class MappedFileSystem(FileSystem):
    """Stores records into a memory map, which takes a quarter of the time of a system call.

    Only for file systems that overwrite allocated space in place: where a store needs new space,
    as on btrfs, a full disk would end the process with SIGBUS instead of an error.
    """

    def recorder(self, fd: int, size: int) -> Callable[[memoryview, int], int]:
        """How records get into an open segment of `size` bytes: a function (data, offset)."""
        view = memoryview(mmap.mmap(fd, size))

        def store(data: memoryview, offset: int) -> int:
            view[offset : offset + len(data)] = data
            return len(data)

        return store


def files_for(directory: Path) -> FileSystem:
    """What suits the file system that a directory is, or will be, on."""
    there = next(p for p in (directory.absolute(), *directory.absolute().parents) if p.exists())
    device = there.stat().st_dev
    wanted = f'{os.major(device)}:{os.minor(device)}'
    with contextlib.suppress(OSError):
        for line in Path('/proc/self/mountinfo').read_text().splitlines():
            mount, _, kind = line.partition(' - ')
            if mount.split()[2] == wanted:
                return MappedFileSystem() if kind.split()[0] in IN_PLACE else FileSystem()
    return FileSystem()


def write_all(files: FileSystem, fd: int, data: memoryview, offset: int) -> None:
    """Write every byte at an offset or raise OSError."""
    done = files.write(fd, data, offset)
    while done < len(data):  # a nearly full disk takes a part and then says why
        step = files.write(fd, data[done:], offset + done)
        if step == 0:
            raise OSError(errno.EIO, 'the file system takes no more bytes')
        done += step


def create(files: FileSystem, path: Path, content: bytes = b'', size: int = 0) -> None:
    """Make a file of `content`, or of `size` zero bytes, that is there whole or not at all."""
    temporary = path.with_suffix('.tmp')
    fd = files.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        if size:
            files.allocate(fd, size)
        if content:
            write_all(files, fd, memoryview(content), 0)
        files.sync(fd)
        files.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove(temporary)  # give a full disk its space back
        raise
    finally:
        os.close(fd)
    files.sync_directory(path.parent)


def make_directory(files: FileSystem, path: Path) -> None:
    """Make a directory, and those above it, so that its name survives power loss."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for made in missing:
        files.sync_directory(made.parent)


class Lock:
    """One writer per directory; the kernel releases it when the process dies.

    The directory itself is locked beside the lock file, so that removing the file lets nobody in.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / LOCK_FILE
        self._fds: list[tuple[Path, int]] = []
        try:
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._fds.append((directory, fd))
            try:
                _lock(fd, directory)
            except OSError:  # NFS locks no directories
                os.close(self._fds.pop()[1])
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._fds.append((path, fd))
            _lock(fd, directory)
            if not self.held:
                raise ReplayError(f'{path} was replaced while it was being locked; try again')
        except BaseException:
            self.release()
            raise
        text = f'process {os.getpid()} on {socket.gethostname()}'.ljust(128)
        with contextlib.suppress(OSError):  # without space only the name is missing
            os.pwrite(fd, text.encode(), 0)

    @property
    def held(self) -> bool:
        """Whether a path still leads to what is locked, by device and inode."""
        if not self._fds:
            return False
        path, fd = self._fds[0]
        try:
            return os.path.samestat(os.stat(path), os.fstat(fd))
        except OSError:
            return False

    def release(self) -> None:
        """Let another writer in."""
        while self._fds:
            os.close(self._fds.pop()[1])


def _lock(fd: int, directory: Path) -> None:
    """Take a lock or raise ReplayError; OSError where the file system has no such lock."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = ''
        with contextlib.suppress(OSError):
            holder = (directory / LOCK_FILE).read_text(errors='replace')[:128].strip()
        raise ReplayError(
            f'{directory} is being written by {holder or "another process"}; '
            'stop it or use another directory'
        ) from error


def disk_error(action: str, directory: Path, error: OSError) -> ReplayError:
    """Return the error that states the cause and the fix of a failed system call."""
    return ReplayError(
        f'cannot {action} in {directory}: {error.strerror or error}; {fix_for(error)} and try '
        'again, nothing stored before was harmed'
    )
