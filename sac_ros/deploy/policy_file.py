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

"""The bytes of a policy file: find it, read it, check its seal.

An ONNX file is a protobuf message, and protobuf messages may be joined end to end. So the seal is
a metadata entry at the very end, whose value is the SHA-256 of every byte before it: a file that
was cut, changed or rewritten is refused before ONNX Runtime sees it. The seal shows damage, not
who wrote the file: to accept one file alone, pin the SHA-256 of the whole.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from sac_ros.errors import PolicyError

SEAL_KEY = 'sac_ros.sha256'
MAX_BYTES = 64 * 2**20
_METADATA_FIELD = 14 << 3 | 2  # number of the model's metadata in onnx.proto, and its wire type
_SEAL_HEAD = bytes([_METADATA_FIELD, 82, 10, 14]) + SEAL_KEY.encode() + b'\x12\x40'


def append_checksum(model: bytes) -> bytes:
    """Return an encoded model with the seal at its end."""
    return model + _SEAL_HEAD + hashlib.sha256(model).hexdigest().encode()


def find_policy(path: str | Path) -> Path:
    """Return the policy file that a path means: the file itself, or the one of a run directory.

    Raises:
        PolicyError: the directory holds no policy.
    """
    given = Path(path)
    if not given.is_dir():
        return given
    file = given / 'policy.onnx'
    if not file.exists():
        raise PolicyError(
            f'{given} holds no policy.onnx: let its training end, or write it with '
            f'`sac_ros export {given}`'
        )
    return file


def read(path: Path) -> bytes:
    """Return the bytes of a policy file that is whole.

    Raises:
        PolicyError: it cannot be read, is too large, or was changed.
    """
    try:
        with path.open('rb') as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PolicyError(f'cannot read the policy {path}: {error.strerror}') from error
    if len(data) > MAX_BYTES:
        raise PolicyError(f'{path} is too large; a policy has at most {MAX_BYTES} bytes')
    _check_seal(data, path)
    return data


def _check_seal(data: bytes, path: Path) -> None:
    body, seal = data[: -len(_SEAL_HEAD) - 64], data[-len(_SEAL_HEAD) - 64 :]
    if not seal.startswith(_SEAL_HEAD):
        raise PolicyError(
            f'{path} does not end with {SEAL_KEY!r}: it was not exported by sac_ros, by an older '
            'one, or is cut short; export it again with `sac_ros export`'
        )
    if seal != append_checksum(body)[len(body) :]:
        raise PolicyError(
            f'{path} was changed after its export: its SHA-256 is not the one at its end; '
            'copy it again, or export it again with `sac_ros export`'
        )
