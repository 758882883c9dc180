"""What RViz draws besides the robot: goal, tip and its trail, load per joint, states as text."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from sensor_msgs.msg import JointState
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from sac_ros.ros.conversions import draw_goal, to_ball, to_joint_state, to_text
from sac_ros.sim.arm import SimArm

Vector = NDArray[np.float64]
TRAIL = 150  # places of the tip that are kept
STEP = 0.003  # [m] that the tip moves before another place is kept
SMALL, LARGE = 0.03, 0.11  # [m] diameter of a joint's ball without torque and at its limit
ABOVE = 0.25  # [m] of the text above the tip


class ArmMarkers:
    """The markers of one arm; it remembers where the tip has been."""

    def __init__(self, arm: SimArm) -> None:
        self._arm = arm
        self._trail: deque[Vector] = deque(maxlen=TRAIL)

    def restart(self) -> None:
        """Forget the trail."""
        self._trail.clear()

    def draw(self, goal: Mapping[str, Vector], text: str, stamp: Time) -> MarkerArray:
        """Make the markers of the arm as it is.

        Args:
            goal: `goal` (3,) [m] and, of a pose, `goal_orientation` (4,); empty if there is none.
            text: shown above the tip, if any.
            stamp: time of all of them.
        """
        tip, frame = self._arm.tip_position, self._arm.robot.base
        if not self._trail or np.linalg.norm(tip - self._trail[-1]) > STEP:
            self._trail.append(tip)
        header = Header(stamp=stamp, frame_id=frame)
        markers = [
            to_ball('tip', tip, 'orange', header),
            *draw_goal(goal, header),
            self._draw_trail(header),
            *self._draw_load(header),
        ]
        if text:
            markers.append(to_text(text, tip + np.array([0.0, 0.0, ABOVE]), header))
        return MarkerArray(markers=markers)

    def _draw_trail(self, header: Header) -> Marker:
        marker = _marker(header, 'trail', Marker.LINE_STRIP)
        marker.scale.x = 0.006
        marker.color = ColorRGBA(r=1.0, g=0.55, b=0.1, a=0.8)
        places = [*self._trail, self._arm.tip_position]
        marker.points = [_point(place) for place in places]
        return marker

    def _draw_load(self, header: Header) -> list[Marker]:
        """Make a ball at each joint, larger and redder the nearer its torque is to the limit."""
        share = np.abs(relative_torque(self._arm))
        markers = []
        for joint, place in enumerate(self._arm.joint_places):
            marker = _marker(header, 'torque', Marker.SPHERE, joint)
            marker.pose.position = _point(place)
            load = min(1.0, float(share[joint]))
            size = SMALL + load * (LARGE - SMALL)
            marker.scale.x = marker.scale.y = marker.scale.z = size
            marker.color = ColorRGBA(r=load, g=1 - load, b=0.2, a=0.5)
            markers.append(marker)
        return markers


def relative_torque(arm: SimArm) -> Vector:
    """Return the torque of each joint (n,) as a share of its limit."""
    share: Vector = arm.applied_torque / np.array(arm.robot.torque_limit)
    return share


def arm_state(arm: SimArm, stamp: Time) -> JointState:
    """Make the joint state of an arm as its sensors see it, the held joints of a URDF included.

    RViz wants all joints; policies find theirs by name.
    """
    held = dict(arm.robot.held) if arm.robot.urdf else {}
    position, velocity = arm.read_sensors()
    still = np.zeros(len(held))
    return to_joint_state(
        (*arm.robot.joint_names, *held),
        np.concatenate((position, list(held.values()))),
        np.concatenate((velocity, still)),
        np.concatenate((arm.applied_torque, still)),
        stamp,
    )


def _marker(header: Header, space: str, kind: int, number: int = 0) -> Marker:
    marker = Marker(header=header, ns=space, type=kind, id=number)
    marker.pose.orientation.w = 1.0
    return marker


def _point(place: Vector) -> Point:
    x, y, z = place.tolist()
    return Point(x=x, y=y, z=z)
