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

"""Shared data types: transitions, and the kinematics, dynamics and shape of an arm."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class Transition(NamedTuple):
    """One step, a batch, or the columns on disk: same fields, only leading dimensions differ.

    A truncated step is not terminated: its value still bootstraps from `next_observation`.
    """

    observation: Any  # (..., n_obs), raw: SI units, not normalised
    action: Any  # (..., n_act), normalised to [-1, 1]
    reward: Any  # (...,)
    terminated: Any  # (...,) 0 or 1
    next_observation: Any  # (..., n_obs)


class Dynamics(NamedTuple):
    """Constants of an arm's dynamics that a base controller uses; joints as in the specification.

    `mass` and `center` belong to the links of a `KinematicChain`: link 0 lies before its first
    joint, link i between joint i and the next one.
    """

    inertia: NDArray[np.float64]  # (n,) mean diagonal of the mass matrix [kg·m^2]
    damping: NDArray[np.float64]  # (n,) [N·m·s/rad]
    friction: NDArray[np.float64]  # (n,) Coulomb friction [N·m]
    mass: NDArray[np.float64]  # (c+1,) [kg]
    center: NDArray[np.float64]  # (c+1, 3) center of mass in the frame behind the joint [m]
    gravity: NDArray[np.float64]  # (3,) in the base frame [m/s^2]


class CollisionSpheres(NamedTuple):
    """Spheres that cover an arm, numbered by the links of a `KinematicChain` as in `Dynamics`."""

    center: NDArray[np.float64]  # (s, 3) [m] in the frame of the link's joint; link 0: base frame
    link: NDArray[np.int64]  # (s,)
    pair: NDArray[np.int64]  # (p, 2) spheres that must not meet
    above_table: NDArray[np.int64]  # (t,) spheres that must stay above the table
    normal: NDArray[np.float64]  # (3,) of the table, in the base frame
    reach: NDArray[np.float64]  # (p + t,) [m] distance, or height of a center, that is contact


class BarredInterval(NamedTuple):
    """Interval of a joint that it must not enter, since links meet there."""

    joint: int  # index in the specification's order
    lower: float  # [rad or m]
    upper: float  # [rad or m]


class KinematicChain(NamedTuple):
    """Kinematics from the base to the tip, enough to place the tip from joint positions.

    The tip lies at T_0 J_1 T_1 ... J_n T_n applied to the origin, where T_i is the fixed
    transform (rotation[i], translation[i]) and J_i turns about (or slides along) axis[i].
    """

    rotation: NDArray[np.float64]  # (n+1, 3, 3)
    translation: NDArray[np.float64]  # (n+1, 3) [m]
    axis: NDArray[np.float64]  # (n, 3) unit vectors in the joint's own frame
    prismatic: NDArray[np.bool_]  # (n,) True where the joint slides
    joint: NDArray[np.int64]  # (n,) index of the joint in the specification's order
    ratio: NDArray[np.float64]  # (n,) motion per motion of that joint: 1 unless it mimics it
    dynamics: Dynamics | None = None
    collision: CollisionSpheres | None = None
    barred: tuple[BarredInterval, ...] = ()

    def placement(self, n_joints: int) -> NDArray[np.float64]:
        """Return the motion (n_joints, n) of each joint of the chain per joint of the robot."""
        return np.asarray(np.eye(n_joints)[:, self.joint] * self.ratio)
