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

"""Settings with a default, a description and a range, and their dotted names.

Command-line options and ROS parameters are both made from such classes: the field `gamma` of the
group `sac` is `--sac.gamma` on a command line and the parameter `sac.gamma` of a node.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, get_type_hints

from sac_ros.errors import ConfigError

logger = logging.getLogger(__name__)


def config_field(
    default: Any,
    text: str,
    low: float = -math.inf,
    high: float = math.inf,
    choices: tuple[str, ...] = (),
) -> Any:
    """A dataclass field with its description, closed range [low, high] or allowed words."""
    return dataclasses.field(
        default=default, metadata={'text': text, 'low': low, 'high': high, 'choices': choices}
    )


class ConfigType(type):
    """Constructor of configurations: a preset's values stand in for what is not given."""

    def __call__(cls, *args: Any, **given: Any) -> Any:
        """Make a configuration.

        A group that is given as an object replaces the preset's values for this group.
        """
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        known = {**dict(zip(names, args, strict=False)), **given}
        inside: dict[str, dict[str, Any]] = {}
        values: dict[str, Any] = {}
        for name, value in cls.presets.get(known.get('preset', ''), {}).items():  # type: ignore[attr-defined]
            group, dot, rest = name.partition('.')
            if group in known:
                continue
            if dot:
                inside.setdefault(group, {})[rest] = value
            else:
                values[name] = value
        if inside:
            types = get_type_hints(cls)
            values |= {name: types[name](**fields) for name, fields in inside.items()}
        return super().__call__(*args, **given, **values)


class Config(metaclass=ConfigType):
    """A frozen dataclass of settings that refuses values outside their range."""

    # Values by dotted name that the word in the field `preset` stands for. What is given, be it
    # the default, replaces them.
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # Current name by earlier name of a field. Earlier names are accepted for one release.
    renamed: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, Config):
                continue
            low, high = field.metadata['low'], field.metadata['high']
            choices = field.metadata['choices']
            if choices and value not in choices:
                raise ConfigError(f'{field.name} is {value!r}; choose one of {", ".join(choices)}')
            if isinstance(value, float | int) and not low <= value <= high:
                raise ConfigError(f'{field.name} is {value}; it must lie in [{low:g}, {high:g}]')


@dataclass(frozen=True)
class Setting:
    """A leaf of a configuration: its dotted name, type, default and metadata."""

    name: str
    type: type
    default: Any
    text: str
    low: float
    high: float
    choices: tuple[str, ...]
    earlier: tuple[str, ...]  # dotted names it had


def settings(
    cls: type[Config], prefix: str = '', earlier: tuple[str, ...] = ()
) -> Iterator[Setting]:
    """Yield every setting of a configuration class, groups as dotted names.

    Args:
        cls: the configuration class.
        prefix: put before every name.
        earlier: prefixes that were used before.
    """
    types = get_type_hints(cls)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        kind = types[field.name]
        name, *old = (
            f'{start}{end}'
            for start in (prefix, *earlier)
            for end in (field.name, *(k for k, v in cls.renamed.items() if v == field.name))
        )
        if issubclass(kind, Config):
            yield from settings(kind, f'{name}.', tuple(f'{o}.' for o in old))
        else:
            yield Setting(name, kind, field.default, **field.metadata, earlier=tuple(old))


def with_current_names(cls: type[Config], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by the current names of settings that may be given by earlier ones."""
    current = {old: s.name for s in settings(cls) for old in s.earlier}
    return {current.get(name, name): value for name, value in values.items()}


def warn_renamed(old: str, new: str) -> None:
    """Log that a setting was given by an earlier name."""
    logger.warning('%s is deprecated and will be removed: use %s', old, new)


def preset_values(cls: type[Config], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the presets, also of groups, that are given; by dotted names."""
    found = dict(cls.presets.get(values.get('preset', ''), {}))
    for name, kind in get_type_hints(cls).items():
        if isinstance(kind, type) and issubclass(kind, Config):
            inside = preset_values(kind, _group({**found, **values}, name))
            found = {**{f'{name}.{k}': v for k, v in inside.items()}, **found}
    return found


def _group(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    prefix = f'{name}.'
    return {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}


def build(cls: type[Any], values: Mapping[str, Any]) -> Any:
    """Make a configuration from dotted names; the rest is as the preset or the default has it.

    Raises:
        ConfigError: a name is unknown or a value is outside its range.
    """
    values = with_current_names(cls, values)
    values = {**preset_values(cls, values), **values}
    known = {s.name for s in settings(cls)}
    for name in values:
        if name not in known:
            raise ConfigError(f'unknown setting {name!r}; known are {", ".join(sorted(known))}')
    types = get_type_hints(cls)
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if issubclass(types[field.name], Config):
            arguments[field.name] = build(types[field.name], _group(values, field.name))
        elif field.name in values:
            arguments[field.name] = values[field.name]
    return cls(**arguments)


def flatten(config: Config, prefix: str = '') -> dict[str, Any]:
    """The opposite of `build`: every setting by its dotted name."""
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if isinstance(value, Config):
            flat |= flatten(value, f'{prefix}{field.name}.')
        else:
            flat[prefix + field.name] = value
    return flat
