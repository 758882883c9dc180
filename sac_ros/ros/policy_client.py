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

"""Requests to a running policy node, for the command line."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

import rclpy
from geometry_msgs.msg import Point, PointStamped, Pose, PoseStamped, Quaternion
from rclpy.duration import Duration
from rclpy.exceptions import InvalidTopicNameException
from rclpy.executors import SingleThreadedExecutor
from rclpy.publisher import Publisher
from rclpy.validate_full_topic_name import validate_full_topic_name
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

from sac_ros.errors import ConfigError, NodeError
from sac_ros.ros import conversions as messages
from sac_ros.ros.process import initialize
from sac_ros.ros.qos import LATCHED
from sac_ros.ros.state_monitor import StateMonitor

# Matches volatile and transient local subscriptions.
POLL = 0.02  # [s] longest wait before a condition is checked again
ACKNOWLEDGE = 0.1  # [s] one wait for acknowledgment, which Ctrl-C cannot interrupt
DISCOVERY = 1.0  # [s] in which every subscriber on this network should be found
REPORT_WAIT = 1.5  # [s] diagnostics are published once a second


class PolicyClient:
    """A short-lived ROS node that talks to one policy node; use it as a context manager."""

    def __init__(self, target: str, timeout: float) -> None:
        """Start ROS.

        Args:
            target: full name of the policy node.
            timeout: longest wait for an answer [s].

        Raises:
            ConfigError: the name or the timeout is not valid, or ROS cannot be started.
        """
        self.target, self._timeout = f'/{target.strip("/")}', timeout
        try:
            validate_full_topic_name(self.target)
        except InvalidTopicNameException as error:
            raise ConfigError(f'--node is {target!r}: {" ".join(str(error).split())}') from error
        if not (math.isfinite(timeout) and timeout > 0):
            raise ConfigError(f'--timeout is {timeout}; it must be a positive number [s]')
        initialize('sac_ros', [])
        self._node = rclpy.create_node(
            f'sac_ros_cli_{os.getpid()}', enable_rosout=False, start_parameter_services=False
        )
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    def __enter__(self) -> PolicyClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def enable(self, on: bool) -> tuple[bool, str]:
        """Request or withdraw torque; return whether it was accepted, and the node's answer."""
        return self._call(SetBool, 'enable', data=on)

    def trigger(self, service: str) -> tuple[bool, str]:
        """Call `estop` or `reset`; return whether it was accepted, and the node's answer."""
        return self._call(Trigger, service)

    def _call(self, kind: Any, service: str, **request: Any) -> tuple[bool, str]:
        end = time.monotonic() + self._timeout
        client: Any = self._node.create_client(kind, f'{self.target}/{service}')
        self._wait(client.service_is_ready, end)
        future: Any = client.call_async(kind.Request(**request))
        self._wait(future.done, end)
        response = future.result()
        return response.success, response.message

    def send_goal(self, numbers: Sequence[float], frame: str) -> str:
        """Publish a goal and wait until every subscriber has acknowledged it.

        Args:
            numbers: x, y, z [m], and for a pose the quaternion x, y, z, w.
            frame: of the goal; '' for the base of the robot.

        Returns:
            A description of the goal.

        Raises:
            SpecMismatch: a number is not finite, or the quaternion is not of length 1.
            NodeError: the node does not listen or does not acknowledge in time.
        """
        header = Header(stamp=self._node.get_clock().now().to_msg(), frame_id=frame)
        goal = make_goal(numbers, header)
        messages.read_goal(goal, '')
        end = time.monotonic() + self._timeout
        is_pose = isinstance(goal, PoseStamped)
        topic = f'{self.target}/{"goal_pose" if is_pose else "goal"}'
        publisher = self._node.create_publisher(type(goal), topic, LATCHED)
        self._wait(lambda: self._listens(topic, publisher.get_subscription_count()), end)
        self._publish(publisher, goal, end)
        words = ' '.join(f'{number:g}' for number in numbers)
        kind = 'pose' if is_pose else 'point'
        return (
            f'sent {kind} {words} in {f"frame {frame}" if frame else "the base frame"} to {topic}'
        )

    def _publish(
        self, publisher: Publisher[Any], goal: PointStamped | PoseStamped, end: float
    ) -> None:
        """Publish a goal, and again for subscribers that are discovered a little later."""
        reached, discovered = 0, time.monotonic() + DISCOVERY
        while time.monotonic() < discovered:
            matched = publisher.get_subscription_count()
            if matched > reached:
                publisher.publish(goal)
                self._wait(
                    lambda: publisher.wait_for_all_acked(Duration(seconds=ACKNOWLEDGE)), end
                )
            reached = matched
            self._executor.spin_once(timeout_sec=POLL)

    def _listens(self, topic: str, matched: int) -> bool:
        """Return whether the policy node and every other subscriber are matched."""
        subscribers = self._node.get_subscriptions_info_by_topic(topic)
        names = {f'{info.node_namespace.rstrip("/")}/{info.node_name}' for info in subscribers}
        return self.target in names and matched >= len(subscribers)

    def states(self) -> Iterator[str]:
        """Yield the state of the node, with its reason, and again when either changes.

        Raises:
            NodeError: the node does not answer, or is gone.
        """
        monitor = StateMonitor(self._node, self.target)
        self._wait(lambda: bool(monitor.state), time.monotonic() + self._timeout)
        self._spin_for(lambda: monitor.has_reason and monitor.has_distance, REPORT_WAIT)
        shown = ''
        while True:
            self._spin_for(lambda: monitor.has_reason, REPORT_WAIT)
            if monitor.line != shown:
                shown = monitor.line
                yield shown
            self._executor.spin_once(timeout_sec=POLL)
            if monitor.is_gone:
                raise NodeError(f'the node {self.target} is gone')

    def _wait(self, condition: Callable[[], bool], end: float) -> None:
        if not self._spin_for(condition, end - time.monotonic()):
            raise NodeError(
                f'no node {self.target} answers within {self._timeout:g} s: '
                f'is it running in ROS domain {os.environ.get("ROS_DOMAIN_ID") or 0}?'
            )

    def _spin_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Handle messages until the condition holds; return whether it does in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            self._executor.spin_once(timeout_sec=POLL)
        return True


def make_goal(numbers: Sequence[float], header: Header) -> PointStamped | PoseStamped:
    """Make a point from 3 numbers [m], or a pose from 7 (position, quaternion x, y, z, w)."""
    point = Point(**dict(zip('xyz', numbers[:3], strict=True)))
    if len(numbers) == 3:
        return PointStamped(header=header, point=point)
    orientation = Quaternion(**dict(zip('xyzw', numbers[3:], strict=True)))
    return PoseStamped(header=header, pose=Pose(position=point, orientation=orientation))
