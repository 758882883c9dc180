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

"""A simulated arm along with a clock that behaves like a torque-controlled robot, without ROS."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from sac_ros.config.base import Config, config_field
from sac_ros.config.robot import ArmConfig, RandomizationConfig, TaskConfig
from sac_ros.deploy.safety_filter import fallback_torque
from sac_ros.errors import ConfigError
from sac_ros.sim.domain_randomization import make_arm
from sac_ros.tasks.reach import ReachPoseTask, ReachTask
from sac_ros.types import Vector

TASKS = {'point': ReachTask, 'pose': ReachPoseTask}  # by the kind of goal


@dataclass(frozen=True)
class SimConfig(Config):
    """Settings of the simulated robot."""

    rate: int = config_field(500, 'joint states per simulated second [Hz]', 1, 1000)
    clock: bool = config_field(False, 'publish /clock and stamp with simulated time')
    real_time_factor: float = config_field(
        1.0, 'simulated seconds per second; 0 for as fast as possible, with /clock', 0, 100
    )
    renamed: ClassVar[Mapping[str, str]] = {'realism': 'randomization'}
    command_timeout: float = config_field(
        0.02, 'age at which a command is replaced by the fallback [s]', 0.001, 10
    )
    damping: float = config_field(
        0.02,
        'damping of the fallback without gravity compensation, as a share of the torque '
        'limit per rad/s',
        0,
        10,
    )
    goal_period: float = config_field(
        0.0, 'period of random goals for the policy [s]; 0 for none', 0, 3600
    )
    goals: str = config_field('point', 'type of random goals', choices=('point', 'pose'))
    seed: int = config_field(0, 'seed of start postures and goals', 0, 2**31 - 1)
    arm: ArmConfig = dataclasses.field(default_factory=ArmConfig)
    randomization: RandomizationConfig = dataclasses.field(default_factory=RandomizationConfig)


class Timing(NamedTuple):
    """How well the simulation kept up since it was last asked."""

    real_time_factor: float
    late_p99: float  # [s] by which states were later than their time
    late_max: float  # [s]
    overruns: int  # hold-ups that were left out, in all


class Simulator:
    """Steps the arm along with a steady clock [s]; deadlines are absolute and do not drift.

    Until the first command the arm holds still: by gravity compensation, or else by its brakes.
    """

    # A longer hold-up of this process is left out instead of being simulated in one go.
    MAX_CATCH_UP = 0.1  # [s]

    def __init__(self, config: SimConfig, now: float) -> None:
        """Load the robot and stand it in a random posture.

        Raises:
            ModelError: the robot file cannot be used.
            ConfigError: the rate does not fit the physics time step.
        """
        self.config = config
        self.period = 1.0 / config.rate  # [s] of simulated time
        timestep = min(config.arm.timestep, self.period)
        self._n_steps = round(self.period / timestep)
        if not math.isclose(self._n_steps * timestep, self.period, rel_tol=1e-6):
            raise ConfigError(
                f'rate {config.rate} Hz does not fit arm.timestep {config.arm.timestep} s: one '
                f'period ({self.period:g} s) must be a whole number of time steps'
            )
        self.arm = make_arm(
            dataclasses.replace(config.arm, timestep=timestep), config.randomization
        )
        self.robot = self.arm.robot
        self._factor = config.real_time_factor
        self._task = TASKS[config.goals](self.arm, TaskConfig())
        self._rng = np.random.default_rng(config.seed)
        self._limit = np.array(self.robot.torque_limit)
        self._start, self._done = now, 0
        self._late: deque[float] = deque(maxlen=10 * config.rate)  # [s]
        self._asked, self._steps = now, 0
        self.paused = False
        self.overruns = 0  # times that it could not keep up
        self.reset()

    @property
    def wall_period(self) -> float:
        """Seconds of the clock between two periods; next to nothing if as fast as possible."""
        return self.period / self._factor if self._factor else 1e-6

    @property
    def command_active(self) -> bool:
        """Whether the last step obeyed a command."""
        return self._obeying

    def reset(self) -> None:
        """Put the arm at rest into a random posture that touches nothing; forget the command.

        Simulated time goes on: a clock that is set back freezes what depends on it.
        """
        start, time = self._task.sample_start(self._rng), self.arm.time
        self.arm.randomise(self._rng)
        self.arm.reset(start)
        self.arm.data.time = time
        self._command, self._commanded_at = np.zeros(len(self._limit)), -math.inf
        self._braked, self._obeying = not self.config.arm.gravity_compensation, False

    def sample_goal(self) -> dict[str, Vector]:
        """Draw a goal that the tip can reach, by observation field."""
        self._task.initialize_episode(self._rng)
        return self._task.goal_observation()

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
        self._command, self._commanded_at = torque, self._clock(now)
        self._braked = False

    def pause(self, paused: bool, now: float) -> None:
        """Hold the simulated time, or let it go on from where it is."""
        self.paused = paused
        self.align(now)

    def align(self, now: float) -> None:
        """Let the periods begin now, which is when a timer fired."""
        self._start, self._done = now, 0

    def advance(self, now: float, after_step: Callable[[], None] = lambda: None) -> int:
        """Simulate up to the period nearest to now and return how many periods that took.

        Nearest, so that a timer of the same period that is a little early loses no period. As
        fast as possible means one period per call. `after_step` is called after each.
        """
        if self.paused:
            return 0
        if not self._factor:
            self.step(now)
            after_step()
            return 1
        due = round((now - self._start) / self.wall_period) - self._done
        if due * self.wall_period > self.MAX_CATCH_UP and due > 1:
            self.overruns += 1
            self._start, self._done, due = now - self.wall_period, 0, 1
        for _ in range(due):
            self.step(now)
            after_step()
        self._done += due
        if due:
            late = now - self._start - self._done * self.wall_period
            self._late.append(max(0.0, late))
        return due

    def step(self, now: float) -> None:
        """Simulate one period with the command, or with the fallback when that is too old."""
        self._steps += 1
        if self._braked:
            self.arm.hold(self._n_steps)
            return
        self._obeying = self._clock(now) - self._commanded_at <= self.config.command_timeout
        self.arm.step(self._command if self._obeying else self._fallback(), self._n_steps)

    def timing(self, now: float) -> Timing:
        """Return how well it kept up since the last call."""
        seconds, steps = now - self._asked, self._steps
        late = np.array(self._late) if self._late else np.zeros(1)
        self._asked, self._steps = now, 0
        self._late.clear()
        factor = steps * self.period / seconds if seconds > 0 else math.nan
        return Timing(factor, float(np.quantile(late, 0.99)), float(late.max()), self.overruns)

    def _clock(self, now: float) -> float:
        """Return what the age of a command is measured with, in simulated seconds."""
        return now * self._factor if self._factor else self.arm.time

    def _fallback(self) -> Vector:
        compensated = self.config.arm.gravity_compensation
        return fallback_torque(self.arm.velocity, self._limit, self.config.damping, compensated)
