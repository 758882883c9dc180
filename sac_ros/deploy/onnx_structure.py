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

"""Structure of an ONNX file, checked before a parser sees it: allow-lists of fields and operators.

A protobuf parser takes the last of repeated fields and skips fields of another type or number, so
that two readers can see two graphs in one file. Here every field must be known, of its type, and
there once unless it is a list. What is not listed is refused: subgraphs, functions, training,
tensors in other files, sparse and quantized tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from sac_ros.errors import PolicyError

OPSETS = range(13, 24)  # of the operators of ONNX itself; no others may be used
MAX_METADATA = 2**20  # bytes
# The time and memory of each are bounded by the sizes of its inputs and outputs.
OPERATORS = frozenset({
    'Abs', 'Acos', 'Add', 'And', 'Asin', 'Atan', 'BatchNormalization', 'Cast', 'Ceil', 'Clip',
    'Concat', 'Constant', 'ConstantOfShape', 'Cos', 'CumSum', 'Div', 'Dropout', 'Elu', 'Equal',
    'Erf', 'Exp', 'Expand', 'Flatten', 'Floor', 'Gather', 'GatherElements', 'Gelu', 'Gemm',
    'Greater', 'GreaterOrEqual', 'HardSigmoid', 'Identity', 'IsInf', 'IsNaN', 'LayerNormalization',
    'LeakyRelu', 'Less', 'LessOrEqual', 'Log', 'LogSoftmax', 'MatMul', 'Max', 'Mean', 'Min', 'Mod',
    'Mul', 'Neg', 'Not', 'Or', 'Pow', 'Reciprocal', 'ReduceL2', 'ReduceMax', 'ReduceMean',
    'ReduceMin', 'ReduceProd', 'ReduceSum', 'ReduceSumSquare', 'Relu', 'Reshape', 'Round',
    'ScatterElements', 'ScatterND', 'Selu', 'Shape', 'Sigmoid', 'Sign', 'Sin', 'Slice', 'Softmax',
    'Softplus', 'Softsign', 'Split', 'Sqrt', 'Squeeze', 'Sub', 'Sum', 'Tan', 'Tanh', 'Tile',
    'Transpose', 'Trilu', 'Unsqueeze', 'Where', 'Xor',
})  # fmt: skip


class Structure(NamedTuple):
    """What a file says of itself."""

    ir_version: int
    opset: int
    producer: str  # name and version of the exporter

    def __str__(self) -> str:
        """Return it as part of an error message."""
        return f'IR version {self.ir_version}, opset {self.opset}, written by {self.producer}'


def check_structure(data: bytes, path: Path) -> Structure:
    """Check an encoded model and return what it says of itself.

    Raises:
        PolicyError: it is no ONNX file, or it holds what is not listed here.
    """
    opsets: list[tuple[str, int]] = []
    model: _Parts = {}
    try:
        for message, parts in _walk(memoryview(data), _MODEL):
            if message is _MODEL:
                model = parts
            elif message is _OPSET:
                opsets.append((_text(parts, 1), _number(parts, 2)))
            elif message is _NODE:
                operator, domain = _text(parts, 4), _text(parts, 7)
                if domain or operator not in OPERATORS:
                    raise _Refusal(f'uses the operator {domain}{operator}')
        producer = f'{_text(model, 2)} {_text(model, 3)}'.strip()
    except (IndexError, UnicodeDecodeError) as error:
        raise PolicyError(f'{path} is not a readable ONNX file: {error}') from error
    except _Refusal as error:
        raise PolicyError(f'{path} {error}, which is refused') from error
    if sum(len(field.data) for field in model.get(14, [])) > MAX_METADATA:
        raise PolicyError(f'{path} has more than {MAX_METADATA} bytes of metadata')
    if len(opsets) != 1 or opsets[0][0] or opsets[0][1] not in OPSETS:
        raise PolicyError(
            f'{path} uses the operator sets {opsets}; allowed is one of those of ONNX itself, '
            f'{OPSETS[0]} to {OPSETS[-1]}'
        )
    return Structure(_number(model, 1), opsets[0][1], producer)


class _Refusal(Exception):
    """What a file holds that it must not."""


class _Field(NamedTuple):
    wire: int
    value: int  # of a varint
    data: memoryview  # of everything else


_Parts = dict[int, list[_Field]]  # fields of a message by their numbers

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Kind(NamedTuple):
    """Type of a field."""

    wires: tuple[int, ...]
    many: bool = False  # whether it is a list
    inside: _Message | None = None


class _Message(NamedTuple):
    """Message of onnx.proto: its fields by number; a text is the reason why one is refused."""

    name: str
    fields: Mapping[int, _Kind | str]


_INT, _INTS = _Kind((_VARINT,)), _Kind((_VARINT, _BYTES), many=True)  # a list may be packed
_FLOAT, _FLOATS = _Kind((_FIXED32,)), _Kind((_FIXED32, _BYTES), many=True)
_DOUBLES = _Kind((_FIXED64, _BYTES), many=True)
_TEXT, _TEXTS = _Kind((_BYTES,)), _Kind((_BYTES,), many=True)
_ELSEWHERE = 'keeps tensors in other files'
_HIDDEN = 'holds graphs within operators'
_SPARSE = 'holds sparse or quantized tensors'
_CODE = 'holds functions or training'


def _one(message: _Message) -> _Kind:
    return _Kind((_BYTES,), inside=message)


def _list(message: _Message) -> _Kind:
    return _Kind((_BYTES,), many=True, inside=message)


_PROPERTY = _Message('metadata', {1: _TEXT, 2: _TEXT})
_TENSOR = _Message('tensor', {
    1: _INTS, 2: _INT, 4: _FLOATS, 5: _INTS, 7: _INTS, 8: _TEXT, 9: _TEXT, 10: _DOUBLES,
    11: _INTS, 12: _TEXT, 13: _ELSEWHERE, 14: _ELSEWHERE, 16: _list(_PROPERTY),
})  # fmt: skip
_DIMENSION = _Message('dimension', {1: _INT, 2: _TEXT, 3: _TEXT})
_SHAPE = _Message('shape', {1: _list(_DIMENSION)})
_TENSOR_TYPE = _Message('tensor type', {1: _INT, 2: _one(_SHAPE)})
_TYPE = _Message('type', {1: _one(_TENSOR_TYPE), 6: _TEXT})
_VALUE = _Message('value', {1: _TEXT, 2: _one(_TYPE), 3: _TEXT, 4: _list(_PROPERTY)})
_ATTRIBUTE = _Message('attribute', {
    1: _TEXT, 2: _FLOAT, 3: _INT, 4: _TEXT, 5: _one(_TENSOR), 6: _HIDDEN, 7: _FLOATS, 8: _INTS,
    9: _TEXTS, 11: _HIDDEN, 13: _TEXT, 20: _INT, 22: _SPARSE, 23: _SPARSE,
})  # fmt: skip
_NODE = _Message('node', {
    1: _TEXTS, 2: _TEXTS, 3: _TEXT, 4: _TEXT, 5: _list(_ATTRIBUTE), 6: _TEXT, 7: _TEXT,
    9: _list(_PROPERTY),
})  # fmt: skip
_GRAPH = _Message('graph', {
    1: _list(_NODE), 2: _TEXT, 5: _list(_TENSOR), 10: _TEXT, 11: _list(_VALUE), 12: _list(_VALUE),
    13: _list(_VALUE), 14: _SPARSE, 15: _SPARSE, 16: _list(_PROPERTY),
})  # fmt: skip
_OPSET = _Message('operator set', {1: _TEXT, 2: _INT})
_MODEL = _Message('model', {
    1: _INT, 2: _TEXT, 3: _TEXT, 4: _TEXT, 5: _INT, 6: _TEXT, 7: _one(_GRAPH), 8: _list(_OPSET),
    14: _list(_PROPERTY), 20: _CODE, 25: _CODE,
})  # fmt: skip


def _text(parts: _Parts, number: int) -> str:
    return bytes(parts[number][0].data).decode() if number in parts else ''


def _number(parts: _Parts, number: int) -> int:
    return parts[number][0].value if number in parts else 0


def _walk(data: memoryview, message: _Message) -> Iterator[tuple[_Message, _Parts]]:
    """Yield the fields of a message, then of the messages inside it.

    Raises:
        IndexError: it ends too early, or is not an encoded message.
        _Refusal: a field is unknown, of another type, repeated, or not allowed.
    """
    parts: _Parts = {}
    for number, field in _fields(data):
        kind = message.fields.get(number, f'has the unknown field {number} in a {message.name}')
        if isinstance(kind, str):
            raise _Refusal(kind)
        if field.wire not in kind.wires:
            raise _Refusal(f'has field {number} of a {message.name} with another type')
        if number in parts and not kind.many:
            raise _Refusal(f'has field {number} of a {message.name} more than once')
        parts.setdefault(number, []).append(field)
    yield message, parts
    for number, fields in parts.items():
        kind = message.fields[number]
        if isinstance(kind, _Kind) and kind.inside is not None:
            for field in fields:
                yield from _walk(field.data, kind.inside)


def _fields(message: memoryview) -> Iterator[tuple[int, _Field]]:
    """Yield number and content of each field; IndexError if it is not an encoded message."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire, value, size = tag & 7, 0, 0
        if wire == _VARINT:
            value, at = _varint(message, at)
        elif wire == _BYTES:
            size, at = _varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise IndexError(f'a field has the unknown wire type {wire}')
        if at + size > len(message):
            raise IndexError('it ends in the middle of a field')
        yield tag >> 3, _Field(wire, value, message[at : at + size])
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a number of variable length and where the next field begins."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
    raise IndexError('a number has more than ten bytes')
