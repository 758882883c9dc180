"""Drives the robot with an exported policy: a lifecycle node that only wires.

On every joint state it publishes one guarded effort command. While it is active and not enabled
(READY, FAULT, ESTOP) the command is the fallback, because a forward controller holds its last
command for ever; it cannot be enabled before a goal has come. It never enables itself.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
from numpy.typing import NDArray
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, Header, String
from std_srvs.srv import SetBool, Trigger

from sac_ros.config import Checked, setting
from sac_ros.controller import Controller
from sac_ros.errors import ConfigError, SacRosError, SpecMismatch
from sac_ros.policy import OnnxPolicy
from sac_ros.ros import messages
from sac_ros.ros.parameters import declare
from sac_ros.ros.process import ClosingNode, run_node
from sac_ros.safety import SafetyConfig
from sac_ros.supervisor import State, SupervisorConfig

COMMAND_TOPIC = '/forward_effort_controller/commands'
WATCHDOG_PERIOD = 0.005  # [s]
CROWD_PERIOD = 0.5  # [s] between two looks for other publishers of commands
REPORT_PERIOD = 1.0  # [s]
LAST_WORDS = 5  # times the fallback is published before the node falls silent
LATEST = QoSProfile(depth=1)
LATEST_STATE = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED_TOPIC = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True)
class PolicyNodeConfig(Checked):
    """Settings of the policy node."""

    policy: str = setting('', 'ONNX file of the policy')
    autostart: bool = setting(False, 'configure and activate at the start; never enables')
    base_frame: str = setting('base_link', 'frame in which goals must be given')
    command_joints: str = setting(
        '', "the controller's joints in its order, with commas; empty for the policy's order"
    )
    safety: SafetyConfig = dataclasses.field(default_factory=SafetyConfig)
    supervision: SupervisorConfig = dataclasses.field(default_factory=SupervisorConfig)


class PolicyNode(LifecycleNode, ClosingNode):
    """Topics and services of one Controller."""

    def __init__(self) -> None:
        super().__init__('policy_node')
        self.config = declare(self, PolicyNodeConfig)
        self._controller: Controller | None = None
        self._shown: State | None = None
        self._live: list[Callable[[], object]] = []  # undoes what activating made
        self._state = self.create_publisher(String, '~/state', LATCHED_TOPIC)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_subscription(PointStamped, '~/goal', self._on_goal, LATEST)
        self.create_service(SetBool, '~/enable', self._on_enable)
        self.create_service(Trigger, '~/estop', self._on_estop)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_service(Trigger, '~/reload', self._on_reload)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(CROWD_PERIOD, self._on_crowd_timer, clock=self._steady)
        self.create_timer(REPORT_PERIOD, self._on_report_timer, clock=self._steady)
        self._show()
        if self.config.autostart:
            self._configure()
            for trigger in (self.trigger_configure, self.trigger_activate):
                if trigger() is not TransitionCallbackReturn.SUCCESS:
                    raise ConfigError('the node could not be activated; its log says why')

    # Lifecycle. rclpy swallows exceptions in these, so each becomes a line in the log.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and check the policy."""
        try:
            if self._controller is None:
                self._configure()
        except SacRosError as error:
            self.get_logger().error(f'{type(error).__name__}: {error}')
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to listen and to command the fallback."""
        command = self.create_publisher(Float64MultiArray, COMMAND_TOPIC, LATEST)
        applied = self.create_publisher(JointState, '~/applied', LATEST)
        self._command, self._applied = command, applied
        listener = self.create_subscription(
            JointState, '/joint_states', self._on_joint_state, LATEST_STATE
        )
        watchdog = self.create_timer(WATCHDOG_PERIOD, self._on_watchdog, clock=self._steady)
        self._live = [
            lambda: self.destroy_subscription(listener),
            lambda: self.destroy_timer(watchdog),
            lambda: self.destroy_publisher(command),
            lambda: self.destroy_publisher(applied),
        ]
        self._loaded.supervisor.activated()
        self._show()
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Leave the fallback behind and stop commanding."""
        self._fall_silent()
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let the policy go."""
        self._controller = None
        self._show()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Leave the fallback behind."""
        self._fall_silent()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Leave the fallback behind, whatever happened."""
        self._fall_silent()

    # Topics

    def _on_joint_state(self, message: JointState) -> None:
        controller, now = self._loaded, time.monotonic()
        try:
            position, velocity = self._reader.read(message)
        except SpecMismatch as error:
            controller.reject('joint states do not fit the policy')
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        torque = controller.step(now, position, velocity)
        self._publish(torque)
        self._applied.publish(
            messages.to_joint_state(
                controller.spec.joint_names, position, velocity, torque, message.header.stamp
            )
        )
        self._show()

    def _on_watchdog(self) -> None:
        torque = self._loaded.check(time.monotonic())
        if torque is not None:
            self._publish(torque)
        self._show()

    def _on_goal(self, message: PointStamped) -> None:
        try:
            goal = messages.read_point(message, self.config.base_frame)
        except SpecMismatch as error:
            self.get_logger().error(str(error))
            return
        if self._controller is not None:
            self._controller.goal = goal

    def _on_crowd_timer(self) -> None:
        controller = self._controller
        if controller is not None and controller.supervisor.moving and self._crowd():
            controller.supervisor.fault(self._crowd())
            self._show()

    def _on_report_timer(self) -> None:
        report = self._controller.report() if self._controller else ('warn', 'UNCONFIGURED', {})
        status = messages.to_status(self.get_name(), *report)
        now = self.get_clock().now().to_msg()
        self._diagnostics.publish(DiagnosticArray(header=Header(stamp=now), status=[status]))

    # Services

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if self._controller is None:
            response.message = 'no policy is loaded; configure and activate this node first'
        elif request.data:
            response.message = self._controller.enable(time.monotonic(), self._crowd())
        else:
            self._controller.supervisor.disable()
        return self._answer(response, not response.message)

    def _on_estop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._controller is not None:
            self._controller.supervisor.estop()
        return self._answer(response, True)

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._controller is not None:
            self._controller.supervisor.reset()
        return self._answer(response, True)

    def _on_reload(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        controller = self._controller
        if controller is None or controller.supervisor.moving:
            response.message = 'load a policy first' if controller is None else 'disable first'
            return self._answer(response, False)
        try:
            policy = OnnxPolicy(self.config.policy)
            policy.spec.check_same(controller.spec, f'policy {policy.path}', 'the running policy')
            controller.use(policy)
        except SacRosError as error:
            response.message = f'{type(error).__name__}: {error}'
            return self._answer(response, False)
        response.message = f'loaded {policy.path}, SHA-256 {policy.sha256}'
        return self._answer(response, True)

    # What they share

    @property
    def _loaded(self) -> Controller:
        assert self._controller is not None, 'callbacks of an active node have a controller'
        return self._controller

    def _configure(self) -> None:
        config = self.config
        if not config.policy:
            raise ConfigError('no policy is given; set the parameter policy to an ONNX file')
        policy = OnnxPolicy(config.policy)
        names = policy.spec.joint_names
        ordered = tuple(config.command_joints.replace(' ', '').split(','))
        ordered = ordered if config.command_joints else names
        if len(ordered) != len(names):
            raise ConfigError(f'command_joints is {ordered}, the policy has {names}')
        self._order = messages.joint_order(names, ordered, f'policy {policy.path}')
        self._reader = messages.JointReader(names)
        self._controller = Controller(policy, config.safety, config.supervision)
        self.get_logger().info(f'loaded {policy.path}, SHA-256 {policy.sha256}')
        self._show()

    def _publish(self, torque: NDArray[np.float64]) -> None:
        self._command.publish(messages.to_command(torque[self._order]))

    def _fall_silent(self) -> None:
        if not self._live or self._controller is None:
            return
        for _ in range(LAST_WORDS):
            self._publish(self._controller.last_words())
            time.sleep(0.002)
        for undo in self._live:
            undo()
        self._live = []
        self._controller.supervisor.deactivated()
        self._show()

    def _crowd(self) -> str:
        others = self.count_publishers(COMMAND_TOPIC) - 1
        return f'{others} other publisher(s) on {COMMAND_TOPIC}' if others > 0 else ''

    def _show(self) -> None:
        """Publish and log the state when it has changed."""
        state = self._controller.supervisor.state if self._controller else State.UNCONFIGURED
        if state is self._shown:
            return
        self._shown = state
        self._state.publish(String(data=state.name))
        reason = self._controller.supervisor.reason if self._controller else ''
        self.get_logger().info(f'{state.name}: {state.value}' + (f' ({reason})' if reason else ''))

    def _answer(
        self, response: SetBool.Response | Trigger.Response, success: bool
    ) -> SetBool.Response | Trigger.Response:
        self._show()
        response.success = success
        state = self._shown.name if self._shown else ''
        response.message = response.message or state
        return response


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns the exit status."""
    return run_node('policy_node', PolicyNode, arguments)


if __name__ == '__main__':
    sys.exit(main())
