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

"""Writing files so that a failure names the file and leaves the old contents."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sac_ros.errors import SacRosError, StorageError

FIXES = {
    errno.ENOSPC: 'free some space',
    errno.EDQUOT: 'raise the quota',
    errno.EFBIG: 'raise the limit on file sizes (ulimit -f)',
    errno.EROFS: 'mount the disk for writing',
    errno.EACCES: 'make the directory writable',
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR, errno.EISDIR), 'use another path'),
}


def fix_for(error: OSError) -> str:
    """Return what a person can do about an error of the disk."""
    return FIXES.get(error.errno or 0, 'check the disk')


@contextlib.contextmanager
def writing(path: Path, kind: type[SacRosError] = StorageError) -> Iterator[None]:
    """Turn an OSError inside into one error that names the file.

    Args:
        path: the file that is being written.
        kind: the class of the error.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise kind(f'cannot write {path}: {reason}; {fix_for(error)} and try again') from error


def write_atomically(
    path: Path, content: bytes | memoryview, kind: type[SacRosError] = StorageError
) -> None:
    """Replace a file; a crash or an error at any instant leaves the old or the new contents.

    Args:
        path: the file; its directory is made if missing.
        content: the new contents, which survive power loss when this returns.
        kind: the class of the error.
    """
    temporary = path.with_name(path.name + '.tmp')
    with writing(path, kind):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open('wb') as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()  # give a full disk its space back
            raise
        sync_directory(path.parent)


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects in a file of JSON lines; a missing file or a torn line has none."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(errors='replace').splitlines():
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict)]


def sync_directory(path: Path) -> None:
    """Wait until the names in a directory survive power loss; raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
