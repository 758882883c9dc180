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

"""Drives the robot with an exported policy: a lifecycle node that only wires.

On every joint state it publishes one guarded effort command. While it is active and not enabled
(READY, FAULT, ESTOP) the command is the fallback, because a forward controller holds its last
command for ever; it cannot be enabled before a goal has come. It never enables itself.
"""

from __future__ import annotations

import secrets
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped, PoseStamped
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String
from std_srvs.srv import SetBool, Trigger

from sac_ros.deploy.controller import Controller
from sac_ros.deploy.effort_guard import GuardedRobot
from sac_ros.deploy.supervisor import MOVING, State, Supervisor
from sac_ros.errors import ConfigError, SacRosError, SpecMismatch, StateError
from sac_ros.ros import conversions as messages
from sac_ros.ros.controller_watch import ControllerWatch
from sac_ros.ros.diagnostics import DRAWS_ARM, status_name, to_status
from sac_ros.ros.effort_publisher import EffortCommandPublisher
from sac_ros.ros.flood_guard import GuardedSubscription
from sac_ros.ros.goal_marker import GoalMarker
from sac_ros.ros.guard_link import GuardLink
from sac_ros.ros.joint_states import JointLimits, JointStateReader, series
from sac_ros.ros.loading import BackgroundLoader, PolicyNodeConfig, load_policy
from sac_ros.ros.parameters import declare
from sac_ros.ros.policy_view import PolicyView
from sac_ros.ros.process import ClosingNode, run_node
from sac_ros.ros.qos import JOINT_STATES, LATCHED, LATEST
from sac_ros.ros.realtime import configure_realtime
from sac_ros.ros.service_threads import ServiceThreadsNode
from sac_ros.types import Vector

WATCHDOG_PERIOD = 0.005  # [s]
GRAPH_PERIOD = 0.5  # [s] between two looks who else publishes commands and who listens
REPORT_PERIOD = 1.0  # [s]
VIEW_PERIOD = 0.1  # [s] between two pictures for RViz
MAX_SKIPPED = 2  # pauses in a row without a deferred task
PAUSE = 0.002  # [s] between two joint states per deferred task
MAX_DEFERRAL = 0.1  # [s] without joint states after which nothing waits for a pause
NO_POLICY = 'no policy is loaded; configure and activate this node first'
BASE_FRAME = 'base_link'  # where nobody says another
MIN_STATE_INTERVAL = 0.0002  # [s] a joint state that comes so soon after the one before has waited


