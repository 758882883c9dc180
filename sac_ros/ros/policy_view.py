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

"""What policy_node shows in RViz: the arm's marks, the goal, and its state with the reason.

Drawing is cut into tasks of a fraction of a millisecond, because the node draws in the pauses
between commands: a task must not make the next command late.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from rclpy.node import Node
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from sac_ros.deploy.controller import Controller
from sac_ros.deploy.supervisor import LATCHED, MOVING, State, Supervisor
from sac_ros.ros import markers
from sac_ros.ros.arm_view import ArmView
from sac_ros.ros.goal_marker import GoalMarker
from sac_ros.ros.qos import TWO_LATEST
from sac_ros.types import Vector

NOTICE_TIME = 6.0  # [s] that a refusal is shown
SILENCE = 0.5  # [s] without joint states that is shown
NEXT = {
    State.UNCONFIGURED: 'next: configure and activate policy_node',
    State.INACTIVE: 'next: activate policy_node',
    State.FAULT: 'next: ~/reset, then ~/enable',
    State.ESTOP: 'next: ~/reset, then ~/enable',
}
UNCONFIGURED_GOAL = np.array([0.4, 0.0, 0.5])  # where the goal is offered, as shares of the reach
Task = Callable[[], None]


class PolicyView:
    """Publishes the markers of one policy node.

    Attributes:
        torque: published last, (n,) [N·m].
    """

    def __init__(self, node: Node, supervisor: Supervisor, goal_marker: GoalMarker) -> None:
        """Open the topic."""
        self._publisher = node.create_publisher(MarkerArray, '~/markers', TWO_LATEST)
        self._supervisor, self._goal_marker = supervisor, goal_marker
        self._controller: Controller | None = None
        self._view: ArmView | None = None
        self._frame = ''
        self._position: Vector | None = None  # of the last joint state
        self.torque = np.zeros(0)
        self._offered: Mapping[str, Vector] | None = None  # goal at the interactive marker
        self._notice, self._notice_until = '', 0.0

    def configure(self, controller: Controller | None, frame: str) -> None:
        """Take a policy, or the absence of one; goals are in `frame`."""
        self._controller, self._frame, self._view = controller, frame, None
        self._position, self._offered = None, None
        if controller is not None:
            spec, geometry = controller.spec, controller.policy.geometry
            self._view = ArmView(spec, geometry, frame)
            self.torque = np.zeros(spec.n_action)

    def record(self, now: float, position: Vector) -> None:
        """Note joint positions (n,)."""
        self._position = position
        if self._view is not None:
            self._view.record(now, position)

    def notice(self, words: str) -> None:
        """Show a line for a few seconds; an empty one ends the last."""
        self._notice, self._notice_until = words, time.monotonic() + NOTICE_TIME

    def tasks(self) -> list[Task]:
        """Return the steps that draw everything once; nothing is drawn while nobody watches."""
        if not self._publisher.get_subscription_count():
            return [self._update_goal_marker]
        self._drawn: list[Marker] = []
        steps = [self._update_goal_marker, self._draw_text, self._draw_goal]
        if self._view is None or self._position is None:
            return [*steps, self._publish]
        joints = [partial(self._draw_joint, joint) for joint in range(len(self.torque))]
        return [*steps, self._draw_tip, self._publish, *joints, self._publish]

    def _publish(self) -> None:
        self._publisher.publish(MarkerArray(markers=self._drawn))
        self._drawn = []

    def _draw_text(self) -> None:
        words, shade = self._status(time.monotonic())
        if self._view is not None:
            self._drawn.append(self._view.draw_text(words, shade))
        else:
            place = np.array([0.0, 0.0, -0.1])
            text = markers.mark(self._frame, 'text', shade)
            self._drawn.append(markers.text(text, words, place, 0.05))

    def _status(self, now: float) -> tuple[str, ColorRGBA]:
        """Return the state, its reason and what to do next, and their color."""
        state = self._supervisor.state
        level, line, _ = (
            self._controller.report() if self._controller else ('warn', state.name, {})
        )
        lines, shade = [line], markers.LEVEL_COLORS[level]
        if state in MOVING:
            lines.append(f'policy share {100 * self._supervisor.policy_weight(now):.0f} %')
            shade = markers.GREEN if level == 'ok' else shade
        elif (
            state is State.READY and self._controller and not self._controller.missing_goal_reason
        ):
            lines.append('next: ~/enable')
        elif state in NEXT:
            lines.append(NEXT[state])
        age = self._supervisor.state_age(now)
        if state in (State.READY, *MOVING, *LATCHED) and age > SILENCE:
            lines.append('no joint states' + (f' for {age:.0f} s' if age < 1e6 else ''))
            shade = markers.RED if level == 'error' else markers.ORANGE
        if self._notice and now < self._notice_until:
            lines.append(self._notice)
            shade = markers.RED if level == 'error' else markers.ORANGE
        return '\n'.join(lines), shade

    def _draw_goal(self) -> None:
        if self._view is None or self._controller is None:
            return
        goal, offset = self._controller.goal, None
        if self._position is not None:
            offset = self._view.offset(goal, self._position)
        self._drawn += self._view.draw_goal(goal, offset)

    def _draw_tip(self) -> None:
        if self._view is not None:
            self._drawn += self._view.draw_tip()

    def _draw_joint(self, joint: int) -> None:
        if self._view is not None and self._position is not None:
            position, torque = float(self._position[joint]), float(self.torque[joint])
            self._drawn += self._view.draw_joint(joint, position, torque)

    def _update_goal_marker(self) -> None:
        if self._view is None or self._controller is None:
            return
        goal = self._controller.goal
        if self._offered is None:
            geometry, scale = self._view.geometry, self._view.scale
            place = {'goal': scale * UNCONFIGURED_GOAL}
            if geometry is not None and self._position is not None:
                place = {'goal': geometry.tip_pose(self._position)[0]}
            poses = 'goal_orientation' in self._controller.spec.slices()
            if poses and not goal:
                place['goal_orientation'] = np.array([0.0, 0.0, 0.0, 1.0])
            self._goal_marker.offer(self._frame, goal or place, scale, poses)
            self._offered = goal
        elif goal is not self._offered:
            self._goal_marker.move(goal)
            self._offered = goal
