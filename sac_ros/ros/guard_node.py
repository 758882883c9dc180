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

"""effort_guard: stands between policy_node and the controller; a node that only wires.

It checks every torque again and publishes the fallback as soon as commands are late. It imports
no torch, MuJoCo or ONNX Runtime.
"""

from __future__ import annotations

import array
import dataclasses
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.publisher import Publisher
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, Header, String

from sac_ros.config.base import Config
from sac_ros.deploy.effort_guard import EffortGuard, GuardedRobot
from sac_ros.errors import SpecMismatch, StateError
from sac_ros.ros.diagnostics import status_name, to_status
from sac_ros.ros.effort_publisher import COMMAND_TOPIC, SHUTDOWN_PERIOD, SHUTDOWN_REPEATS
from sac_ros.ros.flood_guard import GuardedSubscription
from sac_ros.ros.guard_link import HEARTBEAT_PERIOD, NAME, RELEASE
from sac_ros.ros.joint_states import JointLimits, JointStateReader, series
from sac_ros.ros.parameters import declare
from sac_ros.ros.process import ClosingNode, run_node
from sac_ros.ros.qos import JOINT_STATES, LATCHED, LATEST, UNRELIABLE
from sac_ros.ros.realtime import RealtimeConfig, configure_realtime
from sac_ros.ros.service_threads import ServiceThreadsNode
from sac_ros.types import Vector

REPORT_PERIOD = 1.0  # [s]


@dataclass(frozen=True)
class GuardConfig(Config):
    """Settings of effort_guard; policy_node sends those of the robot."""

    realtime: RealtimeConfig = dataclasses.field(default_factory=RealtimeConfig)


class GuardNode(ServiceThreadsNode, ClosingNode):
    """Topics of one EffortGuard; idle until policy_node sends the robot to guard."""

    def __init__(self) -> None:
        super().__init__(NAME)
        config = declare(self, GuardConfig)
        self._guard: EffortGuard | None = None  # None while idle
        self._session = -1
        self._pending: list[tuple[float, JointState, bytes]] = []  # arrival [s], state to be read
        self._commands: Publisher[Float64MultiArray] | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._heartbeats = self.create_publisher(String, '~/heartbeat', UNRELIABLE)
        self._heartbeat = String()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        listen = partial(GuardedSubscription, self, flooded=self._on_flood, clock=steady)
        self._listeners: list[GuardedSubscription[Any]] = [
            listen(JointState, 'joint_states', JOINT_STATES, self._on_joint_state, series=series),
            listen(Float64MultiArray, '~/commands', UNRELIABLE, self._on_command),
        ]
        self.create_subscription(String, '~/robot', self._on_robot, LATCHED)
        self.create_timer(HEARTBEAT_PERIOD, self._on_watchdog, clock=steady)
        self.create_timer(REPORT_PERIOD, self._on_report, clock=steady)
        for refused in configure_realtime(config.realtime):
            self.get_logger().warning(f'refused: {refused}')
        self.start_services()
        self.get_logger().info('idle until policy_node sends a robot')

    def close(self) -> None:
        """Leave the fallback behind, whatever happened."""
        self._release()
        self.stop_services()

    def _on_robot(self, message: String) -> None:
        if message.data.startswith(RELEASE):
            if message.data == f'{RELEASE} {self._session}':
                self._release()
            return
        try:
            robot = GuardedRobot.from_json(message.data)
        except SpecMismatch as error:
            self.get_logger().error(str(error))
            return
        if robot.session == self._session:
            return
        self._session, self._order = robot.session, np.array(robot.order)
        self._command = Float64MultiArray(data=array.array('d', bytes(8 * robot.spec.n_action)))
        self._data = np.frombuffer(self._command.data, np.float64)  # the message's own memory
        if self._commands is None:
            self._commands = self.create_publisher(Float64MultiArray, COMMAND_TOPIC, LATEST)
        self._guard = EffortGuard(robot)
        self._reader = JointStateReader(
            JointLimits.from_filter(self._guard.filter), robot.joint_states,
            robot.state_period, robot.state_timeout, self._guard.ignore_state,
        )  # fmt: skip
        self.get_logger().info(f'guards {", ".join(robot.spec.joint_names)}')

    def _on_joint_state(self, message: JointState, publisher: bytes) -> None:
        """Keep a state for the pause after the next command, which waits for nothing."""
        self._pending.append((time.monotonic(), message, publisher))

    def _read_states(self) -> None:
        pending, self._pending = self._pending, []
        for arrival, message, publisher in pending:
            if self._guard is None:
                continue
            try:
                sample = self._reader.read(message, publisher, arrival)
            except (SpecMismatch, StateError) as error:
                self._guard.reject_state(str(error))
                continue
            if sample is not None:
                self._guard.take_state(arrival, *sample)

    def _on_command(self, message: Float64MultiArray, _: bytes) -> None:
        values = np.array(message.data)
        if self._guard is None or len(values) < 2 or values[0] != self._session:
            return
        stamp, torque = float(values[1]), values[2:] if len(values) > 2 else None
        safe = self._guard.command(time.monotonic(), stamp, torque)
        # Held up since then, this process must not publish what is late by now.
        if safe is not None and self._guard.is_timely(time.monotonic(), stamp):
            self._publish(safe)
        self._read_states()

    def _on_watchdog(self) -> None:
        for listener in self._listeners:
            listener.mark_timer_fired()
        self.handle_requests()
        self._read_states()
        if self._guard is not None:
            torque = self._guard.check(time.monotonic())
            if torque is not None:
                self._publish(torque)
            self._heartbeat.data = f'{self._session} {self._guard.blocked}'
            self._heartbeats.publish(self._heartbeat)

    def _on_flood(self, reason: str) -> None:
        if self._guard is not None:
            self._guard.reject_state(reason)
        self.get_logger().error(reason, throttle_duration_sec=5.0)

    def _on_report(self) -> None:
        guard = self._guard
        level, line = ('ok', 'idle') if guard is None else ('ok', 'torques pass')
        if guard is not None and guard.blocked:
            level, line = 'warn', f'fallback: {guard.blocked}'
        values = dict(sorted(guard.counts.items())) if guard else {}
        status = to_status(status_name(self), level, line, values)
        header = Header(stamp=self.get_clock().now().to_msg())
        self._diagnostics.publish(DiagnosticArray(header=header, status=[status]))

    def _publish(self, torque: Vector) -> None:
        assert self._commands is not None, 'a robot is guarded'
        np.take(torque, self._order, out=self._data)
        self._commands.publish(self._command)

    def _release(self) -> None:
        """Leave the fallback behind and go idle."""
        guard, self._guard, self._session = self._guard, None, -1
        if guard is None or self._commands is None:
            return
        for _ in range(SHUTDOWN_REPEATS):
            self._publish(guard.fallback(time.monotonic()))
            time.sleep(SHUTDOWN_PERIOD)
        self.destroy_publisher(self._commands)
        self._commands = None
        self.get_logger().info('idle: released by policy_node')


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns the exit status."""
    return run_node(NAME, GuardNode, arguments, quick=True)


if __name__ == '__main__':
    sys.exit(main())
