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

"""From a compiled model to the constants of its dynamics that a base controller uses."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.robot.kinematics import carrying_link, joints_to
from sac_ros.robot.mimic import Mimic, gradient_of, place_mimics
from sac_ros.types import Dynamics, KinematicChain

POSTURES = 200  # random postures over which the inertia is averaged


def dynamics_of(
    model: mujoco.MjModel,
    joint_names: tuple[str, ...],
    chain: KinematicChain,
    tip_body: int,
    mimics: tuple[Mimic, ...] = (),
) -> Dynamics:
    """Return inertia, damping and friction of each joint, and the masses along the chain.

    Args:
        model: of the robot alone.
        joint_names: of the specification, in its order.
        chain: kinematics to the tip.
        tip_body: number of the body that carries the tip.
        mimics: joints that follow those of the specification; their inertia counts as theirs.
    """
    joints = [model.joint(name).id for name in joint_names]
    gradient = gradient_of(model, joint_names, mimics)
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    limited = model.jnt_limited[joints].astype(bool)[:, None]
    lower, upper = np.where(limited, model.jnt_range[joints], [-np.pi, np.pi]).T
    inertia = np.zeros((model.nv, model.nv))
    diagonals = []
    for _ in range(POSTURES):
        data.qpos[model.jnt_qposadr[joints]] = rng.uniform(lower, upper)
        place_mimics(model, data.qpos, mimics)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_crb(model, data)
        mujoco.mj_fullM(model, data, inertia)
        diagonals.append(np.einsum('vi,vw,wi->i', gradient, inertia, gradient))
    mass, center = _links(model, joint_names, chain, joints_to(model, tip_body), mimics)
    damping = model.dof_damping.reshape(model.nv, -1)[:, 0]
    return Dynamics(
        inertia=np.mean(diagonals, axis=0),
        damping=damping @ gradient**2,
        friction=model.dof_frictionloss @ np.abs(gradient),
        mass=mass,
        center=center,
        gravity=model.opt.gravity.copy(),
    )


def _links(
    model: mujoco.MjModel,
    joint_names: tuple[str, ...],
    chain: KinematicChain,
    joints: list[int],
    mimics: tuple[Mimic, ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mass (c+1,) and center of mass (c+1, 3) of what each joint of the chain carries.

    Everything that hangs on a link counts as fixed to it, in its reference position.
    """
    data = mujoco.MjData(model)
    place_mimics(model, data.qpos, mimics)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    carriers = [int(model.jnt_bodyid[joint]) for joint in joints]
    mass, moment = np.zeros(len(carriers) + 1), np.zeros((len(carriers) + 1, 3))
    for body in range(1, model.nbody):
        link = carrying_link(model, body, carriers)
        mass[link] += model.body_mass[body]
        moment[link] += model.body_mass[body] * data.xipos[body]
    center = moment / np.maximum(mass, 1e-9)[:, None]  # in the base frame
    reference = data.qpos[[model.joint(joint_names[j]).qposadr[0] for j in chain.joint]]
    rotation, origin = chain.rotation[0], chain.translation[0]
    for i, position in enumerate(reference * chain.ratio):
        axis = chain.axis[i]
        if chain.prismatic[i]:
            origin = origin + rotation @ axis * position
        else:
            turn = np.zeros(4)
            mujoco.mju_axisAngle2Quat(turn, axis, position)
            matrix = np.zeros(9)
            mujoco.mju_quat2Mat(matrix, turn)
            rotation = rotation @ matrix.reshape(3, 3)
        center[i + 1] = rotation.T @ (center[i + 1] - origin)
        origin = origin + rotation @ chain.translation[i + 1]
        rotation = rotation @ chain.rotation[i + 1]
    return mass, center
