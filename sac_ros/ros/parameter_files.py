"""Checks of ROS parameter files, which ROS reads without a word when nothing in them fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from sac_ros.errors import ConfigError

PARAMETERS = 'ros__parameters'
WILDCARDS = ('*', '**')
NAME_RULE = '__node:='  # in a remapping rule that renames the node


def check_parameter_files(words: Sequence[str], name: str) -> None:
    """Check every file that `--params-file` names in the arguments of a node's program.

    Args:
        words: the arguments.
        name: of the node, unless they rename it.

    Raises:
        ConfigError: a file cannot be read or has no section for the node.
    """
    for word in words:
        name = word.rpartition(NAME_RULE)[2] if NAME_RULE in word else name
    for option, file in pairwise(words):
        if option == '--params-file':
            check_parameter_file(file, name)


def check_parameter_file(file: str, name: str) -> None:
    """Check that a parameter file has a section for a node.

    Raises:
        ConfigError: the file cannot be read or has no section for the node.
    """
    try:
        content = yaml.safe_load(Path(file).read_text())
    except OSError as error:
        raise ConfigError(f'cannot read the parameter file {file!r}: {error.strerror}') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = ' '.join(str(error).split())
        raise ConfigError(f'{file} is not a YAML parameter file: {reason}') from error
    nodes = list(_nodes(content))
    if not any(node.rpartition('/')[2] in (name, *WILDCARDS) for node in nodes):
        there = ', '.join(nodes) if nodes else f'no section with {PARAMETERS}'
        raise ConfigError(
            f'the parameter file {file} says nothing about {name}: it has {there}; '
            f'write "{name}: {{{PARAMETERS}: {{...}}}}"'
        )


def _nodes(content: Any, prefix: str = '') -> Iterator[str]:
    """Yield the name of each node in a parameter file, with its namespace."""
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        if isinstance(value, dict) and PARAMETERS in value:
            yield f'{prefix}{key}'
        else:
            yield from _nodes(value, f'{prefix}{key}/')
