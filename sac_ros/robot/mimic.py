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

"""Joints that follow another joint: `<mimic>` in a URDF, a joint equality in an MJCF."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ModelError

JOINT_EQUALITY = mujoco.mjtEq.mjEQ_JOINT
LOOPS = (int(mujoco.mjtEq.mjEQ_CONNECT), int(mujoco.mjtEq.mjEQ_WELD))
SOLREF, SOLIMP = (0.004, 1.0), (0.99, 0.9999, 1e-4, 0.5, 2.0)  # a stiff gear


class Mimic(NamedTuple):
    """A joint whose position is a polynomial of the position of its leader.

    Both positions are relative to the reference positions of the model.
    """

    joint: str
    leader: str
    coefficients: tuple[float, ...]  # (5,), that of degree zero first

    @property
    def linear(self) -> bool:
        """Whether the joint moves in proportion to its leader."""
        return not any(self.coefficients[2:])

    def position(self, model: mujoco.MjModel, leader: float) -> float:
        """Return the position [rad] or [m] at a position of the leader."""
        moved = leader - reference_of(model, self.leader)
        value = np.polynomial.polynomial.polyval(moved, self.coefficients)
        return reference_of(model, self.joint) + float(value)


def reference_of(model: mujoco.MjModel, joint: str) -> float:
    """Return the position [rad] or [m] of a joint in the pose that the file describes."""
    return float(model.qpos0[model.joint(joint).qposadr[0]])


def couplings_of(model: mujoco.MjModel) -> list[Mimic]:
    """Return the active couplings of two joints, in the direction of the file."""
    return [
        Mimic(
            model.joint(model.eq_obj1id[e]).name,
            model.joint(model.eq_obj2id[e]).name,
            tuple(model.eq_data[e, :5].tolist()),
        )
        for e in range(model.neq)
        if model.eq_type[e] == JOINT_EQUALITY and model.eq_active0[e] and model.eq_obj2id[e] >= 0
    ]


def locked_joints(model: mujoco.MjModel) -> dict[str, float]:
    """Return the positions [rad] or [m] of the joints that an equality keeps at one position."""
    locked = {}
    for e in range(model.neq):
        if model.eq_type[e] == JOINT_EQUALITY and model.eq_active0[e] and model.eq_obj2id[e] < 0:
            name = model.joint(model.eq_obj1id[e]).name
            locked[name] = reference_of(model, name) + float(model.eq_data[e, 0])
    return locked


def mimics_of(model: mujoco.MjModel, joint_names: Collection[str]) -> tuple[Mimic, ...]:
    """Return the joints that follow one of `joint_names`, directly or not; leaders come first.

    A linear coupling acts in both directions.
    """
    couplings, known = couplings_of(model), set(joint_names)
    for coupling in list(couplings):
        a0, a1 = coupling.coefficients[:2]
        if coupling.linear and a1:
            couplings.append(Mimic(coupling.leader, coupling.joint, (-a0 / a1, 1 / a1, 0, 0, 0)))
    found: list[Mimic] = []
    while True:
        following = [c for c in couplings if c.leader in known and c.joint not in known]
        if not following:
            return tuple(found)
        found.append(following[0])
        known.add(following[0].joint)


def place_mimics(
    model: mujoco.MjModel, position: NDArray[np.float64], mimics: tuple[Mimic, ...]
) -> None:
    """Set the positions of the joints that follow others in `position` (nq,) in place."""
    for mimic in mimics:
        leader = position[model.joint(mimic.leader).qposadr[0]]
        position[model.joint(mimic.joint).qposadr[0]] = mimic.position(model, leader)


def ratios_of(
    model: mujoco.MjModel, joint_names: Collection[str], mimics: tuple[Mimic, ...]
) -> dict[str, tuple[str, float, float]]:
    """Return leader, ratio and offset of each joint: q = ratio * q_leader + offset.

    The leader is one of `joint_names`, which are in the result with ratio 1. A joint that follows
    by a polynomial of a higher degree is not in it.
    """
    ratios = {name: (name, 1.0, 0.0) for name in joint_names}
    for mimic in mimics:
        if mimic.linear and mimic.leader in ratios:
            leader, ratio, offset = ratios[mimic.leader]
            slope = mimic.coefficients[1]
            start = mimic.position(model, 0.0)
            ratios[mimic.joint] = (leader, slope * ratio, slope * offset + start)
    return ratios


def gradient_of(
    model: mujoco.MjModel, joint_names: tuple[str, ...], mimics: tuple[Mimic, ...]
) -> NDArray[np.float64]:
    """Return the velocity (nv, n) of every degree of freedom per velocity of each joint."""
    gradient = np.zeros((model.nv, len(joint_names)))
    for name, (leader, ratio, _) in ratios_of(model, joint_names, mimics).items():
        gradient[model.joint(name).dofadr[0], joint_names.index(leader)] = ratio
    return gradient


def stiffen(spec: mujoco.MjSpec) -> None:
    """Make the couplings of joints as stiff as gears: the default yields by millimeters."""
    for equality in spec.equalities:
        if equality.type == JOINT_EQUALITY:
            equality.solref[:], equality.solimp[:] = SOLREF, SOLIMP


def refuse_loops(model: mujoco.MjModel, source: object) -> None:
    """Raise a ModelError that names the bodies which an equality joins into a closed chain."""
    for e in range(model.neq):
        if int(model.eq_type[e]) not in LOOPS or not model.eq_active0[e]:
            continue
        ends = [int(model.eq_obj1id[e]), int(model.eq_obj2id[e])]
        if model.eq_objtype[e] == mujoco.mjtObj.mjOBJ_SITE:
            ends = [int(model.site_bodyid[site]) for site in ends]
        one, other = (int(body) for body in ends)
        if model.body_weldid[one] != model.body_weldid[other]:
            names = f'{model.body(one).name} and {model.body(other).name}'
            raise ModelError(
                f'{source}: an equality joins {names}, which closes a chain of joints; closed '
                f'chains cannot be trained: remove the equality, or leave their joints out of '
                f'arm.joints'
            )
