"""The simulated torque-controlled arm that is made of a robot."""

from __future__ import annotations

import mujoco

from sac_ros.config import ArmConfig
from sac_ros.envs.robot import Robot, compile_spec
from sac_ros.envs.table import add_table


def compile_model(robot: Robot, config: ArmConfig) -> mujoco.MjModel:
    """Compile the robot into a simulated torque-controlled arm standing on a table.

    Control i of the model is the torque [N·m] of joint i, clipped at its limit. Where gravity
    is compensated, that torque comes out of the same limit, as on a real arm.
    """
    spec = robot.spec.copy()
    spec.option.timestep = config.timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    for thing in (*spec.actuators, *spec.keys):
        spec.delete(thing)
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
    _exclude_base_contacts(spec)
    if not any(geom.type == mujoco.mjtGeom.mjGEOM_PLANE for geom in spec.geoms):
        add_table(spec, robot.table)
    return compile_spec(spec, robot.path)


def _exclude_base_contacts(spec: mujoco.MjSpec) -> None:
    """A link may touch the fixed link that carries it: MuJoCo frees only moving pairs."""
    moving = {joint.parent.name for joint in spec.joints}
    for name in moving:
        parent = spec.body(name).parent
        while parent is not None and parent.name not in moving and parent.name != 'world':
            spec.add_exclude(bodyname1=parent.name, bodyname2=name)
            parent = parent.parent
