"""A simulated arm in real time that behaves like a torque-controlled robot, without ROS."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sac_ros.config import ArmConfig, Checked, TaskConfig, setting
from sac_ros.envs.arm import SimArm
from sac_ros.envs.reach import ReachTask
from sac_ros.errors import ConfigError
from sac_ros.safety import fallback_torque

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class SimConfig(Checked):
    """Settings of the simulated robot."""

    rate: int = setting(500, 'joint states per second [Hz]', 1, 1000)
    clock: bool = setting(False, 'publish /clock and stamp with simulated time')
    command_timeout: float = setting(
        0.02, 'the robot stops obeying a command this old [s]', 0.001, 10
    )
    damping: float = setting(
        0.02, 'without gravity compensation: fallback damping, share of the limit per rad/s', 0, 10
    )
    goal_period: float = setting(
        0.0, 'time between random goals for the policy [s]; 0 publishes none', 0, 3600
    )
    seed: int = setting(0, 'seed of starting postures and goals', 0, 2**31 - 1)
    arm: ArmConfig = dataclasses.field(default_factory=ArmConfig)


class Simulator:
    """Steps the arm along with a steady clock [s]; deadlines are absolute and do not drift."""

    # A longer hold-up of this process is left out instead of being simulated in one go.
    MAX_CATCH_UP = 0.1  # [s]

    def __init__(self, config: SimConfig, now: float) -> None:
        """Load the robot and stand it in a random posture.

        Raises:
            ModelError: the robot file cannot be used.
            ConfigError: the rate does not fit the physics time step.
        """
        self.config = config
        self.arm = SimArm(config.arm)
        self.robot = self.arm.robot
        self.period = 1.0 / config.rate  # [s]
        self._n_steps = round(self.period / config.arm.timestep)
        if not math.isclose(self._n_steps * config.arm.timestep, self.period, rel_tol=1e-6):
            raise ConfigError(
                f'rate {config.rate} Hz does not fit arm.timestep {config.arm.timestep} s: one '
                f'period ({self.period:g} s) must be a whole number of time steps'
            )
        self._task = ReachTask(self.robot, TaskConfig())
        self._rng = np.random.default_rng(config.seed)
        self._limit = np.array(self.robot.torque_limit)
        self._start, self._done = now, 0
        self.paused = False
        self.slips = 0  # times that it could not keep up
        self.reset()

    def reset(self) -> None:
        """Put the arm at rest into a random posture that touches nothing; forget the command."""
        self.arm.reset(self._task.sample_start(self._rng))
        self._command, self._commanded_at = np.zeros(len(self._limit)), -math.inf

    def sample_goal(self) -> Vector:
        """Draw a point (3,) [m] that the tip can reach."""
        return self._task.sample_goal(self._rng)

    def command(self, now: float, torque: Vector) -> None:
        """Take a torque (n,) [N·m] in the order of the robot's joints.

        Raises:
            ConfigError: its length is not the number of joints, or it is not finite.
        """
        if torque.shape != self._limit.shape:
            raise ConfigError(
                f'command has {torque.size} values for {self._limit.size} joints '
                f'{self.robot.joint_names}'
            )
        if not np.isfinite(torque).all():
            raise ConfigError('command is not finite')
        self._command, self._commanded_at = torque, now

    def pause(self, paused: bool, now: float) -> None:
        """Hold the simulated time, or let it go on from where it is."""
        self.paused = paused
        self._start, self._done = now, 0

    def advance(self, now: float) -> int:
        """Simulate up to now and return how many periods that took."""
        if self.paused:
            return 0
        due = int((now - self._start) / self.period + 1e-6) - self._done
        if due * self.period > self.MAX_CATCH_UP:
            self.slips += 1
            self._start, self._done, due = now - self.period, 0, 1
        for _ in range(due):
            self.step(now)
        self._done += due
        return due

    def step(self, now: float) -> None:
        """Simulate one period with the command, or with the fallback when that is too old."""
        fresh = now - self._commanded_at <= self.config.command_timeout
        self.arm.step(self._command if fresh else self._fallback(), self._n_steps)

    def _fallback(self) -> Vector:
        compensated = self.config.arm.gravity_compensation
        return fallback_torque(self.arm.velocity, self._limit, self.config.damping, compensated)
