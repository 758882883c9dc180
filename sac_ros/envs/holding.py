"""Joints that are not actuated, such as those of a gripper, stay where they are."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.envs.urdf import Source

JOINT_EQUALITY = mujoco.mjtEq.mjEQ_JOINT


def held_joints(
    model: mujoco.MjModel, source: Source, chosen: Sequence[str], names: list[str]
) -> dict[str, float]:
    """Return where the joints that are not actuated stay; those that follow another one may."""
    followed = {
        e.name1 for e in source.spec.equalities if e.type == JOINT_EQUALITY and e.name2 in chosen
    }
    held = {}
    for name in names:
        if name not in chosen and name not in followed:
            joint = model.joint(name)
            position = float(model.qpos0[joint.qposadr[0]])
            if model.jnt_limited[joint.id]:
                position = float(np.clip(position, *model.jnt_range[joint.id]))
            held[name] = position
    return held


def weld(spec: mujoco.MjSpec, model: mujoco.MjModel, held: dict[str, float]) -> None:
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
    for thing in (*spec.actuators, *gone, *spec.tendons, *spec.sensors, *spec.keys):
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
