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
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from sac_ros.ros.messages import Vector

COMMAND_TOPIC = 'forward_effort_controller/commands'
LATEST = QoSProfile(depth=1)
LAST_WORDS = 5  # times the fallback is published before the node falls silent
LAST_WORDS_PERIOD = 0.002  # [s]


class Commander:
    """Publishes torques (n,) [N·m], given in the policy's order, for one robot."""

    def __init__(self, node: Node, joint_names: Sequence[str], order: NDArray[np.int64]) -> None:
        """Open the topics.

        Args:
            node: that publishes.
            joint_names: of the policy, in its order.
            order: (n,) which of them each element of the command is for.
        """
        n = len(joint_names)
        self._node, self._order = node, order
        self._command = Float64MultiArray(data=array.array('d', bytes(8 * n)))
        self._data = np.frombuffer(self._command.data, np.float64)  # the message's own memory
        self._echo = JointState(name=list(joint_names))
        self._columns = []
        for column in ('position', 'velocity', 'effort'):
            setattr(self._echo, column, array.array('d', bytes(8 * n)))
            self._columns.append(np.frombuffer(getattr(self._echo, column), np.float64))
        self._commands = node.create_publisher(Float64MultiArray, COMMAND_TOPIC, LATEST)
        self._applied = node.create_publisher(JointState, '~/applied', LATEST)

    def publish(self, torque: Vector) -> None:
        """Publish a command."""
        np.take(torque, self._order, out=self._data)
        self._commands.publish(self._command)

    def echo(self, position: Vector, velocity: Vector, torque: Vector, stamp: Time) -> None:
        """Publish what was applied to which state, all (n,), if anyone listens."""
        if not self._applied.get_subscription_count():
            return
        for column, values in zip(self._columns, (position, velocity, torque), strict=True):
            column[:] = values
        self._echo.header.stamp = stamp
        self._applied.publish(self._echo)

    def obstacle(self) -> str:
        """Say why nothing may move by these commands, '' if it may.

        A controller that comes later would begin with the full torque, without a ramp.
        """
        topic = self._commands.topic_name  # after remapping
        if not self._commands.get_subscription_count():
            return f'nobody listens on {topic}'
        others = self._node.count_publishers(topic) - 1
        return f'{others} other publisher(s) on {topic}' if others > 0 else ''

    def close(self, fallback: Callable[[], Vector]) -> None:
        """Leave the fallback behind and close the topics."""
        for _ in range(LAST_WORDS):
            self.publish(fallback())
            time.sleep(LAST_WORDS_PERIOD)
        self._node.destroy_publisher(self._commands)
        self._node.destroy_publisher(self._applied)
