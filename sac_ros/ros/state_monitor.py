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

"""The state of a policy node in one line, for the command line."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from std_msgs.msg import String

from sac_ros.deploy.supervisor import State
from sac_ros.ros.diagnostics import GOAL_DISTANCE, value_of
from sac_ros.ros.qos import LATCHED

SIM_NODE = 'sim_node'


class StateMonitor:
    """Listens to the state of a policy node, and to diagnostics of it and of sim_node."""

    def __init__(self, node: Node, target: str) -> None:
        """Subscribe.

        Args:
            node: that subscribes.
            target: full name of the policy node.
        """
        self.topic = f'{target}/state'
        self.state = ''  # '' before the first message
        self._node, self._name = node, target.lstrip('/')
        namespace = self._name.rpartition('/')[0]
        self._simulator = f'{namespace}/{SIM_NODE}'.lstrip('/')
        self._report: str | None = None  # STATE, or STATE: reason
        self._distance: str | None = None  # [m] from the tip to the goal, '' without a goal
        node.create_subscription(String, self.topic, self._on_state, LATCHED)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    @property
    def is_gone(self) -> bool:
        """Whether nobody publishes the state any more."""
        return not self._node.count_publishers(self.topic)

    @property
    def has_reason(self) -> bool:
        """Whether the diagnostics that belong to the state have come."""
        return self._reason is not None

    @property
    def has_distance(self) -> bool:
        """Whether diagnostics of a simulated arm have come."""
        return self._distance is not None

    @property
    def line(self) -> str:
        """The state, its meaning, the reason for it, and the distance of a simulated arm."""
        meaning = State[self.state].value if self.state in State.__members__ else ''
        reason = f' ({self._reason})' if self._reason else ''
        distance = ''
        if self._distance:
            distance = f'; simulated arm: tip {1000 * float(self._distance):.0f} mm from the goal'
        return f'{self.state}: {meaning}{reason}{distance}'

    @property
    def _reason(self) -> str | None:
        """The reason for the state, None while the last report is of another state."""
        state, _, reason = (self._report or '').partition(': ')
        return reason if state == self.state else None

    def _on_state(self, message: String) -> None:
        self.state = message.data

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._name:
                self._report = status.message
            if status.name == self._simulator:
                self._distance = value_of(status, GOAL_DISTANCE)
