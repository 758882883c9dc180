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

"""ROS messages from and to numpy arrays: pure functions, units and frames as in REP 103."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, PointStamped, PoseStamped, Quaternion
from numpy.typing import NDArray
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from sac_ros.errors import SpecMismatch
from sac_ros.ros.markers import to_pose
from sac_ros.types import Vector

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
    return PoseStamped(header=point.header, pose=to_pose(goal))


def to_point(point: Vector, frame: str, stamp: Time) -> PointStamped:
    """Make a PointStamped from (3,) [m]."""
    x, y, z = point.tolist()
    return PointStamped(header=Header(stamp=stamp, frame_id=frame), point=Point(x=x, y=y, z=z))
