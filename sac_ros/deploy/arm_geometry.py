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

"""The geometry of an arm that displays need: kinematics to the tip, frames and axes of joints."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sac_ros import strict_json
from sac_ros.types import KinematicChain, Vector

MAX_JOINTS = 1000  # of a chain in a file


@dataclass(frozen=True)
class ArmGeometry:
    """Where the tip and the joints are; arrays are in the order of the specification's joints.

    The frame of a joint is that of the link which it moves, as robot_state_publisher names it.
    """

    chain: KinematicChain  # from the base frame to the tip; kinematics alone
    frames: tuple[str, ...]  # (n,) frame of each joint
    axis: Vector  # (n, 3) unit vectors in these frames
    anchor: Vector  # (n, 3) [m] a point of each axis in these frames
    radius: Vector  # (n,) [m] distance from the axis that lies outside the links
    slides: tuple[bool, ...]  # (n,) True where the joint is prismatic
    tip_frame: str
    success_radius: float  # [m]
    success_angle: float  # [rad]
    table: float | None = None  # [m] height of the table in the base frame, None without one

    @property
    def reach(self) -> float:
        """Longest distance [m] from the first joint to the tip that the links allow."""
        return float(np.linalg.norm(self.chain.translation[1:], axis=1).sum())

    def tip_pose(self, position: Vector) -> tuple[Vector, Vector]:
        """Return the tip in the base frame by forward kinematics.

        T = T_0 J_1(q) T_1 ... J_m(q) T_m

        Args:
            position: (..., n) joint positions [rad] or [m].

        Returns:
            Its positions (..., 3) [m] and rotations (..., 3, 3).
        """
        chain = self.chain
        moved = np.asarray(position)[..., chain.joint] * chain.ratio  # (..., m)
        turns = _rotations(chain.axis, np.where(chain.prismatic, 0.0, moved))  # (..., m, 3, 3)
        slides = (chain.prismatic * moved)[..., None] * chain.axis  # (..., m, 3)
        rotation = np.broadcast_to(chain.rotation[0], (*moved.shape[:-1], 3, 3))
        place = np.broadcast_to(chain.translation[0], (*moved.shape[:-1], 3))
        for i in range(len(chain.axis)):
            place = place + (rotation @ slides[..., i, :, None])[..., 0]
            rotation = rotation @ turns[..., i, :, :]
            place = place + rotation @ chain.translation[i + 1]
            rotation = rotation @ chain.rotation[i + 1]
        return place, rotation

    def to_json(self) -> str:
        """Return the geometry as one JSON text."""
        chain = self.chain
        return json.dumps(
            {
                'chain': {
                    'rotation': chain.rotation.tolist(),
                    'translation': chain.translation.tolist(),
                    'axis': chain.axis.tolist(),
                    'prismatic': chain.prismatic.tolist(),
                    'joint': chain.joint.tolist(),
                    'ratio': chain.ratio.tolist(),
                },
                'frames': self.frames,
                'axis': self.axis.tolist(),
                'anchor': self.anchor.tolist(),
                'radius': self.radius.tolist(),
                'slides': self.slides,
                'tip_frame': self.tip_frame,
                'success_radius': self.success_radius,
                'success_angle': self.success_angle,
                'table': self.table,
            },
            allow_nan=False,
        )

    @classmethod
    def from_json(cls, text: str, n_joints: int) -> ArmGeometry:
        """Read what `to_json` wrote, for an arm of `n_joints` joints.

        Raises:
            ValueError: the text is something else.
        """
        data = _object('the geometry', strict_json.loads(text), cls.__annotations__)
        links = _object('chain', data['chain'], ('rotation', 'translation', *_PER_JOINT))
        m = len(strict_json.items('axis of the chain', links['axis'], object))
        if m > MAX_JOINTS:
            raise ValueError(f'a chain of {m} joints is too long')
        joint = strict_json.items('joint', links['joint'], int)
        prismatic = strict_json.items('prismatic', links['prismatic'], bool)
        if len(joint) != m or len(prismatic) != m or not all(0 <= j < n_joints for j in joint):
            raise ValueError(f'the joints {joint} of a chain of {m} do not fit {n_joints} joints')
        slides = strict_json.items('slides', data['slides'], bool)
        frames = strict_json.items('frames', data['frames'], str)
        if len(slides) != n_joints or len(frames) != n_joints:
            raise ValueError(f'it has {len(frames)} frames for {n_joints} joints')
        table = data['table']
        return cls(
            chain=KinematicChain(
                _array('rotation', links['rotation'], (m + 1, 3, 3)),
                _array('translation', links['translation'], (m + 1, 3)),
                _array('axis of the chain', links['axis'], (m, 3)),
                np.array(prismatic, bool),
                np.array(joint, np.int64),
                _array('ratio', links['ratio'], (m,)),
            ),
            frames=frames,
            axis=_array('axis', data['axis'], (n_joints, 3)),
            anchor=_array('anchor', data['anchor'], (n_joints, 3)),
            radius=_array('radius', data['radius'], (n_joints,)),
            slides=slides,
            tip_frame=strict_json.exact('tip_frame', data['tip_frame'], str),
            success_radius=strict_json.number('success_radius', data['success_radius']),
            success_angle=strict_json.number('success_angle', data['success_angle']),
            table=None if table is None else strict_json.number('table', table),
        )


_PER_JOINT = ('axis', 'prismatic', 'joint', 'ratio')


def quaternion_of(rotation: Vector) -> Vector:
    """Return the unit quaternion (4,) x, y, z, w of a rotation (3, 3), with w >= 0."""
    r = rotation
    squares = 1 + np.array(
        [
            r[0, 0] - r[1, 1] - r[2, 2],
            r[1, 1] - r[0, 0] - r[2, 2],
            r[2, 2] - r[0, 0] - r[1, 1],
            r[0, 0] + r[1, 1] + r[2, 2],
        ]
    )  # 4 times those of x, y, z, w
    k = int(np.argmax(squares))
    products = np.array(
        [
            [squares[0], r[1, 0] + r[0, 1], r[0, 2] + r[2, 0], r[2, 1] - r[1, 2]],
            [r[1, 0] + r[0, 1], squares[1], r[2, 1] + r[1, 2], r[0, 2] - r[2, 0]],
            [r[0, 2] + r[2, 0], r[2, 1] + r[1, 2], squares[2], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], squares[3]],
        ]
    )
    quaternion = products[k] / np.linalg.norm(products[k])
    result: Vector = math.copysign(1, quaternion[3]) * quaternion
    return result


def angle_between(one: Vector, other: Vector) -> float:
    """Return the angle [rad] between two unit quaternions (4,)."""
    return 2 * math.acos(min(1.0, abs(float(one @ other))))


def _rotations(axis: Vector, angle: Vector) -> Vector:
    """Return the rotations (..., m, 3, 3) about unit vectors (m, 3) by angles (..., m) [rad].

    R = I + sin(a) K + (1 - cos(a)) K^2 (Rodrigues)
    """
    cross = np.zeros((len(axis), 3, 3))
    x, y, z = axis.T
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
    cross -= cross.transpose(0, 2, 1)
    angle = angle[..., None, None]
    result: Vector = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return result


def _object(name: str, value: Any, keys: Any) -> dict[str, Any]:
    found: dict[str, Any] = strict_json.exact(name, value, dict)
    if set(found) != set(keys):
        raise ValueError(f'{name} has {sorted(found)}, must have {sorted(keys)}')
    return found


def _array(name: str, value: Any, shape: tuple[int, ...]) -> Vector:
    """Return nested lists of finite numbers as an array of exactly this shape."""
    if not shape:
        return np.array(strict_json.number(name, value))
    rows = strict_json.items(name, value, object)
    if len(rows) != shape[0]:
        raise ValueError(f'{name} has {len(rows)} entries, must have {shape[0]}')
    parts = [_array(name, row, shape[1:]) for row in rows]
    return np.array(parts, np.float64).reshape(shape)
