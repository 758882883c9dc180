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

"""A configuration class as ROS parameters: type, default, description and range in one place."""

from __future__ import annotations

import difflib
import math
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import ParameterException
from rclpy.node import Node

from sac_ros.config.base import Config, Setting, build, preset_values, settings, warn_renamed
from sac_ros.errors import ConfigError

INT64 = 2**63 - 1
C = TypeVar('C', bound=Config)


def declare(node: Node, cls: type[C]) -> C:
    """Declare every setting of `cls` as a read-only parameter and return what was given.

    The setting `gamma` of the group `sac` is the parameter `sac.gamma`.

    Raises:
        ConfigError: a given name is unknown, or a value has the wrong type or range.
    """
    values: dict[str, Any] = {}
    for setting in settings(cls):
        default = preset_values(cls, values).get(setting.name, setting.default)
        try:
            for old in sorted(undeclared(node).intersection(setting.earlier)):
                warn_renamed(old, setting.name)
                default = node.declare_parameter(
                    old, setting.type(default), descriptor(setting)
                ).value
            values[setting.name] = node.declare_parameter(
                setting.name, setting.type(default), descriptor(setting)
            ).value
        except ParameterException as error:
            raise ConfigError(_explain(setting, error)) from error
    if unknown := sorted(undeclared(node)):
        known = [setting.name for setting in settings(cls)]
        raise ConfigError('; '.join(_unknown(name, known) for name in unknown))
    config: C = build(cls, values)
    return config


def descriptor(setting: Setting) -> ParameterDescriptor:
    """Return the description, and the range or the allowed words, of one setting."""
    result = ParameterDescriptor(description=setting.text, read_only=True)
    if setting.choices:
        result.additional_constraints = f'one of {", ".join(setting.choices)}'
    if math.isinf(setting.low) and math.isinf(setting.high):
        return result
    if setting.type is float:
        bounds = FloatingPointRange(from_value=float(setting.low), to_value=float(setting.high))
        result.floating_point_range = [bounds]
    elif setting.type is int:
        low, high = max(setting.low, -INT64), min(setting.high, INT64)
        result.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    return result


def undeclared(node: Node) -> set[str]:
    """Name the parameters that were given to this node, on its command line or in a file,
    but are not declared.
    """
    given: dict[str, Any] = getattr(node, '_parameter_overrides', {})  # rclpy has no public way
    return {name for name in given if not node.has_parameter(name)}


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    hint = f'did you mean {close[0]}?' if close else f'known are {", ".join(known)}'
    return f'unknown parameter {name}: {hint}'


def _explain(setting: Setting, error: ParameterException) -> str:
    reason = ' '.join(str(error).split())
    hint = '; write it with a decimal point' if setting.type is float else ''
    wrong_type = 'expecting type' in reason
    return f'parameter {setting.name} ({setting.text}): {reason}{hint if wrong_type else ""}'
