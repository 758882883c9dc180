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

"""Hashes by which a policy recognizes the robot that it was trained for."""

from __future__ import annotations

import hashlib

import mujoco
import numpy as np

from sac_ros.robot.mimic import Mimic
from sac_ros.types import KinematicChain


def hash_of_model(model: mujoco.MjModel, mimics: tuple[Mimic, ...]) -> str:
    """Hash what the robot is, so that a reformatted file stays the same robot."""
    digest = hashlib.sha256()
    for j in range(model.njnt):
        digest.update(model.joint(j).name.encode())
    parts = (
        model.body_parentid, model.body_pos, model.body_quat, model.body_mass, model.body_ipos,
        model.body_iquat, model.body_inertia, model.jnt_type, model.jnt_axis, model.jnt_pos,
        model.jnt_range, model.jnt_actfrcrange, model.dof_damping, model.dof_frictionloss,
        model.dof_armature, *(np.array(mimic.coefficients) for mimic in mimics),
    )  # fmt: skip
    for part in parts:
        digest.update(' '.join(f'{value:.6g}' for value in np.ravel(part)).encode())
    return digest.hexdigest()


def hash_with_tip(model_hash: str, chain: KinematicChain) -> str:
    """Hash a robot and where its tip is, which a policy depends on as well.

    Only for a tip that was chosen: the usual one follows from the robot.
    """
    digest = hashlib.sha256(model_hash.encode())
    for part in (chain.joint, chain.rotation, chain.translation):
        near = np.round(part, 6) + 0.0  # no digits of rounding errors, no minus zero
        digest.update(' '.join(f'{value:.6g}' for value in near.ravel()).encode())
    return digest.hexdigest()
