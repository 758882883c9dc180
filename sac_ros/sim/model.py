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

"""The simulated torque-controlled arm that is made of a robot."""

from __future__ import annotations

import mujoco

from sac_ros.config.robot import ArmConfig
from sac_ros.robot.loader import Robot
from sac_ros.robot.source import compile_spec
from sac_ros.robot.table import add_surroundings, add_table

PROBE = 'sac_ros_probe'  # a geom that touches nothing, for distances from a point


def compile_model(robot: Robot, config: ArmConfig) -> mujoco.MjModel:
    """Compile the robot into a simulated torque-controlled arm standing on a table.

    Control i of the model is the torque [N·m] of joint i, clipped at its limit. Where gravity
    is compensated, that torque comes out of the same limit, as on a real arm.
    """
    spec = robot.spec.copy()
    spec.option.timestep = config.timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    for name, limit in zip(robot.joint_names, robot.torque_limit, strict=True):
        motor = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        motor.set_to_motor()
        motor.ctrlrange = [-limit, limit]
        motor.ctrllimited = True
        joint = spec.joint(name)
        joint.actgravcomp = config.gravity_compensation
        joint.actfrcrange, joint.actfrclimited = [-limit, limit], True
    for body in spec.bodies:
        if body.name != 'world':
            body.gravcomp = float(config.gravity_compensation)
    if robot.table.added:
        add_table(spec, robot.table.height)
    add_surroundings(spec)
    spec.worldbody.add_geom(
        name=PROBE, type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[1e-3, 0, 0], contype=0,
        conaffinity=0, group=5, rgba=[0, 0, 0, 0], density=0,
    )  # fmt: skip
    return compile_spec(spec, robot.path)
