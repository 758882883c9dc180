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

"""From a compiled model to the geometry that displays need."""

from __future__ import annotations

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.config.robot import TaskConfig
from sac_ros.deploy.arm_geometry import ArmGeometry
from sac_ros.robot.kinematics import SLIDE
from sac_ros.sim.arm import SimArm

OUTSIDE = 1.6  # radius of a joint's mark, as a multiple of the thickness of its links
SMALLEST, LARGEST = 0.06, 0.16  # the same as a share of the reach


def arm_geometry(arm: SimArm, task: TaskConfig) -> ArmGeometry:
    """Return the geometry of an arm, with what counts as success in a task."""
    model, robot = arm.model, arm.robot
    joints = [model.joint(name).id for name in robot.joint_names]
    bodies = [int(model.jnt_bodyid[joint]) for joint in joints]
    chain = robot.chain._replace(dynamics=None, collision=None, barred=())
    reach = float(np.linalg.norm(chain.translation[1:], axis=1).sum())
    height = robot.table.height
    thick = [max(_thickness(model, b), _thickness(model, model.body_parentid[b])) for b in bodies]
    return ArmGeometry(
        chain=chain,
        frames=tuple(str(model.body(body).name) for body in bodies),
        axis=np.array(model.jnt_axis[joints]),
        anchor=np.array(model.jnt_pos[joints]),
        radius=np.clip(OUTSIDE * np.array(thick), SMALLEST * reach, LARGEST * reach),
        slides=tuple(bool(model.jnt_type[joint] == SLIDE) for joint in joints),
        tip_frame=robot.tip,
        success_radius=task.success_radius,
        success_angle=task.success_angle,
        table=height if math.isfinite(height) else None,
    )


def _thickness(model: mujoco.MjModel, body: int) -> float:
    """Return the largest middle half side [m] among the bounding boxes of a body's geoms."""
    first, count = int(model.body_geomadr[body]), int(model.body_geomnum[body])
    if not body or not count:
        return 0.0
    sides: NDArray[np.float64] = np.sort(model.geom_aabb[first : first + count, 3:], axis=1)
    return float(sides[:, 1].max())
