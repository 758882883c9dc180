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

"""What RViz draws of an arm besides the robot: goal, tip, trail, torque and limits of each joint.

Marks on the arm are given in the frames of its links, so that RViz moves them along with the
robot. Nothing here knows where the numbers come from: simulation, training and robot look alike.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Point, Pose
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from sac_ros.deploy.arm_geometry import ArmGeometry, angle_between, quaternion_of
from sac_ros.ros import markers
from sac_ros.spec import PolicySpec
from sac_ros.types import Vector

TRAIL_PERIOD = 0.02  # [s] between two places of the trail
TRAIL_SECONDS = 3.0  # [s] that the trail goes back
ARC = 0.75 * math.pi  # [rad] from no torque to the limit
SEGMENTS = 18  # of an arc from no torque to the limit
NEAR_LIMIT = 0.05  # share of a joint's range at its ends that is marked
UNKNOWN_REACH = 0.8  # [m] of an arm without geometry


@dataclass(frozen=True)
class GoalOffset:
    """Distance [m] and, for a pose, angle [rad] from the tip to the goal."""

    distance: float
    angle: float | None
    success: bool

    def __str__(self) -> str:
        degrees = '' if self.angle is None else f'  {math.degrees(self.angle):.0f}°'
        return f'{1000 * self.distance:.0f} mm{degrees}'


class ArmView:
    """The marks of one arm; it remembers where the tip has been."""

    def __init__(self, spec: PolicySpec, geometry: ArmGeometry | None, frame: str = '') -> None:
        """Prepare what does not change.

        Args:
            spec: of the joints.
            geometry: of the arm; without it only goals are drawn.
            frame: base frame, in place of the one of the specification.
        """
        self.geometry, self.frame = geometry, frame or spec.base_frame
        self._limit = np.array(spec.torque_limit)
        self._lower, self._upper = np.array(spec.position_lower), np.array(spec.position_upper)
        self._names = spec.joint_names
        self.scale = geometry.reach if geometry else UNKNOWN_REACH
        length = round(TRAIL_SECONDS / TRAIL_PERIOD)
        self._samples: deque[Vector] = deque(maxlen=length)  # not yet drawn
        self._trail: deque[Point] = deque(maxlen=length)
        self._recorded = -math.inf
        self._rings = _rings(geometry) if geometry else []

    def restart(self) -> None:
        """Forget the trail."""
        self._samples.clear()
        self._trail.clear()

    def record(self, now: float, position: Vector) -> None:
        """Remember joint positions (n,) for the trail; `now` [s] is of any clock.

        A clock that jumps begins another trail.
        """
        if not 0 <= now - self._recorded < TRAIL_SECONDS:
            self.restart()
        elif now - self._recorded < 0.95 * TRAIL_PERIOD:
            return
        self._recorded = now
        self._samples.append(position)

    def offset(self, goal: Mapping[str, Vector], position: Vector) -> GoalOffset | None:
        """Return how far the tip is from the goal at joint positions (n,), if both are known."""
        if self.geometry is None or not goal:
            return None
        place, rotation = self.geometry.tip_pose(position)
        distance, angle = float(np.linalg.norm(place - goal['goal'])), None
        success = distance <= self.geometry.success_radius
        if 'goal_orientation' in goal:
            angle = angle_between(quaternion_of(rotation), goal['goal_orientation'])
            success = success and angle <= self.geometry.success_angle
        return GoalOffset(distance, angle, success)

    def draw_goal(self, goal: Mapping[str, Vector], offset: GoalOffset | None) -> list[Marker]:
        """Draw the goal with its success radius and distance, green where it is reached."""
        names = ('goal', 'goal_radius', 'goal_drop', 'goal_distance')
        arrows = [('goal_axes', i) for i in range(3)] + [('tip_axes', i) for i in range(3)]
        if not goal:
            return [markers.gone(name) for name in names]
        frame, scale, place = self.frame, self.scale, goal['goal']
        shade = markers.GREEN if offset and offset.success else markers.BLUE
        drawn = [markers.ball(markers.mark(frame, 'goal', shade), place, 0.025 * scale)]
        if self.geometry is not None:
            sphere = markers.mark(frame, 'goal_radius', markers.faded(shade, 0.35))
            drawn.append(markers.ball(sphere, place, 2 * self.geometry.success_radius))
            if self.geometry.table is not None:
                foot = np.array([place[0], place[1], self.geometry.table])
                ends = [markers.to_point(place), markers.to_point(foot)]
                drop = markers.mark(frame, 'goal_drop', markers.GREY)
                drawn.append(markers.line(drop, ends, 0.004 * scale))
        if offset is not None:
            above = place + np.array([0.0, 0.0, 0.23 * scale])
            words = markers.mark(frame, 'goal_distance', shade)
            drawn.append(markers.text(words, str(offset), above, 0.055 * scale))
        if 'goal_orientation' not in goal:
            return drawn + [markers.gone(*arrow) for arrow in arrows]
        drawn += markers.axes(frame, 'goal_axes', markers.to_pose(goal), 0.13 * scale)
        if self.geometry is not None:
            tip = Pose()
            tip.orientation.w = 1.0
            drawn += markers.axes(self.geometry.tip_frame, 'tip_axes', tip, 0.1 * scale)
        return drawn

    def draw_tip(self) -> list[Marker]:
        """Draw the tip, in its own frame, and its trail."""
        if self.geometry is None:
            return []
        frame, scale = self.geometry.tip_frame, self.scale
        tip = markers.mark(frame, 'tip', markers.ORANGE)
        drawn = [markers.ball(tip, np.zeros(3), 0.03 * scale)]
        if self._samples:
            places, _ = self.geometry.tip_pose(np.array(self._samples))
            self._trail.extend(markers.to_point(place) for place in places)
            self._samples.clear()
        if len(self._trail) > 1:
            trail = markers.mark(self.frame, 'trail', markers.faded(markers.ORANGE, 0.8))
            drawn.append(markers.line(trail, self._trail, 0.008 * scale))
        else:
            drawn.append(markers.gone('trail'))
        return drawn

    def draw_joint(self, joint: int, position: float, torque: float) -> list[Marker]:
        """Draw the torque [N·m] of a joint as a share of the range about its axis.

        The grey ring is the range, from the negative limit to the positive one, which a
        right-handed turn about the axis leads to. It is red where the joint is near the end of
        its positions.

        Args:
            joint: its index.
            position: of the joint [rad] or [m].
            torque: of the joint [N·m] or [N].
        """
        if self.geometry is None:
            return []
        ring, frame = self._rings[joint], self.geometry.frames[joint]
        share = float(np.clip(torque / self._limit[joint], -1, 1))
        near = self._near_limit(joint, position)
        size = 0.1 * float(self.geometry.radius[joint])
        shade = markers.RED if near else markers.GREY
        drawn = [markers.line(markers.mark(frame, 'range', shade, joint), ring, size)]
        steps = round(share * SEGMENTS)
        if steps:
            ends = sorted((SEGMENTS, SEGMENTS + steps))
            arc = markers.mark(frame, 'torque', _heat(abs(share)), joint)
            drawn.append(markers.line(arc, ring[ends[0] : ends[1] + 1], 4 * size))
        else:
            drawn.append(markers.gone('torque', joint))
        if near:
            top = ring[SEGMENTS]
            place = 1.3 * np.array([top.x, top.y, top.z])
            words = f'{self._names[joint]} at {near} limit'
            limit = markers.mark(frame, 'limit', markers.RED, joint)
            drawn.append(markers.text(limit, words, place, 0.04 * self.scale))
        else:
            drawn.append(markers.gone('limit', joint))
        return drawn

    def draw_arm(self, position: Vector, torque: Vector) -> list[Marker]:
        """Draw tip, trail and every joint at positions (n,) and torques (n,)."""
        drawn = self.draw_tip()
        for joint, (q, tau) in enumerate(zip(position.tolist(), torque.tolist(), strict=True)):
            drawn += self.draw_joint(joint, q, tau)
        return drawn

    def draw_text(self, words: str, shade: ColorRGBA) -> Marker:
        """Write below the base, lower the more lines there are: the text is centered."""
        height = -(0.1 + 0.04 * len(words.splitlines())) * self.scale
        place = np.array([0.0, 0.0, height])
        return markers.text(
            markers.mark(self.frame, 'text', shade), words, place, 0.06 * self.scale
        )

    def _near_limit(self, joint: int, position: float) -> str:
        lower, upper = float(self._lower[joint]), float(self._upper[joint])
        margin = NEAR_LIMIT * (upper - lower)
        if not math.isfinite(margin):
            return ''
        return (
            'lower' if position < lower + margin else 'upper' if position > upper - margin else ''
        )


def _rings(geometry: ArmGeometry) -> list[list[Point]]:
    """Return points of each joint's ring, from the negative limit of torque to the positive one.

    The middle of a ring lies opposite to the link that the joint moves.
    """
    rings = []
    for joint, axis in enumerate(geometry.axis):
        start = -_along_link(geometry, joint)
        start -= (start @ axis) * axis
        if np.linalg.norm(start) < 1e-3 * geometry.reach:
            start = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
        start *= geometry.radius[joint] / np.linalg.norm(start)
        shares = np.linspace(-1, 1, 2 * SEGMENTS + 1)[:, None]
        if geometry.slides[joint]:
            places = start + shares * 2 * geometry.radius[joint] * axis
        else:
            angle = ARC * shares
            places = np.cos(angle) * start + np.sin(angle) * np.cross(axis, start)
        rings.append([markers.to_point(place) for place in geometry.anchor[joint] + places])
    return rings


def _along_link(geometry: ArmGeometry, joint: int) -> Vector:
    """Return the direction (3,) from a joint to the next one of the chain, zero if unknown."""
    (found,) = np.nonzero(geometry.chain.joint == joint)
    return geometry.chain.translation[found[0] + 1].copy() if len(found) else np.zeros(3)


def _heat(share: float) -> ColorRGBA:
    """Return a color from yellow without torque to red at the limit."""
    return markers.color(1.0, 0.9 - 0.75 * share, 0.15)
