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

"""From a compiled model to the fixed transforms and joint axes that place its tip."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ModelError
from sac_ros.robot.mimic import Mimic, ratios_of, reference_of
from sac_ros.types import KinematicChain

SLIDE = int(mujoco.mjtJoint.mjJNT_SLIDE)


def tip_body(model: mujoco.MjModel, tip: str, source: object) -> tuple[int, int]:
    """Return the body that carries the tip, and the tip's site or -1 where it is the body itself.

    Raises:
        ModelError: neither a body nor a site has that name.
    """
    body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, tip)
    if body >= 0:
        return body, -1
    site = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, tip)
    if site < 0:
        bodies = ', '.join(model.body(i).name for i in range(1, model.nbody))
        sites = ', '.join(filter(None, (model.site(i).name for i in range(model.nsite))))
        also = f' and the sites {sites}' if sites else ''
        raise ModelError(f'{source} has no body {tip!r} for the tip; it has {bodies}{also}')
    return int(model.site_bodyid[site]), site


def path_to(model: mujoco.MjModel, body: int) -> list[int]:
    """Return the bodies from the world (left out) to this one."""
    path: list[int] = []
    while body > 0:
        path.insert(0, body)
        body = int(model.body_parentid[body])
    return path


def carrying_link(model: mujoco.MjModel, body: int, carriers: list[int]) -> int:
    """Return the number of the chain's joint that carries a body, 0 for what is fixed.

    Args:
        model: where.
        body: its number.
        carriers: bodies of the chain's joints, in order; the first joint has number 1.
    """
    path = path_to(model, body)
    return max((i + 1 for i, carrier in enumerate(carriers) if carrier in path), default=0)


def last_body(model: mujoco.MjModel, joint: int, ends: set[str]) -> str:
    """Follow first children from a joint's body to the end of the chain.

    It ends at the latest where it forks into bodies that move on their own: a hand with fingers.

    Args:
        model: where.
        joint: the joint's number.
        ends: joints that are beyond the end, such as those of a finger.
    """
    body = int(model.jnt_bodyid[joint])
    beyond = {int(model.joint(name).bodyid[0]) for name in ends}
    while True:
        below = np.flatnonzero(model.body_parentid == body)
        children = [c for c in below if c not in beyond]
        if not children or np.count_nonzero(model.body_jntnum[below]) > 1:
            return str(model.body(body).name)
        body = int(children[0])


def joints_to(model: mujoco.MjModel, body: int) -> list[int]:
    """Return the joints between the world and a body, in order."""
    links = path_to(model, body)
    return [j for link in links for j in np.flatnonzero(model.jnt_bodyid == link).tolist()]


def kinematic_chain(
    model: mujoco.MjModel,
    joint_names: tuple[str, ...],
    tip: str,
    source: object,
    mimics: tuple[Mimic, ...] = (),
) -> KinematicChain:
    """Return the fixed transforms and joint axes from the world to the body or site `tip`.

    Raises:
        ModelError: there is no body or site of that name, or a joint on the way to it is neither
            one of `joint_names` nor in proportion to one of them.
    """
    body, site = tip_body(model, tip, source)
    transforms = [(np.eye(3), np.zeros(3))]
    axes, prismatic, index, ratios = [], [], [], []
    known = ratios_of(model, joint_names, mimics)
    for link in path_to(model, body):
        _then(transforms, _matrix(model.body_quat[link]), model.body_pos[link])
        for joint in np.flatnonzero(model.jnt_bodyid == link).tolist():
            name = str(model.joint(joint).name)
            if name not in known:
                raise ModelError(
                    f'{source}: the joint {name} between the base and the tip {tip} is neither '
                    f'actuated nor in proportion to a joint that is: fix it in the file, or '
                    f'choose a tip before it with arm.tip'
                )
            leader, ratio, offset = known[name]
            anchor = model.jnt_pos[joint]
            _then(transforms, np.eye(3), anchor)
            axes.append(model.jnt_axis[joint].copy())
            prismatic.append(model.jnt_type[joint] == SLIDE)
            index.append(joint_names.index(leader))
            ratios.append(ratio)
            transforms.append(_moved(model, joint, offset - reference_of(model, name)))
            _then(transforms, np.eye(3), -anchor)
    if site >= 0:
        _then(transforms, _matrix(model.site_quat[site]), model.site_pos[site])
    return KinematicChain(
        rotation=np.stack([r for r, _ in transforms]),
        translation=np.stack([t for _, t in transforms]),
        axis=np.array(axes).reshape(-1, 3),
        prismatic=np.array(prismatic, dtype=bool),
        joint=np.array(index, dtype=np.int64),
        ratio=np.array(ratios),
    )


def _then(
    transforms: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
) -> None:
    """Append a fixed transform to the last one."""
    last_rotation, last_translation = transforms[-1]
    transforms[-1] = (last_rotation @ rotation, last_translation + last_rotation @ translation)


def _moved(
    model: mujoco.MjModel, joint: int, position: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rotation and translation of a joint that moves by a position [rad] or [m]."""
    axis = model.jnt_axis[joint]
    if model.jnt_type[joint] == SLIDE:
        return np.eye(3), position * axis
    quaternion = np.zeros(4)
    mujoco.mju_axisAngle2Quat(quaternion, axis, position)
    return _matrix(quaternion), np.zeros(3)


def _matrix(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)
