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

"""The goal as an interactive marker of RViz: drag it; its menu enables, stops and resets.

It speaks the protocol of the package interactive_markers: a service returns all markers and a
sequence number, every update has the next number, and feedback comes on a topic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import PointStamped, Pose, PoseStamped, Quaternion
from rclpy.clock import Clock
from rclpy.node import Node
from visualization_msgs.msg import (
    InteractiveMarker,
    InteractiveMarkerControl,
    InteractiveMarkerFeedback,
    InteractiveMarkerPose,
    InteractiveMarkerUpdate,
    MenuEntry,
)
from visualization_msgs.srv import GetInteractiveMarkers

from sac_ros.ros import markers
from sac_ros.ros.flood_guard import GuardedSubscription
from sac_ros.ros.qos import EVENTS, MARKER_UPDATES
from sac_ros.types import Vector

NAME = 'goal'
HALF = math.sqrt(0.5)
# Rotations that turn the x axis of a control onto x, z and y.
TURNS = {'x': (HALF, 0.0, 0.0), 'z': (0.0, HALF, 0.0), 'y': (0.0, 0.0, HALF)}


class GoalMarker:
    """The server of one interactive marker."""

    def __init__(
        self,
        node: Node,
        on_goal: Callable[[PointStamped | PoseStamped], None],
        menu: Mapping[str, Callable[[], object]],
        flooded: Callable[[str], None],
        clock: Clock,
    ) -> None:
        """Open the topics and the service.

        Args:
            node: that serves.
            on_goal: takes the goal when the mouse lets it go.
            menu: what each entry of the menu does.
            flooded: takes the reason when feedback floods the node.
            clock: steady.
        """
        self._on_goal, self._menu = on_goal, dict(menu)
        self._server = node.get_fully_qualified_name()
        self._updates = node.create_publisher(
            InteractiveMarkerUpdate, '~/goal_marker/update', MARKER_UPDATES
        )
        self._number, self._marker = 0, InteractiveMarker()
        self._takes_pose = False
        self.subscription: GuardedSubscription[Any] = GuardedSubscription(
            node, InteractiveMarkerFeedback, '~/goal_marker/feedback', EVENTS,
            self._on_feedback, flooded=flooded, clock=clock,
            series=lambda message: message.event_type,
        )  # fmt: skip
        node.create_service(
            GetInteractiveMarkers, '~/goal_marker/get_interactive_markers', self._on_get
        )

    def offer(self, frame: str, goal: Mapping[str, Vector], scale: float, poses: bool) -> None:
        """Show the marker anew.

        Args:
            frame: base frame.
            goal: where, as in `Controller.goal`.
            scale: reach of the arm [m].
            poses: whether the goal can be turned too.
        """
        self._takes_pose = poses
        self._marker = _make_marker(frame, markers.to_pose(goal), scale, poses, [*self._menu])
        self._publish(markers=[self._marker])

    def move(self, goal: Mapping[str, Vector]) -> None:
        """Move the marker to a goal that came by another way."""
        self._marker.pose = markers.to_pose(goal)
        if not self._updates.get_subscription_count():
            self._number += 1
            return
        moved = InteractiveMarkerPose(
            header=self._marker.header, pose=self._marker.pose, name=NAME
        )
        self._publish(poses=[moved])

    def _publish(self, **content: Any) -> None:
        self._number += 1
        self._updates.publish(
            InteractiveMarkerUpdate(
                server_id=self._server,
                seq_num=self._number,
                type=InteractiveMarkerUpdate.UPDATE,
                **content,
            )
        )

    def _on_get(
        self, _: GetInteractiveMarkers.Request, response: GetInteractiveMarkers.Response
    ) -> GetInteractiveMarkers.Response:
        response.sequence_number = self._number
        response.markers = [self._marker] if self._marker.name else []
        return response

    def _on_feedback(self, message: InteractiveMarkerFeedback, _: bytes) -> None:
        if message.event_type == InteractiveMarkerFeedback.MENU_SELECT:
            entries = list(self._menu.values())
            if 1 <= message.menu_entry_id <= len(entries):
                entries[message.menu_entry_id - 1]()
        elif message.event_type == InteractiveMarkerFeedback.MOUSE_UP:
            goal = PoseStamped(header=message.header, pose=message.pose)
            if not self._takes_pose:
                goal = PointStamped(header=message.header, point=message.pose.position)
            self._on_goal(goal)


def _make_marker(
    frame: str, pose: Pose, scale: float, poses: bool, menu: list[str]
) -> InteractiveMarker:
    marker = InteractiveMarker(name=NAME, pose=pose, scale=0.22 * scale)
    marker.header.frame_id = frame
    marker.menu_entries = [
        MenuEntry(id=number + 1, title=title) for number, title in enumerate(menu)
    ]
    handle = markers.mark('', NAME, markers.faded(markers.WHITE, 0.15))
    markers.ball(handle, np.zeros(3), 0.06 * scale)
    handle.lifetime, handle.frame_locked = Duration(), False
    marker.controls = [
        InteractiveMarkerControl(
            name='move',
            orientation_mode=InteractiveMarkerControl.VIEW_FACING,
            interaction_mode=InteractiveMarkerControl.MOVE_ROTATE_3D
            if poses
            else InteractiveMarkerControl.MOVE_3D,
            independent_marker_orientation=True,
            always_visible=True,
            markers=[handle],
        ),
        *(_control(f'move_{axis}', axis, 'MOVE_AXIS', fixed=True) for axis in TURNS),
    ]
    if poses:
        marker.controls += [_control(f'turn_{axis}', axis, 'ROTATE_AXIS') for axis in TURNS]
    return marker


def _control(name: str, axis: str, mode: str, fixed: bool = False) -> InteractiveMarkerControl:
    x, y, z = TURNS[axis]
    control = InteractiveMarkerControl(
        name=name, interaction_mode=getattr(InteractiveMarkerControl, mode)
    )
    if fixed:  # axes of the base frame, however the goal is turned
        control.orientation_mode = InteractiveMarkerControl.FIXED
    control.orientation = Quaternion(w=HALF, x=x, y=y, z=z)
    return control
