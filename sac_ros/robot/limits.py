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

"""Position limits of a robot file: which are limits, which are absurd, and which are missing."""

from __future__ import annotations

import mujoco
import numpy as np

from sac_ros.errors import ModelError
from sac_ros.robot.mimic import Mimic, ratios_of
from sac_ros.robot.urdf import ParsedRobot

MAX_POSITION = 1e3  # [rad] or [m]: a range beyond it on both sides is none


def check_position_limits(
    source: ParsedRobot, model: mujoco.MjModel, joint_names: list[str], file: object
) -> None:
    """Take absurd ranges out of the specification, and note the joints that have no limits.

    Args:
        source: what was read; changed.
        model: as compiled from it.
        joint_names: the actuated joints.
        file: the robot file, for errors.

    Raises:
        ModelError: a range is empty, or open at one end; all such joints are named.
    """
    wrong, absurd, missing = [], [], []
    for name in joint_names:
        joint = model.joint(name).id
        lower, upper = model.jnt_range[joint].tolist()
        limited = bool(model.jnt_limited[joint])
        far = np.abs([lower, upper]) >= MAX_POSITION
        if name in source.continuous:
            continue
        if not (lower or upper or name in source.position_limits):
            missing.append(name)
        elif not lower < upper or far.any() != far.all():
            wrong.append(f'{name} from {lower:g} to {upper:g}')
        elif far.all():
            source.spec.joint(name).limited = mujoco.mjtLimited.mjLIMITED_FALSE
            absurd.append(f'{name} from {lower:g} to {upper:g}')
        elif not limited:
            missing.append(name)
    if wrong:
        raise ModelError(
            f'{file}: position limits that limit nothing: {", ".join(wrong)}; the lower one must '
            f'be below the upper one and both within {MAX_POSITION:g}: correct them, or make the '
            f'joint continuous (URDF), or leave it out of arm.joints'
        )
    if absurd:
        source.notes.append(f'position limits that count as none: {", ".join(absurd)}')
    if missing:
        source.notes.append(
            f'no position limits for {", ".join(missing)}: policy_node does not watch their '
            f'position; give them in the file'
        )


def position_limits_of(
    model: mujoco.MjModel, joint_names: tuple[str, ...], mimics: tuple[Mimic, ...], file: object
) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper limits (n,) [rad] or [m], infinite where there are none.

    A joint stops where a joint that follows it reaches its own limit.

    Raises:
        ModelError: a joint and one that follows it have no position in common.
    """
    lower, upper = np.full(len(joint_names), -np.inf), np.full(len(joint_names), np.inf)
    for name, (leader, ratio, offset) in ratios_of(model, joint_names, mimics).items():
        joint = model.joint(name).id
        if model.jnt_limited[joint] and ratio:
            ends = np.sort((model.jnt_range[joint] - offset) / ratio)
            index = joint_names.index(leader)
            lower[index], upper[index] = max(lower[index], ends[0]), min(upper[index], ends[1])
    for name, low, high in zip(joint_names, lower, upper, strict=True):
        if not low < high:
            raise ModelError(
                f'{file}: {name} and the joints that follow it have no position in common that '
                f'their limits allow; correct the limits, the multiplier or the offset'
            )
    return lower, upper
