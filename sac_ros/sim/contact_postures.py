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

"""Random postures of an arm, and which of its links touch in each."""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.robot.kinematics import carrying_link, joints_to
from sac_ros.sim.arm import SimArm

POSTURES = 2_000
TABLE = -1  # in place of the number of a link
Touching = dict[tuple[int, int], NDArray[np.bool_]]


class ContactPostures(NamedTuple):
    """Postures, uniform in the ranges of the joints, and their contacts."""

    position: NDArray[np.float64]  # (k, n) [rad]
    touching: Touching  # (k,) by the numbers of two links, the smaller one first
    free: NDArray[np.bool_]  # (k,) nothing touches


def links_of(arm: SimArm) -> list[int]:
    """Return the bodies that carry the links of the chain, the base first."""
    return [0, *(int(arm.model.jnt_bodyid[i]) for i in joints_to(arm.model, arm.tip_body))]


def try_postures(arm: SimArm) -> ContactPostures:
    """Place an arm in random postures and note what touches; the middle one if none is free."""
    rng, links = np.random.default_rng(0), links_of(arm)
    lower, upper = arm.robot.joint_ranges()
    model, data = arm.model, arm.data
    link = [carrying_link(model, body, links[1:]) for body in range(model.nbody)]
    plane = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    position = rng.uniform(lower, upper, (POSTURES, len(lower)))
    free = np.zeros(POSTURES, bool)
    touching: Touching = {}
    for i in range(POSTURES):
        arm.place(position[i])
        free[i] = not arm.touches()
        for contact in data.contact:
            one, other = sorted(
                TABLE if plane[geom] else link[model.geom_bodyid[geom]] for geom in contact.geom
            )
            touching.setdefault((one, other), np.zeros(POSTURES, bool))[i] = True
    if not free.any():
        position[0], free[0] = (lower + upper) / 2, True
    return ContactPostures(position, touching, free)
