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

"""The command line of nodes: `sac_ros node sim|policy|guard|train`, without the ros2 tools."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from sac_ros.cli.arguments import Parser
from sac_ros.config.base import settings
from sac_ros.errors import ConfigError, NodeError
from sac_ros.interrupts import exit_on_interrupt


class NodeProgram(NamedTuple):
    """A node that can be started: where its settings are, and its help."""

    config: str  # module:class
    help: str
    description: str


PROGRAMS = {
    'sim': NodeProgram(
        'sac_ros.envs.simulator:SimConfig',
        'start the simulated arm as a torque-controlled robot',
        'Start sim_node, which takes torque commands and publishes joint states.',
    ),
    'policy': NodeProgram(
        'sac_ros.ros.loading:PolicyNodeConfig',
        'start the node that drives the arm with a policy',
        'Start policy_node, load the policy and, unless --no-autostart is given, activate the '
        'node. It commands the fallback until `sac_ros enable`; it never enables itself.',
    ),
    'guard': NodeProgram(
        'sac_ros.ros.guard_node:GuardConfig',
        'start the process that checks the torques of policy_node a second time',
        'Start effort_guard, which publishes the fallback when policy_node is killed or stopped. '
        'Start policy_node with --guard.',
    ),
    'train': NodeProgram(
        'sac_ros.config.training:TrainConfig',
        'train a policy as a ROS 2 node',
        'Start train_node, which trains as `sac_ros train` does and publishes its progress.',
    ),
}


def add_node_parser(commands: Any, add_settings: Callable[..., None]) -> None:
    """Add `node` to the subparsers of the program.

    Args:
        commands: result of `add_subparsers`.
        add_settings: adds an option per setting of a configuration class.
    """
    node = commands.add_parser(
        'node',
        help='start a ROS 2 node: sim, policy, guard or train',
        description='Start a node in this environment, as `ros2 run` does where ROS 2 is '
        'installed. Ctrl-C ends it.',
    )
    nodes = node.add_subparsers(required=True, metavar='NODE')
    for name, program in PROGRAMS.items():

        def complete(parser: Parser, name: str = name, program: NodeProgram = program) -> None:
            _add_options(parser, name, program, add_settings)

        parser = nodes.add_parser(
            name, help=program.help, description=program.description, complete=complete,
            usage=f'%(prog)s {"[POLICY] " if name == "policy" else ""}[setting options] '
            '[--params-file FILE] [--ros-args ...]',
            formatter_class=partial(argparse.HelpFormatter, max_help_position=34, width=99),
        )  # fmt: skip
        parser.set_defaults(run=_run, node=name)


def _add_options(
    parser: Parser, name: str, program: NodeProgram, add_settings: Callable[..., None]
) -> None:
    """Add the options of one node; this imports its settings and, for most nodes, ROS."""
    if name == 'policy':
        parser.add_argument(
            'file', nargs='?', metavar='POLICY', help='ONNX file, or directory of a run'
        )
    parser.add_argument(
        '--params-file', action='append', default=[], metavar='FILE',
        help='YAML file with ROS parameters; options take precedence; may be repeated',
    )  # fmt: skip
    parser.add_argument(
        '--ros-args', nargs=argparse.REMAINDER, default=[],
        help='all following arguments are passed to ROS, for example -r __ns:=/left',
    )  # fmt: skip
    add_settings(parser, _config(program))


def _run(options: argparse.Namespace) -> int:
    program = PROGRAMS[options.node]
    arguments = ros_arguments(options, _config(program))
    node = _import(f'sac_ros.ros.{options.node}_node')
    status: int = node.main(arguments)
    return status


def ros_arguments(options: argparse.Namespace, config: Any) -> list[str]:
    """Return the arguments of a node as `ros2 run` would pass them; later ones win."""
    given = {
        item.name: getattr(options, item.name)
        for item in settings(config)
        if hasattr(options, item.name)
    }
    words = [f'{options.node}_node', '--ros-args']
    if options.node == 'policy':
        words += ['-p', 'autostart:=true']
        if options.file is not None:
            if 'policy' in given:
                raise ConfigError('the policy is given twice: as POLICY and by --policy')
            given['policy'] = options.file
    for file in options.params_file:
        words += ['--params-file', file]
    for name, value in given.items():
        words += ['-p', f'{name}:={_yaml(value)}']
    return [*words, *options.ros_args]


def _yaml(value: float | str) -> str:
    """Write a value so that ROS reads it with the same type."""
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _config(program: NodeProgram) -> Any:
    module, _, name = program.config.partition(':')
    return getattr(_import(module), name)


def _import(module: str) -> Any:
    """Import a module of this package that needs ROS.

    Raises:
        NodeError: the Python packages of ROS 2 are missing.
    """
    return require_ros(lambda: importlib.import_module(module))


def require_ros(load: Callable[[], Any]) -> Any:
    """Return what `load` imports.

    Raises:
        NodeError: the Python packages of ROS 2 are missing.
    """
    try:
        with exit_on_interrupt():
            return load()
    except ModuleNotFoundError as error:
        if (error.name or '').startswith('sac_ros'):
            raise
        raise NodeError(
            f'the Python package {error.name} is missing: those of ROS 2 come with its setup.bash '
            'or with `make train`, others with pip'
        ) from error
