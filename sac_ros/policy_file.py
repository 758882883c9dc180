"""The bytes of a policy file: read, check its seal, look inside before any parser is let near.

An ONNX file is a protobuf message, and protobuf messages may be joined end to end. So the seal is
a metadata entry at the very end, whose value is the SHA-256 of every byte before it: a file that
was cut, changed or rewritten is refused before ONNX Runtime sees it. The seal shows damage, not
who wrote the file: to accept one file alone, pin the SHA-256 of the whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sac_ros.errors import PolicyError

SEAL_KEY = 'sac_ros.sha256'
MAX_BYTES = 64 * 2**20
OPSETS = range(13, 24)  # of the operators of ONNX itself; no others may be used
FORBIDDEN_OPERATORS = ('If', 'Loop', 'Scan', 'SequenceMap')  # time without bound, hidden graphs

# Numbers of fields, from onnx.proto.
_GRAPH, _OPSET_IMPORT, _METADATA, _TRAINING, _FUNCTIONS = 7, 8, 14, 20, 25
_NODE, _INITIALIZER, _OPERATOR, _NODE_DOMAIN = 1, 5, 4, 7
_DOMAIN, _VERSION = 1, 2
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# How a tensor stored outside the file begins, wherever it hides: key `location`, then a path.
_LOCATION = b'\n\x08location\x12'
_SEAL_HEAD = bytes([_METADATA << 3 | _BYTES, 82, 10, 14]) + SEAL_KEY.encode() + b'\x12\x40'


def sealed(model: bytes) -> bytes:
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
    """Return the bytes of a policy file that is whole and holds nothing it must not.

    Raises:
        PolicyError: it cannot be read, is too large, changed, or not of the allowed kind.
    """
    try:
        with path.open('rb') as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PolicyError(f'cannot read the policy {path}: {error.strerror}') from error
    if len(data) > MAX_BYTES:
        raise PolicyError(f'{path} is too large; a policy has at most {MAX_BYTES} bytes')
    _check_seal(data, path)
    try:
        _check_model(data, path)
    except (IndexError, UnicodeDecodeError) as error:
        raise PolicyError(f'{path} is not a readable ONNX file: {error}') from error
    return data


def _check_seal(data: bytes, path: Path) -> None:
    body, seal = data[: -len(_SEAL_HEAD) - 64], data[-len(_SEAL_HEAD) - 64 :]
    if not seal.startswith(_SEAL_HEAD):
        raise PolicyError(
            f'{path} does not end with {SEAL_KEY!r}: it was not exported by sac_ros, by an older '
            'one, or is cut short; export it again with `sac_ros export`'
        )
    if seal != sealed(body)[len(body) :]:
        raise PolicyError(
            f'{path} was changed after its export: its SHA-256 is not the one at its end; '
            'copy it again, or export it again with `sac_ros export`'
        )


def _check_model(data: bytes, path: Path) -> None:
    if _LOCATION in data:
        raise PolicyError(f'{path} keeps tensors in other files, which is refused')
    opsets: dict[str, int] = {}
    for field in _fields(data):
        if field.number in (_TRAINING, _FUNCTIONS):
            raise PolicyError(f'{path} holds functions or training, which is refused')
        if field.number == _OPSET_IMPORT:
            parts = {part.number: part for part in _fields(field.data)}
            domain = parts[_DOMAIN].data.decode() if _DOMAIN in parts else ''
            opsets[domain] = parts[_VERSION].value if _VERSION in parts else 0
        elif field.number == _GRAPH:
            _check_graph(field.data, path)
    if set(opsets) != {''} or opsets[''] not in OPSETS:
        raise PolicyError(
            f'{path} uses the operator sets {opsets}; allowed are those of ONNX itself, '
            f'{OPSETS[0]} to {OPSETS[-1]}'
        )


def _check_graph(graph: bytes, path: Path) -> None:
    for field in _fields(graph):
        if field.number == _NODE:
            parts = {part.number: part.data for part in _fields(field.data)}
            name, domain = parts.get(_OPERATOR, b'').decode(), parts.get(_NODE_DOMAIN, b'')
            if domain or name in FORBIDDEN_OPERATORS:
                raise PolicyError(f'{path} uses the operator {domain.decode()}{name}, refused')
        elif field.number == _INITIALIZER:
            for part in _fields(field.data):
                elsewhere = part.number == _DATA_LOCATION and part.value
                if elsewhere or part.number == _EXTERNAL_DATA:
                    raise PolicyError(f'{path} keeps tensors in other files, which is refused')


class _Field(NamedTuple):
    number: int
    value: int  # of a varint
    data: bytes  # of everything else


def _fields(message: bytes) -> Iterator[_Field]:
    """Yield the fields of an encoded message; IndexError when it ends too early."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind, value, size = tag & 7, 0, 0
        if kind == _VARINT:
            value, at = _varint(message, at)
        elif kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise IndexError(f'a field has the unknown kind {kind}')
        if at + size > len(message):
            raise IndexError('it ends in the middle of a field')
        yield _Field(tag >> 3, value, message[at : at + size])
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return a number of variable length and where the next field begins."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
