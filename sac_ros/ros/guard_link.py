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

"""The link of policy_node to effort_guard: torques there, a heartbeat back.

A command is (session, stamp, torque...), and without torques asks for the fallback. The stamp [s]
is of the steady clock, so both processes run on one machine. The link is best effort: a command
that got lost must not come later instead. A heartbeat is the session and why no torque passes.
"""

from __future__ import annotations

import array
import math
import time

import numpy as np
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray, String

from sac_ros.deploy.effort_guard import GuardedRobot
from sac_ros.ros.qos import LATCHED, UNRELIABLE
from sac_ros.types import Vector

NAME = 'effort_guard'
HEARTBEAT_PERIOD = 0.005  # [s]
RETRY_PERIOD = 1.0  # [s] of silence after which the guard is told of the robot again
RELEASE = 'release'


class GuardLink:
    """Sends the commands for one robot to effort_guard and watches its heartbeat.

    `reason` says why the guard lets no torque pass, '' while it does.
    """

    def __init__(self, node: Node, robot: GuardedRobot) -> None:
        """Open the topics and tell the guard of the robot.

        Args:
            node: that sends.
            robot: that is commanded.
        """
        self.reason, self._timeout = '', robot.command_timeout
        self._heard, self._sent = -math.inf, -math.inf
        self._checked = -math.inf  # last call of `fault` [s]
        self._node, self._session = node, robot.session
        self._torque, self._fallback = (
            _Command(robot.session, n) for n in (robot.spec.n_action, 0)
        )
        self._last = self._fallback
        self._robot = node.create_publisher(String, f'{NAME}/robot', LATCHED)
        self._commands = node.create_publisher(Float64MultiArray, f'{NAME}/commands', UNRELIABLE)
        self._heartbeats = node.create_subscription(
            String, f'{NAME}/heartbeat', self._on_heartbeat, UNRELIABLE
        )
        self._text, self._robot_sent = robot.to_json(), -math.inf
        self._tell(time.monotonic())

    def send(self, torque: Vector | None, stamp: float) -> None:
        """Send a torque (n,) [N·m] in the policy's order, None to ask for the fallback.

        Args:
            torque: to send.
            stamp: when this process was last known to be awake [s], by the steady clock.
        """
        self._last = self._fallback if torque is None else self._torque
        if torque is not None:
            self._torque.values[2:] = torque
        self._publish(stamp)

    def repeat(self, stamp: float) -> None:
        """Send the last command again if it is old: joint states may come seldom."""
        if stamp - self._sent > HEARTBEAT_PERIOD:
            self._publish(stamp)

    def is_silent(self, now: float) -> bool:
        """Whether the guard has shown no sign of life lately."""
        return now - self._heard > self._timeout

    def fault(self, now: float) -> str:
        """Return why motion must end, '' if it may go on; call this every few milliseconds.

        A time for which this process itself was held up, so that heartbeats are still waiting,
        does not count as silence.
        """
        held_up = now - self._checked - HEARTBEAT_PERIOD
        if HEARTBEAT_PERIOD < held_up < math.inf:
            self._heard += held_up
        self._checked = now
        if self.is_silent(now):
            if now - self._robot_sent > RETRY_PERIOD:
                self._tell(now)
            return f'{NAME} is silent'
        return f'{NAME}: {self.reason}' if self.reason else ''

    def enable_blocker(self, now: float) -> str:
        """Return why the guard would let nothing pass, '' if it would."""
        if self.is_silent(now):
            return f'no {NAME} answers; start it, or set guard to false'
        return f'{NAME}: {self.reason}' if self.reason else ''

    def release(self) -> None:
        """Let the guard leave the fallback behind and go idle."""
        self._robot.publish(String(data=f'{RELEASE} {self._session}'))

    def close(self) -> None:
        """Close the topics."""
        for publisher in (self._commands, self._robot):
            self._node.destroy_publisher(publisher)
        self._node.destroy_subscription(self._heartbeats)

    def _tell(self, now: float) -> None:
        self._robot_sent = now
        self._robot.publish(String(data=self._text))

    def _publish(self, stamp: float) -> None:
        self._sent = self._last.values[1] = stamp
        self._commands.publish(self._last.message)

    def _on_heartbeat(self, message: String) -> None:
        session, _, reason = message.data.partition(' ')
        if session == str(self._session):
            self.reason, self._heard = reason, time.monotonic()


class _Command:
    """A message that is filled in place."""

    def __init__(self, session: int, n: int) -> None:
        self.message = Float64MultiArray(data=array.array('d', bytes(8 * (2 + n))))
        self.values = np.frombuffer(self.message.data, np.float64)
        self.values[0] = session
