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

"""The command line of a running policy node: enable, disable, estop, reset, goal and status."""
# ruff: noqa: T201 (a command line prints)

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from sac_ros.cli.node import require_ros
from sac_ros.errors import ConfigError

if TYPE_CHECKING:
    from sac_ros.ros.policy_client import PolicyClient

REFUSED = 1
REQUESTS = {
    'enable': 'let the policy move the arm; refused before the first goal',
    'disable': 'stop the policy; the node commands the fallback',
    'estop': 'stop at once, until reset; not a substitute for a hardware stop',
    'reset': 'leave FAULT or ESTOP; the arm moves only after another enable',
}


def add_request_parsers(commands: Any) -> None:
    """Add the commands to the subparsers of the program."""
    for name, text in REQUESTS.items():
        parser = _add(commands, name, text, 'Exit status: 0 accepted, 1 refused, 2 no answer.')
        parser.set_defaults(run=_request, request=name)
    goal = _add(
        commands, 'goal', 'send a goal to the policy node',
        'Send a point, or a pose for a policy that reaches poses, and wait until it is received.',
    )  # fmt: skip
    goal.add_argument(
        'numbers', nargs='+', type=float, metavar='X Y Z [QX QY QZ QW]',
        help='position [m], and for a pose the quaternion x, y, z, w',
    )  # fmt: skip
    goal.add_argument('--frame', default='', help='frame of the goal (default: the base frame)')
    goal.set_defaults(run=_goal)
    status = _add(commands, 'status', 'print the state of the policy node', 'Print one line.')
    status.add_argument('--follow', action='store_true', help='print each change until Ctrl-C')
    status.set_defaults(run=_status)


def _add(commands: Any, name: str, text: str, more: str) -> argparse.ArgumentParser:
    description = f'{text[0].upper()}{text[1:]}. {more}'
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=description)
    parser.add_argument(
        '--node', default='/policy_node', metavar='NAME',
        help='full name of the policy node (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--timeout', type=float, default=5.0, metavar='SECONDS',
        help='longest wait for an answer [s] (default: %(default)s)',
    )  # fmt: skip
    return parser


def _client(options: argparse.Namespace) -> PolicyClient:
    def load() -> Any:
        from sac_ros.ros.policy_client import PolicyClient

        return PolicyClient

    client: PolicyClient = require_ros(load)(options.node, options.timeout)
    return client


def _request(options: argparse.Namespace) -> int:
    with _client(options) as client:
        if options.request in ('enable', 'disable'):
            accepted, text = client.enable(options.request == 'enable')
        else:
            accepted, text = client.trigger(options.request)
        if accepted:
            print(text)
            return 0
        print(f'sac_ros: {client.target} refuses: {text}', file=sys.stderr)
        return REFUSED


def _goal(options: argparse.Namespace) -> int:
    if len(options.numbers) not in (3, 7):
        raise ConfigError(
            f'a goal has 3 numbers (X Y Z) or 7 (X Y Z QX QY QZ QW), not {len(options.numbers)}'
        )
    with _client(options) as client:
        print(client.send_goal(options.numbers, options.frame))
    return 0


def _status(options: argparse.Namespace) -> int:
    with _client(options) as client:
        for line in client.states():
            print(line, flush=True)
            if not options.follow:
                break
    return 0
