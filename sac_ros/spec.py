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

"""Specification of a policy: what it observes and commands."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sac_ros import strict_json
from sac_ros.errors import ConfigError, SpecMismatch

FORMAT_VERSION = 1
MAX_SIZE = 10**6  # of an observation field


@dataclass(frozen=True)
class ObservationField:
    """A named slice of the observation vector."""

    name: str
    size: int
    unit: str


@dataclass(frozen=True)
class PolicySpec:
    """What a policy expects and gives; replay, checkpoint and ONNX file carry it.

    The environment makes it. A joint is always found by its name. Limits that do not exist are
    infinite.
    """

    joint_names: tuple[str, ...]
    observation: tuple[ObservationField, ...]
    torque_limit: tuple[
        float, ...
    ]  # [N·m]; half the action range of an environment without joints
    position_lower: tuple[float, ...]  # [rad]
    position_upper: tuple[float, ...]  # [rad]
    velocity_limit: tuple[float, ...]  # [rad/s]
    control_period: float  # [s]
    model_hash: str  # SHA-256 of kinematics, inertias, limits and tip, or the environment's id
    torque_offset: tuple[float, ...] = ()  # middle of the action range; () means zero
    gravity_compensated: bool = (
        True  # whether the robot adds its own gravity torque to the command
    )
    base_frame: str = ''  # of goals and kinematics; '' if not known, as in older files
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        n = len(self.joint_names)
        if not self.torque_offset:
            object.__setattr__(self, 'torque_offset', (0.0,) * n)
        for name in (
            'torque_limit',
            'position_lower',
            'position_upper',
            'velocity_limit',
            'torque_offset',
        ):
            if len(getattr(self, name)) != n:
                raise ConfigError(f'{name} has {len(getattr(self, name))} values for {n} joints')
        if len(set(self.joint_names)) != n:
            raise ConfigError(f'joint names repeat: {self.joint_names}')
        if not all(math.isfinite(limit) and limit > 0 for limit in self.torque_limit):
            raise ConfigError(
                f'torque limits must be finite and above zero, are {self.torque_limit}'
            )
        if not (math.isfinite(self.control_period) and self.control_period > 0):
            raise ConfigError(f'control_period must be above zero, is {self.control_period}')

    @classmethod
    def of_sizes(cls, n_observation: int, n_action: int) -> PolicySpec:
        """Return a specification of transitions that belong to no robot.

        Args:
            n_observation: length of the observation vector.
            n_action: length of the action vector; actions lie in [-1, 1].

        Raises:
            ConfigError: a size is not above zero.
        """
        if n_observation < 1 or n_action < 1:
            raise ConfigError(
                f'n_observation {n_observation} and n_action {n_action} must be above zero'
            )
        return cls(
            joint_names=tuple(f'action{i}' for i in range(n_action)),
            observation=(ObservationField('observation', n_observation, ''),),
            torque_limit=(1.0,) * n_action,
            position_lower=(-math.inf,) * n_action,
            position_upper=(math.inf,) * n_action,
            velocity_limit=(math.inf,) * n_action,
            control_period=1.0,
            model_hash='',
            gravity_compensated=False,
        )

    @property
    def n_observation(self) -> int:
        """Length of the observation vector."""
        return sum(field.size for field in self.observation)

    @property
    def n_action(self) -> int:
        """Length of the action vector, one per joint."""
        return len(self.joint_names)

    def slices(self) -> dict[str, slice]:
        """Where each named field lies in the observation vector."""
        ends = np.cumsum([field.size for field in self.observation]).tolist()
        return {
            f.name: slice(end - f.size, end) for f, end in zip(self.observation, ends, strict=True)
        }

    def to_json(self) -> str:
        """Standard JSON with sorted keys; an infinite limit is written as null."""

        def plain(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: plain(item) for key, item in value.items()}
            if isinstance(value, list | tuple):
                return [plain(item) for item in value]
            return None if isinstance(value, float) and not math.isfinite(value) else value

        return json.dumps(plain(dataclasses.asdict(self)), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> PolicySpec:
        """Read what `to_json` wrote.

        Raises:
            SpecMismatch: the text is not a specification of this format version: a field is
                missing, unknown, repeated, of another type, or not finite.
        """
        try:
            data = strict_json.loads(text)
            version = data.get('format_version') if isinstance(data, dict) else None
            if version != FORMAT_VERSION:
                raise SpecMismatch(
                    f'specification has format version {version}, '
                    f'this program reads {FORMAT_VERSION}'
                )
            fields = {field.name for field in dataclasses.fields(cls)}
            if set(data) - fields:
                raise ValueError(f'unknown fields {sorted(set(data) - fields)}')
            return cls(**{name: _READ[name](name, value) for name, value in data.items()})
        except (ValueError, TypeError, ConfigError) as error:
            raise SpecMismatch(f'not a policy specification: {error}') from error

    def require_equal(self, other: PolicySpec, mine: str, theirs: str) -> None:
        """Raise SpecMismatch, showing both sides of the first differing fields, unless equal.

        A base frame that is not known is taken as the same.

        Args:
            other: the specification to compare with.
            mine: what carries this one, e.g. `policy arm.onnx`.
            theirs: what carries the other one, e.g. `replay directory runs/arm/replay`.
        """
        names = [field.name for field in dataclasses.fields(self)]
        different = [n for n in names if getattr(self, n) != getattr(other, n)]
        if '' in (self.base_frame, other.base_frame) and 'base_frame' in different:
            different.remove('base_frame')
        if different:
            sides = '; '.join(
                f'{name}: {mine} has {_short(getattr(self, name))}, '
                f'{theirs} has {_short(getattr(other, name))}'
                for name in different
            )
            raise SpecMismatch(f'{mine} and {theirs} are for different robots or tasks ({sides})')


_Reader = Callable[[str, Any], Any]


def _names(name: str, value: Any) -> tuple[str, ...]:
    names = strict_json.items(name, value, str)
    if not all(names):
        raise ValueError(f'{name} holds an empty name')
    return names


def _limits(missing: float) -> _Reader:
    """Return a reader of limits, of which null stands for one that does not exist."""

    def read(name: str, value: Any) -> tuple[float, ...]:
        values = strict_json.items(name, value, object)
        return tuple(missing if v is None else strict_json.number(name, v) for v in values)

    return read


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    values = strict_json.items(name, value, object)
    return tuple(strict_json.number(name, v) for v in values)


def _fields(name: str, value: Any) -> tuple[ObservationField, ...]:
    fields = strict_json.items(name, value, dict)
    wanted = {field.name: str for field in dataclasses.fields(ObservationField)} | {'size': int}
    for field in fields:
        if set(field) != set(wanted):
            raise ValueError(f'a field of {name} has {sorted(field)}, must have {sorted(wanted)}')
        for part, kind in wanted.items():
            strict_json.exact(f'{part} of {name}', field[part], kind)
        if not field['name'] or not 0 < field['size'] <= MAX_SIZE:
            raise ValueError(f'{name} holds a field {field["name"]!r} of size {field["size"]}')
    if len({field['name'] for field in fields}) != len(fields):
        raise ValueError(f'names of {name} repeat')
    return tuple(ObservationField(**field) for field in fields)


def _exact(kind: type) -> _Reader:
    return lambda name, value: strict_json.exact(name, value, kind)


# How each field of a specification is read from JSON.
_READ: dict[str, _Reader] = {
    'joint_names': _names,
    'observation': _fields,
    'torque_limit': _numbers,
    'torque_offset': _numbers,
    'position_lower': _limits(-math.inf),
    'position_upper': _limits(math.inf),
    'velocity_limit': _limits(math.inf),
    'control_period': strict_json.number,
    'model_hash': _exact(str),
    'base_frame': _exact(str),
    'gravity_compensated': _exact(bool),
    'format_version': _exact(int),
}


def _short(value: object) -> str:
    if isinstance(value, Sequence) and value and isinstance(value[0], ObservationField):
        return '(' + ', '.join(f'{f.name}[{f.size}]' for f in value) + ')'
    return str(value)