def _log_exceptions(
    transition: Callable[[PolicyNode, LifecycleState], TransitionCallbackReturn],
) -> Callable[[PolicyNode, LifecycleState], TransitionCallbackReturn]:
    """Tell what a transition raises, which rclpy swallows."""

    def told(self: PolicyNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(self, state)
        except SacRosError as error:
            self.get_logger().error(f'{type(error).__name__}: {error}')
            return TransitionCallbackReturn.FAILURE
        except Exception:  # noqa: BLE001
            self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR

    return told


class PolicyNode(ServiceThreadsNode, LifecycleNode, ClosingNode):
    """Topics and services of one Controller."""

    def __init__(self) -> None:
        super().__init__('policy_node')
        self.config = declare(self, PolicyNodeConfig)
        self._frame = self.config.base_frame or BASE_FRAME
        self._supervisor = Supervisor(self.config.supervision)  # its latch outlives a policy
        self._controller: Controller | None = None
        self._commander: EffortCommandPublisher | None = None  # while active
        self._watch: ControllerWatch | None = None  # likewise
        self._subscribers = 0  # of commands, when the last one was published
        self._shown: State | None = None
        # One or more for the pause after each command.
        self._deferred_tasks: deque[Callable[[], None]] = deque()
        self._skipped = 0  # pauses in a row that the policy needed
        self._state = self.create_publisher(String, '~/state', LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_service(SetBool, '~/enable', self._on_enable)
        self.create_service(Trigger, '~/estop', self._on_estop)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_service(Trigger, '~/reload', self._on_reload)
        self._steady = steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._listeners: list[
            GuardedSubscription[Any]
        ] = [  # while active, one to joint states as well
            GuardedSubscription(
                self, kind, topic, qos, self._on_goal, flooded=self._on_flood, clock=steady
            )
            for kind, topic in ((PointStamped, '~/goal'), (PoseStamped, '~/goal_pose'))
            # A transient local subscription takes latched goals, and nothing from a volatile
            # publisher; a latched goal that is published now arrives on both.
            for qos in (LATEST, LATCHED)
        ]
        actions = {
            'Enable': self._enable, 'Disable': self._supervisor.disable,
            'Stop (estop)': self._supervisor.estop, 'Reset': self._supervisor.reset,
        }  # fmt: skip
        menu = {name: partial(self._from_menu, action) for name, action in actions.items()}
        slow = Clock(clock_type=ClockType.STEADY_TIME)  # one clock serves a few timers well
        goal_marker = GoalMarker(self, self._take_goal, menu, self._on_flood, slow)
        self._listeners.append(goal_marker.subscription)
        self._view = PolicyView(self, self._supervisor, goal_marker)
        self._view.configure(None, self._frame)
        self._loader = BackgroundLoader(self, self.config, self._steady)
        self.create_timer(WATCHDOG_PERIOD, self._on_watchdog, clock=steady)
        self.create_timer(GRAPH_PERIOD, self._on_graph_timer, clock=steady)
        self.create_timer(REPORT_PERIOD, self._on_report_timer, clock=steady)
        self.create_timer(VIEW_PERIOD, self._on_view_timer, clock=slow)
        self._show()
        if self.config.autostart:
            self._configure()
            for trigger in (self.trigger_configure, self.trigger_activate):
                if trigger() is not TransitionCallbackReturn.SUCCESS:
                    raise ConfigError('the node could not be activated; its log says why')
        self.start_services(first='estop')

    # Lifecycle

    @_log_exceptions
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and check the policy."""
        if self._controller is None:
            self._configure()
        return TransitionCallbackReturn.SUCCESS

    @_log_exceptions
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to listen and to command the fallback."""
        assert self._controller is not None, 'an inactive node is configured'
        names = self._controller.spec.joint_names
        self._commander = EffortCommandPublisher(self, names, self._order, self._link_guard())
        config = self.config
        ordered = [names[index] for index in self._order]
        self._watch = ControllerWatch(
            self, config.controller_manager, config.controller, ordered, self._on_transition
        )
        listener = GuardedSubscription(
            self, JointState, 'joint_states', JOINT_STATES, self._on_joint_state,
            flooded=self._on_flood, clock=self._steady, crowded=MIN_STATE_INTERVAL,
            series=series,
        )  # fmt: skip
        self._listeners.append(listener)
        for refused in configure_realtime(self.config.realtime):
            self.get_logger().warning(f'refused: {refused}')
        self._supervisor.on_activated()
        self._show()
        return TransitionCallbackReturn.SUCCESS

    @_log_exceptions
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Leave the fallback behind and stop commanding."""
        self._stop_commanding()
        return TransitionCallbackReturn.SUCCESS

    @_log_exceptions
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let the policy go."""
        self._controller = None
        self._view.configure(None, self._frame)
        self._supervisor.unconfigured()
        self._show()
        return TransitionCallbackReturn.SUCCESS

    @_log_exceptions
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Leave the fallback behind."""
        self._stop_commanding()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a mistake of ours: leave the fallback behind and begin anew."""
        self._stop_commanding()
        return self.on_cleanup(state)

    def close(self) -> None:
        """Leave the fallback behind, whatever happened."""
        self._stop_commanding()
        self.stop_services()

    # Topics

    def _on_joint_state(self, message: JointState, publisher: bytes) -> None:
        controller, now = self._controller, time.monotonic()
        if controller is None or self._commander is None:
            return  # was on its way when the node was deactivated
        try:
            sample = self._reader.read(message, publisher, now)
        except (SpecMismatch, StateError) as error:
            controller.reject_state(str(error), 'joint states that cannot be used')
            self._show()
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        if sample is None:
            return
        position, velocity = sample
        torque = controller.step(now, position, velocity)
        now = time.monotonic()
        late = controller.check(now)  # held up meanwhile: that torque is old
        torque = torque if late is None else late
        torque = self._publish(torque, now)
        commanded = controller.commanded_torque
        self._commander.echo(position, velocity, commanded, torque, message.header.stamp)
        self._view.record(now, position)
        self._show()
        if controller.warm_up() and self._skipped < MAX_SKIPPED:
            self._skipped += 1
            return
        self._skipped = 0
        count = max(1, int(min(controller.state_interval, 1.0) / PAUSE))
        for _ in range(min(count, len(self._deferred_tasks))):
            self._deferred_tasks.popleft()()

    def _publish(self, torque: Vector, now: float) -> Vector:
        """Publish a command, the fallback where subscribers have changed, and return it.

        Args:
            torque: (n,) [N·m].
            now: when this process was last known to be awake [s].
        """
        assert self._controller is not None and self._commander is not None
        before, self._subscribers = self._subscribers, self._commander.subscribers
        moving = self._supervisor.moving
        if moving and self._subscribers != before:
            moving = False  # for this one command
            torque = self._restart(before, now)
        self._commander.publish(torque, now, moving)
        self._view.torque = torque
        return torque

    def _restart(self, before: int, now: float) -> Vector:
        """Begin anew for a subscriber that has come or gone; return the torque to publish."""
        assert self._controller is not None and self._commander is not None
        if not self._subscribers:
            self._supervisor.fault(self._commander.enable_blocker(now))
            return self._controller.stop(now)
        reason = f'{self._subscribers} subscribers of commands, {before} before'
        self.get_logger().warning(f'the ramp begins anew: {reason}')
        return self._controller.restart_ramp(now, reason)

    def _on_transition(self, why: str) -> None:
        if self._supervisor.moving:
            self._supervisor.fault(why)
            self._show()

    def _on_flood(self, why: str) -> None:
        self.get_logger().error(why)
        self._supervisor.on_invalid_state(why)
        self._show()

    def _on_watchdog(self) -> None:
        for listener in self._listeners:
            listener.mark_timer_fired()
        self.handle_requests()
        if self._controller is None or self._commander is None:
            return
        now = time.monotonic()
        if (reason := self._commander.check(now)) and self._supervisor.moving:
            self._supervisor.fault(reason)
        torque = self._controller.check(now)
        if torque is not None:
            self._publish(torque, now)
        else:
            self._commander.repeat(now)
        self._show()

    def _on_goal(self, message: PointStamped | PoseStamped, _: bytes) -> None:
        self._take_goal(message)

    def _take_goal(self, message: PointStamped | PoseStamped) -> None:
        try:
            goal = messages.read_goal(message, self._frame)
            if self._controller is not None:
                self._controller.set_goal(goal)
        except SpecMismatch as error:
            self._view.notice(str(error))
            self.get_logger().error(str(error), throttle_duration_sec=2.0)

    def _on_graph_timer(self) -> None:
        if self._watch is None or self._commander is None:
            return
        self._watch.poll()
        reason = self._commander.enable_blocker(time.monotonic()) or self._watch.fault()
        if reason and self._supervisor.moving:
            self._supervisor.fault(reason)
            self._show()

    def _on_report_timer(self) -> None:
        self._defer([self._report])

    def _on_view_timer(self) -> None:
        if not self._deferred_tasks:  # else the last picture is still being drawn
            self._defer(self._view.tasks())

    def _defer(self, tasks: Iterable[Callable[[], None]]) -> None:
        """Leave what people read for the pauses after commands; without commands, do it now.

        Done at once it takes a millisecond or two: a command would come that much later.
        """
        self._deferred_tasks.extend(tasks)
        if self._commander is None or self._supervisor.state_age(time.monotonic()) > MAX_DEFERRAL:
            while self._deferred_tasks:
                self._deferred_tasks.popleft()()

    def _report(self) -> None:
        values: dict[str, object] = {}
        level, line = 'warn', 'UNCONFIGURED'
        if self._controller is not None:
            level, line, values = self._controller.report()
            values[DRAWS_ARM] = self._controller.policy.geometry is not None
        status = to_status(status_name(self), level, line, values)
        now = self.get_clock().now().to_msg()
        self._diagnostics.publish(DiagnosticArray(header=Header(stamp=now), status=[status]))
        if self._controller is not None and self._commander is not None:
            self._commander.publish_limits(self._controller.spec, now)

    # Services

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data:
            response.message = self._enable()
        elif self._controller is None:
            response.message = NO_POLICY
        else:
            self._supervisor.disable()
        return self._answer(response, not response.message)

    def _on_estop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._supervisor.estop()
        return self._answer(response, True)

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._supervisor.reset()
        return self._answer(response, True)

    async def _on_reload(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        controller = self._controller
        if controller is None:
            response.message = 'no policy is loaded; configure this node first'
            return self._answer(response, False)
        try:
            policy = await self._loader.load()
            if controller is not self._controller:
                raise ConfigError('this node was configured anew meanwhile; nothing is changed')
            controller.swap(time.monotonic(), policy)
        except SacRosError as error:
            response.message = f'the policy in use stays: {type(error).__name__}: {error}'
            self.get_logger().error(response.message)
            return self._answer(response, False)
        response.message = f'loaded {policy.path}, SHA-256 {policy.sha256}'
        self.get_logger().info(response.message)
        return self._answer(response, True)

    # What they share

    def _enable(self) -> str:
        """Start to move; return '' or the reason against it, which RViz shows."""
        refusal = NO_POLICY
        if self._controller is not None:
            refusal = self._controller.enable(time.monotonic(), self._enable_blocker())
        self._view.notice(f'not enabled: {refusal}' if refusal else '')
        if not refusal:
            self._log_subscribers()
        return refusal

    def _from_menu(self, action: Callable[[], object]) -> None:
        action()
        self._show()

    def _configure(self) -> None:
        config = self.config
        policy = load_policy(config)
        names = policy.spec.joint_names
        ordered = tuple(config.command_joints.replace(' ', '').split(','))
        ordered = ordered if config.command_joints else names
        if len(ordered) != len(names):
            raise ConfigError(f'command_joints is {ordered}, the policy has {names}')
        self._order = messages.joint_order(names, ordered, f'policy {policy.path}')
        trained_in = policy.spec.base_frame
        self._frame = config.base_frame or trained_in or BASE_FRAME
        if trained_in not in ('', self._frame):
            self.get_logger().warning(
                f'goals are in base_frame {self._frame!r}, the policy was trained in '
                f'{trained_in!r}: it must be the same frame by another name'
            )
        self._controller = Controller(policy, config.safety, self._supervisor)
        self._reader = JointStateReader(
            JointLimits.from_filter(self._controller.filter), config.joint_states,
            config.supervision.state_period, self._supervisor.fault_after,
            self._supervisor.ignored_state,
        )  # fmt: skip
        self._view.configure(self._controller, self._frame)
        self.get_logger().info(f'loaded {policy.path}, SHA-256 {policy.sha256}')
        self._show()

    def _link_guard(self) -> GuardLink | None:
        config = self.config
        if not config.guard:
            self.get_logger().warning(
                'without effort_guard: if this process is killed or stopped, a controller without '
                'a command timeout holds the last torque; start effort_guard and set guard to true'
            )
            return None
        assert self._controller is not None, 'an active node is configured'
        watch = config.supervision
        return GuardLink(self, GuardedRobot(
            self._controller.spec, config.safety, tuple(self._order.tolist()),
            config.guard_timeout, max(watch.state_timeout, 3 * watch.state_period),
            max(watch.stall_timeout, config.guard_timeout), secrets.randbits(48),
            watch.state_period, config.joint_states,
        ))  # fmt: skip

    def _stop_commanding(self) -> None:
        commander, self._commander = self._commander, None
        if commander is None or self._controller is None:
            return
        commander.close(self._controller.shutdown_torque)
        self._listeners.pop().close()
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._supervisor.deactivated()
        self._show()

    def _enable_blocker(self) -> str:
        if self._commander is None or self._watch is None:
            return ''
        return self._commander.enable_blocker(time.monotonic()) or self._watch.enable_blocker()

    def _log_subscribers(self) -> None:
        if self._commander is not None and self._watch is not None and not self._watch.is_asked:
            self.get_logger().info(
                'no controller manager is there to ask whether the commands are applied; they go '
                f'to {self._commander.subscriber_names()}'
            )

    def _show(self) -> None:
        """Publish and log a state that has changed; leaving motion commands the fallback first."""
        state = self._supervisor.state
        if state is self._shown:
            return
        left, self._shown = self._shown in MOVING and state not in MOVING, state
        if left and self._controller is not None and self._commander is not None:
            now = time.monotonic()
            self._view.torque = self._controller.stop(now)
            self._commander.publish(self._view.torque, now)
        self._state.publish(String(data=state.name))
        reason = self._supervisor.reason
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
    return run_node('policy_node', PolicyNode, arguments, quick=True)


if __name__ == '__main__':
    sys.exit(main())
