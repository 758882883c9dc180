"""ROS messages from and to numpy arrays: pure functions, units and frames as in REP 103."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, PointStamped, Pose, PoseStamped, Quaternion
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker

from sac_ros.errors import SpecMismatch

Vector = NDArray[np.float64]
LEVELS = {
    'ok': DiagnosticStatus.OK,
    'warn': DiagnosticStatus.WARN,
    'error': DiagnosticStatus.ERROR,
}
TEXT_HEIGHT = 0.04  # [m]
AXIS_LENGTH = 0.1  # [m]
BALL = 0.05  # [m] diameter
GOAL_DISTANCE = 'goal_distance'  # key in the diagnostics of sim_node: from tip to goal [m]
UNIT = 1e-3  # by which the length of a quaternion may differ from 1


def to_stamp(seconds: float) -> Time:
    """Split a time [s] into seconds and nanoseconds."""
    nanoseconds = round(seconds * 1e9)
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def joint_order(names: Sequence[str], wanted: Sequence[str], source: str) -> NDArray[np.int64]:
    """Return where each wanted joint lies among `names`; other joints may be among them too.

    Raises:
        SpecMismatch: a joint is missing or named twice.
    """
    if len(set(names)) != len(names) or not set(wanted) <= set(names):
        raise SpecMismatch(f'policy expects joints {tuple(wanted)}, {source} has {tuple(names)}')
    return np.array([list(names).index(name) for name in wanted], np.int64)


def to_joint_state(
    names: Sequence[str], position: Vector, velocity: Vector, effort: Vector, stamp: Time
) -> JointState:
    """Make a JointState from (n,) arrays in [rad], [rad/s] and [N·m]."""
    return JointState(
        header=Header(stamp=stamp),
        name=list(names),
        position=position.tolist(),
        velocity=velocity.tolist(),
        effort=effort.tolist(),
    )


def read_goal(message: PointStamped | PoseStamped, base_frame: str) -> dict[str, Vector]:
    """Return a goal, which must be given in the base frame, by observation field.

    Returns:
        `goal` (3,) [m] and, of a pose, `goal_orientation` (4,), the unit quaternion x, y, z, w
        with w >= 0: q and -q are the same orientation.

    Raises:
        SpecMismatch: the frame is another one (none is taken as the base), a number is not
            finite, or the quaternion is not of length 1.
    """
    frame = message.header.frame_id
    if base_frame and frame not in ('', base_frame):
        raise SpecMismatch(f'goal is in frame {frame!r}, must be in {base_frame!r}')
    if not isinstance(message, PoseStamped):
        return {'goal': _finite(message.point, 'xyz')}
    point = _finite(message.pose.position, 'xyz')
    quaternion = _finite(message.pose.orientation, 'xyzw')
    length = math.hypot(*quaternion.tolist())
    if abs(length - 1) > UNIT:
        raise SpecMismatch(
            f'goal has the quaternion {quaternion.tolist()} (x, y, z, w) of length {length:.4g}, '
            'must be 1'
        )
    sign = math.copysign(1, quaternion[3])
    return {'goal': point, 'goal_orientation': sign / length * quaternion}


def _finite(values: Point | Quaternion, names: str) -> Vector:
    numbers = np.array([getattr(values, name) for name in names])
    if not np.isfinite(numbers).all():
        raise SpecMismatch(f'goal {numbers.tolist()} is not finite')
    return numbers


def to_goal(goal: Mapping[str, Vector], frame: str, stamp: Time) -> PointStamped | PoseStamped:
    """Make a PoseStamped from what `read_goal` returns, or a PointStamped without orientation."""
    point = to_point(goal['goal'], frame, stamp)
    if 'goal_orientation' not in goal:
        return point
    return PoseStamped(header=point.header, pose=_pose(goal))


def _pose(goal: Mapping[str, Vector]) -> Pose:
    place = dict(zip('xyz', goal['goal'].tolist(), strict=True))
    turn = dict(zip('xyzw', goal['goal_orientation'].tolist(), strict=True))
    return Pose(position=Point(**place), orientation=Quaternion(**turn))


def to_point(point: Vector, frame: str, stamp: Time) -> PointStamped:
    """Make a PointStamped from (3,) [m]."""
    x, y, z = point.tolist()
    return PointStamped(header=Header(stamp=stamp, frame_id=frame), point=Point(x=x, y=y, z=z))


def to_ball(name: str, place: Vector, colour: str, header: Header) -> Marker:
    """Make a sphere at a place (3,) [m]; `colour` is one of `COLOURS`."""
    marker = Marker(header=header, ns=name, type=Marker.SPHERE, id=0)
    marker.pose.position = to_point(place, '', header.stamp).point
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = BALL
    marker.color = COLOURS[colour]
    return marker


def draw_goal(goal: Mapping[str, Vector], header: Header) -> list[Marker]:
    """Make a ball for a goal and, of a pose, an arrow along each axis, x red, y green, z blue.

    The arrows of a pose that was there before a point are taken away.
    """
    if not goal:
        return []
    markers = [to_ball('goal', goal['goal'], 'green', header)]
    for number, axis in enumerate(np.eye(3)):
        marker = Marker(header=header, ns='goal_axes', id=number, action=Marker.DELETE)
        if 'goal_orientation' in goal:
            marker.action, marker.type, marker.pose = Marker.ADD, Marker.ARROW, _pose(goal)
            along = to_point(AXIS_LENGTH * axis, '', header.stamp).point
            marker.points = [Point(), along]  # in the pose
            marker.scale.x, marker.scale.y = 0.008, 0.016  # [m] thickness of shaft and head
            red, green, blue = axis.tolist()
            marker.color = ColorRGBA(r=red, g=green, b=blue, a=0.9)
        markers.append(marker)
    return markers


def to_text(text: str, place: Vector, header: Header) -> Marker:
    """Make a text that is shown at a place (3,) [m] in the frame of the header."""
    marker = Marker(header=header, ns='text', type=Marker.TEXT_VIEW_FACING)
    marker.pose.position = to_point(place, '', header.stamp).point
    marker.pose.orientation.w = 1.0
    marker.scale.z, marker.text = TEXT_HEIGHT, text
    marker.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
    return marker


COLOURS = {
    'green': ColorRGBA(r=0.2, g=0.8, b=0.3, a=0.6),
    'orange': ColorRGBA(r=1.0, g=0.55, b=0.1, a=0.9),
}


def status_name(node: Node) -> str:
    """Return the name of a node in diagnostics: with its namespace, without the leading slash."""
    return node.get_fully_qualified_name().lstrip('/')


def to_status(
    name: str, level: str, message: str, values: Mapping[str, object]
) -> DiagnosticStatus:
    """Make one line of diagnostics; `level` is one of `LEVELS`."""
    return DiagnosticStatus(
        name=name,
        level=LEVELS[level],
        message=message,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )
