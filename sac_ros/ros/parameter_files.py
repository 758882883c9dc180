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

"""Checks of ROS parameter files, which ROS reads without a word when nothing in them fits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from sac_ros.errors import ConfigError

PARAMETERS = 'ros__parameters'


def check_parameter_files(words: Sequence[str], name: str) -> None:
    """Check every file that `--params-file` names in the arguments of a node's program.

    Args:
        words: the arguments.
        name: of the node, unless they rename it.

    Raises:
        ConfigError: a file cannot be read or has no section for the node.
    """
    rules = [word.rpartition('__')[2].partition(':=') for word in words if '__' in word]
    remapped = {key: value for key, _, value in rules}
    namespace = remapped.get('ns', '').strip('/')
    for option, file in pairwise(words):
        if option == '--params-file':
            check_parameter_file(file, f'{namespace}/{remapped.get("node", name)}')


def check_parameter_file(file: str, name: str) -> None:
    """Check that a parameter file has a section for a node.

    Args:
        file: its path.
        name: of the node, with its namespace.

    Raises:
        ConfigError: the file cannot be read or has no section for the node.
    """
    content = _load(file)
    name = name.strip('/')
    sections = [section for section, _ in _sections(content)]
    if not any(re.fullmatch(_pattern(section), f'/{name}') for section in sections):
        found = ', '.join(sections) if sections else f'no section with {PARAMETERS}'
        raise ConfigError(
            f'the parameter file {file} has no section for {name}: it has {found}; '
            f'write "/{name}: {{{PARAMETERS}: {{...}}}}"'
        )


def read_parameters(file: str, name: str) -> dict[str, Any]:
    """Return the parameters that a file has for a node in any namespace.

    Args:
        file: its path.
        name: of the node, without a namespace.

    Raises:
        ConfigError: the file cannot be read.
    """
    parameters: dict[str, Any] = {}
    for section, values in _sections(_load(file)):
        if section.rpartition('/')[2] in (name, '**', '*'):
            parameters |= values
    return parameters


def _load(file: str) -> Any:
    try:
        return yaml.safe_load(Path(file).read_text())
    except OSError as error:
        raise ConfigError(f'cannot read the parameter file {file!r}: {error.strerror}') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = ' '.join(str(error).split())
        raise ConfigError(f'{file} is not a YAML parameter file: {reason}') from error


def _sections(content: Any, prefix: str = '') -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield node name, with its namespace, and parameters of each section of a file."""
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        if isinstance(value, dict) and PARAMETERS in value:
            yield f'{prefix}{key}', value[PARAMETERS] or {}
        else:
            yield from _sections(value, f'{prefix}{key}/')


def _pattern(section: str) -> str:
    """Return the regular expression of a node name, where * is one part and ** any number."""
    parts = section.strip('/').split('/')
    return ''.join(
        '(/[^/]+)*' if part == '**' else '/' + re.escape(part).replace(r'\*', '[^/]*')
        for part in parts
    )
