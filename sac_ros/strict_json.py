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

"""JSON of the standard only, and values of the very types that are asked for."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


def loads(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not standard JSON, is nested too deeply, or a key is there twice.
    """
    try:
        return json.loads(text, parse_constant=_refuse, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError('JSON is nested too deeply') from error


def exact(name: str, value: Any, kind: type) -> Any:
    """Return a value of exactly this type, so that true is not 1; ValueError for another."""
    if type(value) is not kind:
        raise ValueError(f'{name} is {_short(value)}, must be of type {kind.__name__}')
    return value


def items(name: str, value: Any, kind: type) -> tuple[Any, ...]:
    """Return a list as a tuple; ValueError unless all its values are of exactly this type.

    Args:
        name: for the error.
        value: the list.
        kind: of the values; `object` stands for any.
    """
    values = exact(name, value, list)
    if kind is object:
        return tuple(values)
    return tuple(exact(f'a value of {name}', item, kind) for item in values)


def number(name: str, value: Any) -> float:
    """Return a finite number; ValueError for anything else."""
    try:
        if type(value) in (int, float) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise ValueError(f'{name} is {_short(value)}, must be a finite number')


def _short(value: Any) -> str:
    if not isinstance(value, str | int | float | None) or len(str(value)) > 60:
        return f'a value of type {type(value).__name__}'
    return repr(value)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f'{constant} is not standard JSON')


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError(f'an object with the keys {_short(", ".join(result))} repeats one')
    return result
