"""A simulated arm that looks like a torque-controlled robot: a node that only wires."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PointStamped
from numpy.typing import NDArray
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import MarkerArray

from sac_ros.errors import ConfigError, SpecMismatch
from sac_ros.ros import messages
from sac_ros.ros.parameters import declare
from sac_ros.ros.process import ClosingNode, run_node
from sac_ros.simulator import SimConfig, Simulator

COMMAND_TOPIC = '/forward_effort_controller/commands'
GOAL_TOPIC = '/policy_node/goal'
BASE_FRAME = 'base_link'
LATEST = QoSProfile(depth=1)
LATCHED_TOPIC = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class SimNode(ClosingNode):
    """Topics and services of one Simulator."""

    def __init__(self) -> None:
        super().__init__('sim_node')
        self.config = declare(self, SimConfig)
        self.simulator = Simulator(self.config, time.monotonic())
        self._goal: NDArray[np.float64] | None = None
        self._goal_until = 0.0
        self._states = self.create_publisher(JointState, '/joint_states', LATEST)
        self._clock_publisher = self.create_publisher(ClockMessage, '/clock', LATEST)
        self._markers = self.create_publisher(MarkerArray, '~/markers', LATEST)
        self._goals = self.create_publisher(PointStamped, GOAL_TOPIC, LATEST)
        self._description = self.create_publisher(String, '/robot_description', LATCHED_TOPIC)
        self._description.publish(String(data=self.simulator.robot.urdf))
        self.create_subscription(Float64MultiArray, COMMAND_TOPIC, self._on_command, LATEST)
        self.create_subscription(PointStamped, GOAL_TOPIC, self._on_goal, LATEST)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_service(SetBool, '~/pause', self._on_pause)
        self.create_service(Trigger, '~/step', self._on_step)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self.simulator.period, self._on_period, clock=steady)
        self.create_timer(0.1, self._on_show, clock=steady)
        robot = self.simulator.robot
        self.get_logger().info(f'{robot.name}: {", ".join(robot.joint_names)}; tip {robot.tip}')

    def _on_period(self) -> None:
        if self.simulator.advance(time.monotonic()):
            self._publish_state()

    def _on_command(self, message: Float64MultiArray) -> None:
        try:
            self.simulator.command(time.monotonic(), np.array(message.data))
        except ConfigError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)

    def _on_goal(self, message: PointStamped) -> None:
        try:
            self._goal = messages.read_point(message, BASE_FRAME)
        except SpecMismatch as error:
            self.get_logger().error(str(error))

    def _on_show(self) -> None:
        now, stamp = time.monotonic(), self._stamp()
        if self.config.goal_period > 0 and now >= self._goal_until:
            self._goal, self._goal_until = (
                self.simulator.sample_goal(),
                now + self.config.goal_period,
            )
        points = {'tip': (self.simulator.arm.tip_position, 'orange')}
        if self._goal is not None:
            points['goal'] = (self._goal, 'green')
            if self.config.goal_period > 0:
                self._goals.publish(messages.to_point(self._goal, BASE_FRAME, stamp))
        self._markers.publish(messages.to_markers(points, BASE_FRAME, stamp))

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.simulator.reset()
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
        if self.config.clock:
            self._clock_publisher.publish(ClockMessage(clock=stamp))
        names = self.simulator.robot.joint_names
        self._states.publish(
            messages.to_joint_state(names, arm.position, arm.velocity, arm.applied_torque, stamp)
        )

    def _stamp(self) -> Time:
        if self.config.clock:
            return messages.to_stamp(self.simulator.arm.time)
        return self.get_clock().now().to_msg()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns the exit status."""
    return run_node('sim_node', SimNode, arguments)


if __name__ == '__main__':
    sys.exit(main())
