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

"""A simulated arm that looks like a torque-controlled robot: a node that only wires."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped, PoseStamped
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, Header, String
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import MarkerArray

from sac_ros.config.robot import TaskConfig
from sac_ros.envs.simulator import SimConfig, Simulator
from sac_ros.errors import ConfigError, SpecMismatch
from sac_ros.robot.urdf_writer import robot_description
from sac_ros.ros import conversions as messages
from sac_ros.ros import markers
from sac_ros.ros.arm_state import arm_state, relative_torque
from sac_ros.ros.arm_view import ArmView
from sac_ros.ros.diagnostics import DRAWS_ARM, GOAL_DISTANCE, status_name, to_status, value_of
from sac_ros.ros.parameters import declare
from sac_ros.ros.process import ClosingNode, run_node
from sac_ros.ros.qos import LATCHED, LATEST
from sac_ros.sim.geometry import arm_geometry
from sac_ros.tasks.reach import reach_spec
from sac_ros.types import Vector

COMMAND_TOPIC = 'forward_effort_controller/commands'
GOAL_TOPICS = {'policy_node/goal': PointStamped, 'policy_node/goal_pose': PoseStamped}
REPORT_PERIOD = 1.0  # [s]
SHOW_PERIOD = 0.1  # [s]
POLICY_SILENCE = 2.5  # [s] without diagnostics after which policy_node counts as gone
SLOW = 0.95  # share of the real-time factor asked for below which it warns


class SimNode(ClosingNode):
    """Topics and services of one Simulator."""

    def __init__(self) -> None:
        super().__init__('sim_node')
        self.config = declare(self, SimConfig)
        self.simulator = Simulator(self.config, time.monotonic())
        self._goal: dict[str, Vector] = {}
        self._goal_until, self._aligned = 0.0, False
        self._tells_time = self.config.clock or self.config.real_time_factor != 1
        arm = self.simulator.arm
        spec = reach_spec(arm.robot, self.simulator.period, self.config.arm.gravity_compensation)
        self._view = ArmView(spec, arm_geometry(arm, TaskConfig()))
        self._policy = f'{self.get_namespace()}/policy_node'.lstrip('/')
        self._policy_seen = -math.inf  # when the last diagnostics of policy_node came [s]
        self._policy_draws_arm = False
        self._states = self.create_publisher(JointState, 'joint_states', LATEST)
        self._clock_publisher = self.create_publisher(ClockMessage, '/clock', LATEST)
        self._markers = self.create_publisher(MarkerArray, '~/markers', LATEST)
        self._load = self.create_publisher(JointState, '~/relative_torque', LATEST)
        self._goals = {
            kind: self.create_publisher(kind, topic, LATCHED)
            for topic, kind in GOAL_TOPICS.items()
        }
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._description = self.create_publisher(String, 'robot_description', LATCHED)
        self._description.publish(String(data=robot_description(self.simulator.robot)))
        self.create_subscription(Float64MultiArray, COMMAND_TOPIC, self._on_command, LATEST)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        for topic, kind in GOAL_TOPICS.items():
            self.create_subscription(kind, topic, self._on_goal, LATEST)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_service(SetBool, '~/pause', self._on_pause)
        self.create_service(Trigger, '~/step', self._on_step)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self.simulator.wall_period, self._on_period, clock=steady)
        self.create_timer(SHOW_PERIOD, self._on_show, clock=steady)
        self.create_timer(REPORT_PERIOD, self._on_report, clock=steady)
        self._log_robot()

    def _log_robot(self) -> None:
        robot = self.simulator.robot
        self.get_logger().info(f'{robot.name}: {", ".join(robot.joint_names)}; tip {robot.tip}')
        for note in robot.notes:
            self.get_logger().info(note)

    def _on_period(self) -> None:
        now = time.monotonic()
        if not self._aligned:
            self._aligned = True
            self.simulator.align(now)
        self.simulator.advance(now, self._publish_state)

    def _on_command(self, message: Float64MultiArray) -> None:
        try:
            self.simulator.command(time.monotonic(), np.array(message.data))
        except ConfigError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)

    def _on_goal(self, message: PointStamped | PoseStamped) -> None:
        try:
            self._goal = messages.read_goal(message, self.simulator.robot.base)
        except SpecMismatch as error:
            self.get_logger().error(str(error))

    def _on_show(self) -> None:
        now, stamp = time.monotonic(), self._stamp()
        if self.config.goal_period > 0 and now >= self._goal_until:
            self._goal, self._goal_until = (
                self.simulator.sample_goal(),
                now + self.config.goal_period,
            )
        if self._goal and self.config.goal_period > 0:
            goal = messages.to_goal(self._goal, self.simulator.robot.base, stamp)
            self._goals[type(goal)].publish(goal)
        if self._load.get_subscription_count():
            self._load.publish(relative_torque(self.simulator.arm, stamp))
        if self._markers.get_subscription_count():
            self._draw(now)

    def _draw(self, now: float) -> None:
        """Draw what policy_node does not draw."""
        arm, view, silent = self.simulator.arm, self._view, now - self._policy_seen
        alone = silent > POLICY_SILENCE
        drawn = []
        if alone or not self._policy_draws_arm:
            drawn += view.draw_arm(arm.position, arm.applied_torque)
        if alone:
            words, shade = 'no policy_node', markers.WHITE
            if math.isfinite(silent):
                words, shade = f'policy_node has been silent for {silent:.0f} s', markers.RED
            words += '\nsimulation paused' if self.simulator.paused else ''
            drawn += view.draw_goal(self._goal, view.offset(self._goal, arm.position))
            drawn.append(view.draw_text(words, shade))
        if drawn:
            self._markers.publish(MarkerArray(markers=drawn))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._policy:
                self._policy_seen = time.monotonic()
                self._policy_draws_arm = value_of(status, DRAWS_ARM) == 'True'

    def _on_report(self) -> None:
        timing, wanted = self.simulator.timing(time.monotonic()), self.config.real_time_factor
        slow = not self.simulator.paused and timing.real_time_factor < SLOW * wanted
        doing = 'obeying' if self.simulator.command_active else 'no command'
        text = 'too slow' if slow else 'paused' if self.simulator.paused else doing
        level = 'warn' if slow else 'ok'
        values: dict[str, object] = timing._asdict()
        if self._goal:
            distance = np.linalg.norm(self._goal['goal'] - self.simulator.arm.tip_position)
            values[GOAL_DISTANCE] = float(distance)
        status = to_status(status_name(self), level, text, values)
        header = Header(stamp=self.get_clock().now().to_msg())
        self._diagnostics.publish(DiagnosticArray(header=header, status=[status]))

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.simulator.reset()
        self._view.restart()
        self._publish_state()
        response.success = True
        return response

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.simulator.pause(request.data, time.monotonic())
        response.success, response.message = True, 'paused' if request.data else 'running'
        return response

    def _on_step(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self.simulator.paused
        response.message = '' if response.success else 'pause first'
        if response.success:
            self.simulator.step(time.monotonic())
            self._publish_state()
        return response

    def _publish_state(self) -> None:
        arm, stamp = self.simulator.arm, self._stamp()
        if self._tells_time:
            self._clock_publisher.publish(ClockMessage(clock=stamp))
        self._states.publish(arm_state(arm, stamp))
        self._view.record(arm.time, arm.position)

    def _stamp(self) -> Time:
        if self._tells_time:
            return messages.to_stamp(self.simulator.arm.time)
        return self.get_clock().now().to_msg()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns the exit status."""
    return run_node('sim_node', SimNode, arguments)


if __name__ == '__main__':
    sys.exit(main())
