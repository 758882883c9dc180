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

"""Torque motors in place of whatever drives the joints of a robot file."""

from __future__ import annotations

import mujoco
import numpy as np

from sac_ros.robot.urdf import MAX_EFFORT, ParsedRobot

ROTOR_INERTIA = 0.002  # [kg·m^2 per N·m] of drives that the file says nothing about
FREE_SPEED = 1.5  # times the velocity limit: what damping leaves such a drive at full torque
USUAL_SPEED = 3.0  # [rad/s] taken as the velocity limit of a joint that has none


def torque_limits_of(model: mujoco.MjModel) -> dict[str, float]:
    """Return the least of what joint and actuators allow, for the joints that have a limit.

    Position and velocity servos are driven with torque instead: their force range counts.
    """
    limits: dict[str, float] = {}
    for joint in np.flatnonzero(model.jnt_actfrclimited):
        limits[model.joint(joint).name] = float(np.abs(model.jnt_actfrcrange[joint]).min())
    for actuator in range(model.nu):
        if model.actuator_trntype[actuator] != mujoco.mjtTrn.mjTRN_JOINT:
            continue
        name = model.joint(model.actuator_trnid[actuator, 0]).name
        gear = abs(float(model.actuator_gear[actuator, 0]))
        is_motor = model.actuator_biastype[actuator] == mujoco.mjtBias.mjBIAS_NONE
        ranges = []
        if model.actuator_forcelimited[actuator]:
            ranges.append(np.abs(model.actuator_forcerange[actuator]).min() * gear)
        if is_motor and model.actuator_ctrllimited[actuator]:
            gain = abs(float(model.actuator_gainprm[actuator, 0])) * gear
            ranges.append(np.abs(model.actuator_ctrlrange[actuator]).min() * gain)
        for value in ranges:
            limits[name] = min(limits.get(name, np.inf), float(value))
    return {name: value for name, value in limits.items() if 0 < value < MAX_EFFORT}


def remove_drives(spec: mujoco.MjSpec) -> None:
    """Delete the actuators and what may refer to them or to their number."""
    # The actuators last: MuJoCo deletes what refers to them along with them.
    for thing in (*spec.sensors, *spec.tuples, *spec.keys, *spec.actuators):
        spec.delete(thing)


def servos(model: mujoco.MjModel) -> list[str]:
    """Name the joints that the file drives to a position or a velocity."""
    on_joint = model.actuator_trntype == mujoco.mjtTrn.mjTRN_JOINT
    servo = np.flatnonzero(on_joint & (model.actuator_biastype != mujoco.mjtBias.mjBIAS_NONE))
    return [model.joint(model.actuator_trnid[actuator, 0]).name for actuator in servo]


def add_default_drive_dynamics(
    source: ParsedRobot,
    model: mujoco.MjModel,
    chosen: list[str],
    limit: dict[str, float],
    fastest: dict[str, float],
) -> None:
    """Give joints without rotor inertia one in proportion to their torque, and damping.

    Without it a light wrist reaches thousands of rad/s, which no gear does. The damping makes
    1.5 times the velocity limit, the speed that is a fault, the drive's free speed.

    Args:
        source: changed.
        model: as compiled from it.
        chosen: names of the actuated joints.
        limit: torque limits [N·m].
        fastest: velocity limits [rad/s].
    """
    made_up = []
    for name in chosen:
        dof = model.joint(name).dofadr[0]
        if model.dof_armature[dof] > 0:
            continue
        joint = source.spec.joint(name)
        joint.armature = ROTOR_INERTIA * limit[name]
        joint.damping[0] = max(
            float(model.dof_damping[dof]),
            limit[name] / (FREE_SPEED * fastest.get(name, USUAL_SPEED)),
        )
        made_up.append(name)
    if made_up:
        source.notes.append(
            f'no rotor inertia for {", ".join(made_up)}: {ROTOR_INERTIA:g} kg·m^2 per N·m of '
            f'torque limit assumed, with damping for a free speed of {FREE_SPEED:g} times the '
            f'velocity limit'
        )
