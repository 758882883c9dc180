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

"""What the policy node says to the robot: effort commands, their stamped echo, last words.

Messages are made once and filled in place: at 500 commands a second, making them was most of the
work of the node.
"""

from __future__ import annotations

import array
import time
from collections.abc import Callable, Sequence

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from sac_ros.ros.guard_link import GuardLink
from sac_ros.ros.qos import LATEST
from sac_ros.spec import PolicySpec
from sac_ros.types import Vector

COMMAND_TOPIC = 'forward_effort_controller/commands'
SHUTDOWN_REPEATS = 5  # times the fallback is published before the node falls silent
SHUTDOWN_PERIOD = 0.002  # [s]


class EffortCommandPublisher:
    """Publishes torques (n,) [N·m], given in the policy's order, for one robot."""

    def __init__(
        self,
        node: Node,
        joint_names: Sequence[str],
        order: NDArray[np.int64],
        link: GuardLink | None = None,
    ) -> None:
        """Open the topics.

        Args:
            node: that publishes.
            joint_names: of the policy, in its order.
            order: (n,) which of them each element of the command is for.
            link: to effort_guard, which gets the commands instead of the controller.
        """
        n = len(joint_names)
        self._node, self._order, self._link = node, order, link
        self._command = Float64MultiArray(data=array.array('d', bytes(8 * n)))
        self._data = np.frombuffer(self._command.data, np.float64)  # the message's own memory
        self._echo = JointState(name=list(joint_names))
        self._columns = []
        for column in ('position', 'velocity', 'effort'):
            setattr(self._echo, column, array.array('d', bytes(8 * n)))
            self._columns.append(np.frombuffer(getattr(self._echo, column), np.float64))
        self._commands = node.create_publisher(Float64MultiArray, COMMAND_TOPIC, LATEST)
        self._applied = node.create_publisher(JointState, '~/applied', LATEST)
        self._commanded = node.create_publisher(JointState, '~/commanded', LATEST)
        self._limits = [
            node.create_publisher(JointState, f'~/limits/{end}', LATEST)
            for end in ('lower', 'upper')
        ]

    def publish(self, torque: Vector, now: float, moving: bool = False) -> None:
        """Publish a command.

        Args:
            torque: (n,) [N·m].
            now: when this process was last known to be awake [s], by the steady clock.
            moving: whether the torque is the policy's; if not, it is the fallback, which goes to
                the controller directly while effort_guard is silent.
        """
        if self._link is not None:
            self._link.send(torque if moving else None, now)
            if moving or not self._link.is_silent(now):
                return
        self._publish(torque)

    def check(self, now: float) -> str:
        """Return why effort_guard requires motion to end, '' if it does not."""
        return self._link.fault(now) if self._link is not None else ''

    def repeat(self, now: float) -> None:
        """Send the last command to effort_guard again where joint states come seldom."""
        if self._link is not None:
            self._link.repeat(now)

    def echo(
        self, position: Vector, velocity: Vector, commanded: Vector, applied: Vector, stamp: Time
    ) -> None:
        """Publish torques with the state that they answer, all (n,), if anyone listens.

        Args:
            position: of the joints [rad].
            velocity: of the joints [rad/s].
            commanded: torque of the policy, before ramp and guards [N·m].
            applied: torque that was published [N·m].
            stamp: of the joint state.
        """
        for publisher, torque in ((self._commanded, commanded), (self._applied, applied)):
            if publisher.get_subscription_count():
                columns = (position, velocity, torque)
                for column, values in zip(self._columns, columns, strict=True):
                    column[:] = values
                self._echo.header.stamp = stamp
                publisher.publish(self._echo)

    def publish_limits(self, spec: PolicySpec, stamp: Time) -> None:
        """Publish the limits of the joints, for plots beside the torques."""
        ends = (spec.position_lower, -1.0), (spec.position_upper, 1.0)
        for publisher, (position, sign) in zip(self._limits, ends, strict=True):
            message = JointState(name=list(spec.joint_names), position=position)
            message.header.stamp = stamp
            message.velocity = (sign * np.array(spec.velocity_limit)).tolist()
            message.effort = (sign * np.array(spec.torque_limit)).tolist()
            publisher.publish(message)

    def enable_blocker(self, now: float) -> str:
        """Say why nothing may move by these commands, '' if it may.

        A controller that comes later would begin with the full torque, without a ramp.
        """
        topic = self._commands.topic_name  # after remapping
        if not self._commands.get_subscription_count():
            return f'nobody listens on {topic}'
        expected = 1 if self._link is None else 2  # this node and effort_guard
        others = self._node.count_publishers(topic) - expected
        if others > 0:
            return f'{others} other publisher(s) on {topic}'
        return self._link.enable_blocker(now) if self._link is not None else ''

    @property
    def subscribers(self) -> int:
        """How many subscribers of commands are matched."""
        return self._commands.get_subscription_count()

    def subscriber_names(self) -> str:
        """Name the nodes that subscribe to commands."""
        found = self._node.get_subscriptions_info_by_topic(self._commands.topic_name)
        return ', '.join(f'{info.node_namespace.rstrip("/")}/{info.node_name}' for info in found)

    def close(self, fallback: Callable[[], Vector]) -> None:
        """Leave the fallback behind and close the topics."""
        if self._link is not None:
            self._link.release()
        for _ in range(SHUTDOWN_REPEATS):
            self._publish(fallback())
            time.sleep(SHUTDOWN_PERIOD)
        if self._link is not None:
            self._link.close()
        self._node.destroy_publisher(self._commands)
        for publisher in (self._applied, self._commanded, *self._limits):
            self._node.destroy_publisher(publisher)

    def _publish(self, torque: Vector) -> None:
        np.take(torque, self._order, out=self._data)
        self._commands.publish(self._command)
