"""Listens to joint states, and stops listening for a while when they come as a flood.

The events executor queues every arrival: when messages come faster than they can be handled, all
else, an emergency stop too, would wait behind them longer and longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.clock import Clock
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import JointState

MOST = 150  # joint states that may come within a window: 1.5 kHz
WINDOW = 0.1  # [s]
CROWDED = 0.0002  # [s] one that has waited while the one before was handled is only counted
PAUSE = 0.5  # [s] for which a flood is not listened to
LATEST_STATE = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class StateListener:
    """Calls `hear` with every joint state, or `flooded` when too many come."""

    def __init__(
        self,
        node: Node,
        hear: Callable[[JointState], None],
        flooded: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._node, self._hear, self._flooded = node, hear, flooded
        self._count, self._window_end, self._handled = 0, 0.0, 0.0
        self._subscription: Subscription[JointState] | None = None
        self._timer = node.create_timer(PAUSE, self._listen, clock=clock)
        self._listen()

    def close(self) -> None:
        """Listen no more."""
        self._node.destroy_timer(self._timer)
        self._deafen()

    def _listen(self) -> None:
        """Begin to listen, unless that is so already."""
        if self._subscription is None:
            self._subscription = self._node.create_subscription(
                JointState, '/joint_states', self._on_joint_state, LATEST_STATE
            )

    def _deafen(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _on_joint_state(self, message: JointState) -> None:
        if self._subscription is None:
            return  # was on its way
        now = time.monotonic()
        if now > self._window_end:
            self._count, self._window_end = 0, now + WINDOW
        self._count += 1
        if self._count > MOST:
            self._deafen()
            self._flooded(f'more than {MOST / WINDOW:.0f} joint states a second')
            return
        if now - self._handled > CROWDED:
            self._hear(message)
        self._handled = time.monotonic()
