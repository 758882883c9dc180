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

"""Diagnostics of the nodes: one status per node, with values by key."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.node import Node

LEVELS = {
    'ok': DiagnosticStatus.OK,
    'warn': DiagnosticStatus.WARN,
    'error': DiagnosticStatus.ERROR,
}
GOAL_DISTANCE = 'goal_distance'  # key in the diagnostics of sim_node: from tip to goal [m]
DRAWS_ARM = 'draws arm'  # key in those of policy_node: whether its markers show the arm too


def status_name(node: Node) -> str:
    """Return the name of a node in diagnostics: with its namespace, without the leading slash."""
    return node.get_fully_qualified_name().lstrip('/')


def to_status(
    name: str, level: str, message: str, values: Mapping[str, object]
) -> DiagnosticStatus:
    """Make one line of diagnostics; `level` is one of `LEVELS`."""
    return DiagnosticStatus(
        name=name,
        level=LEVELS[level],
        message=message,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )


def value_of(status: DiagnosticStatus, key: str) -> str:
    """Return a value of a status, '' where it has none of that key."""
    return next((pair.value for pair in status.values if pair.key == key), '')
