"""The guards in simulation, at 500 Hz: no joint is driven far past its limit."""

import mujoco
import numpy as np
import pytest
from real_arms import real_arm

from sac_ros.envs.task import arm_spec
from sac_ros.safety import SafetyConfig, SafetyFilter

STATE_PERIOD = 0.002  # [s]
SECONDS = 1.5  # of each push
OVERSHOOT = 0.02  # [rad] past a limit, as docs/safety.md states
ARMS = ['default', 'openarm-left', 'panda-urdf', 'ur5', 'xarm7']


class Guarded:
    """An arm without end stops and contacts, whose torque passes the guards."""

    def __init__(self, name):
        self.arm = real_arm(name)
        config = self.arm.config
        self.spec = arm_spec(self.arm.robot, (), 0.02, config.gravity_compensation)
        model = self.arm.model
        model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
        model.jnt_limited[[model.joint(name).id for name in self.spec.joint_names]] = 0
        self.steps = round(STATE_PERIOD / config.timestep)
        self.lower = np.array(self.spec.position_lower)
        self.upper = np.array(self.spec.position_upper)
        self.limit = np.array(self.spec.torque_limit)

    def push(self, position, velocity, torque):
        """Ask for a torque (n,) and return how far each joint comes past a limit [rad]."""
        guards, past = SafetyFilter(self.spec, SafetyConfig()), np.zeros(len(position))
        self.arm.reset(position, velocity)
        for _ in range(round(SECONDS / STATE_PERIOD)):
            result = guards.apply(torque, *self.arm.sense(), STATE_PERIOD)
            assert not result.fault
            self.arm.step(result.torque, self.steps)
            now = self.arm.position
            past = np.maximum(past, np.maximum(now - self.upper, self.lower - now))
        return past


@pytest.mark.parametrize('name', ARMS)
def test_a_joint_at_full_torque_stops_at_its_limit(name):
    guarded, rng = Guarded(name), np.random.default_rng(0)
    filter_, n = SafetyFilter(guarded.spec, SafetyConfig()), len(guarded.limit)
    span = guarded.upper - guarded.lower
    pushed = 0
    for joint in np.flatnonzero(np.isfinite(span)):
        for side in (-1, 1):
            for share in (0.0, 1.0):
                position = guarded.lower + span * rng.uniform(0.3, 0.7, n)
                gap = rng.uniform(0.05, 0.6) * span[joint]
                limit = guarded.upper if side > 0 else guarded.lower
                position[joint] = limit[joint] - side * gap
                slowest, fastest = filter_.allowed_velocity(position)
                velocity, torque = np.zeros(n), np.zeros(n)
                velocity[joint] = share * (fastest if side > 0 else slowest)[joint]
                torque[joint] = side * guarded.limit[joint]
                assert guarded.push(position, velocity, torque).max() <= OVERSHOOT
                reached = side * (guarded.arm.position[joint] - limit[joint])
                pushed += reached > -0.2  # it did come to the limit, and was held there
    assert pushed >= n
