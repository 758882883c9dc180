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

"""Joints that are not actuated, such as those of a gripper, stay where they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.robot.mimic import (
    JOINT_EQUALITY,
    couplings_of,
    locked_joints,
    mimics_of,
    reference_of,
)
from sac_ros.robot.urdf import ParsedRobot


def following(
    source: ParsedRobot, model: mujoco.MjModel, limited: Collection[str]
) -> dict[str, str]:
    """Return the joints that are not actuated unless they are named, and what they follow.

    Of two joints that an equality of an MJCF couples, the one without a torque limit follows. A
    locked joint follows none: ''.
    """
    found = dict.fromkeys(locked_joints(model), '')
    for joint, leader, _ in couplings_of(model):
        swapped = not source.urdf and joint in limited and leader not in limited
        found |= {leader: joint} if swapped else {joint: leader}
    return found


def held_joints(
    model: mujoco.MjModel, source: ParsedRobot, chosen: Sequence[str], names: list[str]
) -> dict[str, float]:
    """Return where the joints stay that are neither actuated nor follow one that is."""
    locked = locked_joints(model)
    followed = {mimic.joint for mimic in mimics_of(model, chosen)}
    held: dict[str, float] = {}

    def hold(name: str, position: float) -> None:
        limits = model.jnt_range[model.joint(name).id].tolist()
        fixed = name in source.position_limits and limits[0] == limits[1]
        if model.jnt_limited[model.joint(name).id] or fixed:
            position = float(np.clip(position, *limits))
        held[name] = position

    free = [name for name in names if name not in chosen and name not in followed]
    for name in free:
        if name in held:
            continue
        hold(name, locked.get(name, reference_of(model, name)))
        for mimic in mimics_of(model, [name]):
            if mimic.joint in free and mimic.joint not in held and mimic.leader in held:
                hold(mimic.joint, mimic.position(model, held[mimic.leader]))
    return {name: held[name] for name in free}


def fix_joints(spec: mujoco.MjSpec, model: mujoco.MjModel, held: dict[str, float]) -> None:
    """Take joints out, their bodies staying where the held position puts them."""
    data = mujoco.MjData(model)
    for name, position in held.items():
        data.qpos[model.joint(name).qposadr[0]] = position
    mujoco.mj_kinematics(model, data)
    if not held:
        return
    for name in held:
        body = spec.joint(name).parent
        place, turn = _relative_pose(model, data, model.body(body.name).id)
        if body.frame is not None:  # whose pose would come on top
            body.set_frame(body.parent.add_frame())
        body.pos, body.quat = place, turn
        body.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
        spec.delete(spec.joint(name))
    joints = {joint.name for joint in spec.joints}
    gone = [
        e
        for e in spec.equalities
        if e.type == mujoco.mjtEq.mjEQ_TENDON
        or (e.type == JOINT_EQUALITY and not {e.name1, *filter(None, [e.name2])} <= joints)
    ]
    for thing in (*gone, *spec.tendons):
        spec.delete(thing)


def _relative_pose(
    model: mujoco.MjModel, data: mujoco.MjData, body: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return position and quaternion of a body in its parent's frame."""
    parent = int(model.body_parentid[body])
    inverse, turn = np.zeros(4), np.zeros(4)
    mujoco.mju_negQuat(inverse, data.xquat[parent])
    mujoco.mju_mulQuat(turn, inverse, data.xquat[body])
    place = data.xmat[parent].reshape(3, 3).T @ (data.xpos[body] - data.xpos[parent])
    return place, turn
