"""Shared parts of the launch files: checked arguments, nodes, and the end of a process."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from sac_ros.errors import ConfigError
from sac_ros.ros.parameter_files import check_parameter_file
from sac_ros.settings import Checked, settings

PACKAGE = 'sac_ros'
# Launch configurations that launch itself reads; `ros2 launch --launch-prefix` sets two of them.
OF_LAUNCH = {
    'emulate_tty',
    'launch-prefix',
    'launch-prefix-filter',
    'sigkill_timeout',
    'sigterm_timeout',
}

REALISM = DeclareLaunchArgument(
    'realism',
    default_value='',
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


def describe_launch(file: str, actions: Iterable[LaunchDescriptionEntity]) -> LaunchDescription:
    """Return the description of a launch file that refuses unknown arguments.

    Args:
        file: path of the launch file.
        actions: what it starts, its declared arguments included.
    """
    description = LaunchDescription()

    def check(context: LaunchContext) -> None:
        # An including launch file has arguments of its own in the same context.
        if is_launched_directly(Path(file), sys.argv[1:]):
            known = {argument.name for argument in description.get_launch_arguments()}
            check_arguments(context.launch_configurations, known)

    description.add_action(OpaqueFunction(function=check))
    for action in actions:
        description.add_action(action)
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
        if name not in known | OF_LAUNCH:
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
    values = {name: LaunchConfiguration(names[name]).perform(context) for name in names}
    return {name: value for name, value in values.items() if value}


def start_node(
    executable: str,
    config: type[Checked],
    file_argument: str,
    parameters: Callable[[LaunchContext], Mapping[str, str]],
    **options: Any,
) -> OpaqueFunction:
    """Return the action that starts a node, or fails with one line.

    Args:
        executable: the node's program and name.
        config: its settings.
        file_argument: launch argument with the path of the node's parameter file.
        parameters: returns, as text, what replaces the values of the file.
        options: of the node's action.
    """

    def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        file = LaunchConfiguration(file_argument).perform(context)
        try:
            check_parameter_file(file, executable)
            given = _typed(config, parameters(context))
        except ConfigError as error:
            raise RuntimeError(str(error)) from None
        return [
            Node(
                package=PACKAGE,
                executable=executable,
                parameters=[file, given] if given else [file],
                output='screen',
                on_exit=bring_down,
                **options,
            )
        ]

    return OpaqueFunction(function=start)


def _typed(config: type[Checked], values: Mapping[str, str]) -> dict[str, Any]:
    """Return parameters of the types that the settings have."""
    types = {item.name: item.type for item in settings(config)}
    try:
        return {
            name: ParameterValue(value, value_type=str) if types[name] is str else int(value)
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
