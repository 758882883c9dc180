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

"""Shared parts of the launch files: checked arguments, nodes, and the end of a process."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from sac_ros.config.base import Config, settings, warn_renamed
from sac_ros.errors import ConfigError
from sac_ros.ros.parameter_files import check_parameter_file

PACKAGE = 'sac_ros'
# Launch configurations that launch itself reads; `ros2 launch --launch-prefix` sets two of them.
OF_LAUNCH = {
    'emulate_tty',
    'launch-prefix',
    'launch-prefix-filter',
    'sigkill_timeout',
    'sigterm_timeout',
}

RENAMED = {'realism': 'randomization'}
RANDOMIZATION = DeclareLaunchArgument(
    'randomization',
    default_value=LaunchConfiguration('realism', default=''),  # its earlier name
    choices=['', 'none', 'sim2real'],
    description='domain randomization of the simulated robot; empty for the parameter file',
)
LIMITS = [
    DeclareLaunchArgument(
        f'{quantity}_limits',
        default_value='',
        description=f'{quantity} limits in place of those of the model, as joint*={example}',
    )
    for quantity, example in (('torque', '20,wrist=3.5 [N·m]'), ('velocity', '4,wrist=6 [rad/s]'))
]


class CheckedNode(NamedTuple):
    """A node of this package with a parameter file and what the launch arguments replace in it."""

    executable: str  # and name of the node
    config: type[Config]
    file_argument: str  # launch argument with the path of the parameter file
    values: Callable[[LaunchContext], Mapping[str, str]]  # by setting, as text
    options: Mapping[str, Any] = {}  # of the launch action

    def parameters(self, context: LaunchContext) -> list[Any]:
        """Return the parameters of the action, or fail with one line."""
        file = LaunchConfiguration(self.file_argument).perform(context)
        namespace = context.launch_configurations.get('ros_namespace', '')
        try:
            check_parameter_file(file, f'{namespace}/{self.executable}')
            given = _typed(self.config, self.values(context))
        except ConfigError as error:
            raise RuntimeError(str(error)) from None
        return [file, given] if given else [file]

    def check(self, context: LaunchContext) -> None:
        """Fail with one line if the node cannot be started."""
        self.parameters(context)

    def start(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        """Return the action that starts the node."""
        return [
            Node(
                package=PACKAGE,
                executable=self.executable,
                parameters=self.parameters(context),
                output='screen',
                on_exit=bring_down,
                **self.options,
            )
        ]


def describe_launch(
    file: str,
    arguments: Sequence[DeclareLaunchArgument],
    actions: Sequence[LaunchDescriptionEntity],
    node: CheckedNode | None = None,
) -> LaunchDescription:
    """Return a launch description that checks everything given before it starts anything.

    A process that is starting while the launch fails may be left behind.

    Args:
        file: path of the launch file.
        arguments: its own.
        actions: what it includes and starts.
        node: started after them.
    """

    def check(context: LaunchContext) -> None:
        # An including launch file has arguments of its own in the same context.
        if is_launched_directly(Path(file), sys.argv[1:]):
            known = {argument.name for argument in description.get_launch_arguments()}
            check_arguments(context.launch_configurations, known)

    checks = [OpaqueFunction(function=node.check)] if node else []
    starts = [OpaqueFunction(function=node.start)] if node else []
    description = LaunchDescription(
        [OpaqueFunction(function=check), *arguments, *checks, *actions, *starts]
    )
    return description


def is_launched_directly(file: Path, words: Sequence[str]) -> bool:
    """Return whether a command line names the launch file, by its package or by its path."""
    by_path = any(
        word.endswith('.py') and ':=' not in word and Path(word).resolve() == file.resolve()
        for word in words
    )
    return by_path or (PACKAGE, file.name) in pairwise(words)


def check_arguments(given: Iterable[str], known: set[str]) -> None:
    """Refuse launch arguments that no launch file declares.

    Raises:
        RuntimeError: there is one; the message names the closest and all known ones.
    """
    for name in given:
        if name in RENAMED:
            warn_renamed(f'{name}:=', f'{RENAMED[name]}:=')
        elif name not in known | OF_LAUNCH:
            close = difflib.get_close_matches(name, known, 1)
            hint = f'did you mean {close[0]}? ' if close else ''
            raise RuntimeError(
                f'unknown launch argument {name}: {hint}known are {", ".join(sorted(known))}'
            )


def given_arguments(context: LaunchContext, names: Mapping[str, str]) -> dict[str, str]:
    """Return by setting the arguments that are not empty; for the others the file decides.

    Args:
        context: of the launch.
        names: the launch argument of each setting.
    """
    values = {name: context.launch_configurations.get(names[name], '') for name in names}
    return {name: value for name, value in values.items() if value}


def _typed(config: type[Config], values: Mapping[str, str]) -> dict[str, Any]:
    """Return parameters of the types that the settings have."""
    types = {item.name: item.type for item in settings(config)}
    try:
        return {
            name: value == 'true'
            if types[name] is bool
            else ParameterValue(value, value_type=str)
            if types[name] is str
            else int(value)
            for name, value in values.items()
        }
    except ValueError as error:
        raise ConfigError(f'a launch argument must be an integer: {error}') from error


def bring_down(event: ProcessExited, context: LaunchContext) -> Shutdown:
    """End the launch with a process of it, and with a status that is not 0 if that one failed.

    A launch knows no other way to a status than an exception: its own actions leave it at 0.

    Raises:
        RuntimeError: the process failed.
    """
    name = event.process_name
    if event.returncode:
        raise RuntimeError(f'{name} failed with status {event.returncode}')
    return Shutdown(reason=f'{name} ended')
