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

"""An arm and a task as a Gymnasium environment, under the guards of a deployed policy."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from sac_ros.config.robot import ArmConfig
from sac_ros.config.training import ARM_ENV, TrainConfig
from sac_ros.deploy.safety_filter import SafetyConfig, SafetyFilter
from sac_ros.envs.gym_loader import make_gym_env
from sac_ros.errors import ConfigError
from sac_ros.sim.arm import SimArm
from sac_ros.sim.collision import with_collisions
from sac_ros.sim.domain_randomization import make_arm
from sac_ros.sim.rendering import OffscreenRenderer
from sac_ros.spec import PolicySpec
from sac_ros.tasks.registry import make_task
from sac_ros.tasks.task import StepResult, arm_spec
from sac_ros.types import KinematicChain

Observation = NDArray[np.float32]


class Period(NamedTuple):
    """What happened in one control period, besides the state that it led to."""

    executed: NDArray[np.float64]  # (n,) mean guarded torque, as a share of the limit
    guarded: int  # joint states on which a guard changed the torque
    limited: int  # of these, by another guard than the rate guard
    states: int  # joint states in all
    speed: float  # highest true speed, as a multiple of the velocity limit
    contact: bool
    fault: str  # why the safety filter stopped the arm, '' if it did not


class ArmEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """An arm at a task. Observations are raw (SI units), actions in [-1, 1].

    Between two actions the torque passes the same `SafetyFilter` as on the robot, on every joint
    state. A fault of the filter terminates the episode without success. `info` has
    `executed_action` (n,), the mean of what was let through, and `period` (`Period`).
    """

    metadata = {'render_modes': ['rgb_array']}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(
        self,
        config: TrainConfig,
        render_mode: str | None = None,
        size: tuple[int, int] = (640, 480),
    ) -> None:
        """Load robot and task; pictures are `size` (width, height) pixels.

        Raises:
            SacRosError: the robot or the task cannot be used.
        """
        self.arm = make_arm(config.arm, config.randomization)
        period = config.arm.control_period
        self.task = make_task(self.arm, config.task, period)
        self.policy_spec = arm_spec(
            self.arm.robot, self.task.fields, period, config.arm.gravity_compensation
        )
        self.render_mode, self._size = render_mode, size
        self._camera: OffscreenRenderer | None = None
        self.episode_steps = config.episode_steps or config.task.episode_steps
        self._states, self._substeps = divide_period(config.arm)
        self._state_period = config.arm.state_period
        self._filter = SafetyFilter(self.policy_spec, SafetyConfig())
        self._limit = np.array(self.policy_spec.torque_limit)
        self._speed_limit = np.array(self.policy_spec.velocity_limit)
        n = self.policy_spec.n_action
        self.observation_space = Box(
            -np.inf, np.inf, (self.policy_spec.n_observation,), np.float32
        )
        self.action_space = Box(-1.0, 1.0, (n,), np.float32)
        self._previous, self._steps = np.zeros(n), 0

    @property
    def goal(self) -> NDArray[np.float64]:
        """Where the goal is (3,) [m]."""
        return self.task.goal

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start at rest in a random posture with a random goal.

        Args:
            seed: of the episode.
            options: `observation`, (n_observation,), to start in its posture and motion instead,
                as a robot does that gets its next goal.
        """
        super().reset(seed=seed)
        self.task.initialize_episode(self.np_random)
        start = self.task.sample_start(self.np_random)
        self.arm.randomise(self.np_random)
        self._previous, self._steps = np.zeros_like(self._previous), 0
        if options and 'observation' in options:
            seen, at = np.asarray(options['observation'], np.float64), self.policy_spec.slices()
            self.arm.reset(seen[at['joint_position']], seen[at['joint_velocity']])
            self._previous = seen[at['previous_action']]
        else:
            self.arm.reset(start)
        self._filter.restart(self._previous * self._limit)
        return self._observe(), {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Ask for a torque of `action` times the limits for one control period."""
        asked = np.clip(np.asarray(action, np.float64), -1, 1)
        period = self._run_period(asked * self._limit)
        self.task.after_step()
        motion = self.motion(period.executed)
        self._previous, self._steps = period.executed, self._steps + 1
        faulted = bool(period.fault)
        info = {
            'is_success': not faulted and self.task.success(motion),
            'executed_action': period.executed.astype(np.float32),
            'period': period,
        }
        reward = 0.0 if faulted else self.reward(motion)
        truncated = self._steps >= self.episode_steps
        return self._observe(), reward, faulted, truncated, info

    def _run_period(self, torque: NDArray[np.float64]) -> Period:
        """Let one control period pass with a torque (n,) [N·m] that the guards may change."""
        arm, total = self.arm, np.zeros_like(torque)
        guarded, limited, states, speed, contact, fault = 0, 0, 0, 0.0, False, ''
        while states < self._states and not fault:
            position, velocity = arm.read_sensors()
            result = self._filter.apply(torque, position, velocity, self._state_period)
            arm.step(result.torque, self._substeps)
            total += result.torque
            states += 1
            guarded += bool(result.guards)
            limited += bool(set(result.guards) - {'rate'})
            fault = result.fault
            speed = max(speed, float(np.max(np.abs(arm.velocity) / self._speed_limit)))
            contact = contact or arm.in_contact
        executed = total / (states * self._limit)
        return Period(executed, guarded, limited, states, speed, contact, fault)

    def motion(self, action: NDArray[np.float64]) -> StepResult:
        """Return what the arm has just done with an action (n,)."""
        arm = self.arm
        return StepResult(
            arm.position, arm.velocity, arm.tip_position, arm.tip_rotation, action, self._previous
        )

    def reward(self, motion: StepResult) -> float:
        """Return what a motion is worth, costs taken."""
        return self.task.reward(motion) - self.task.costs(motion)

    def render(self) -> NDArray[np.uint8] | None:
        """Return a picture (height, width, 3) of arm and goal in the mode rgb_array."""
        return None if self.render_mode is None else self.draw()

    def draw(self) -> NDArray[np.uint8]:
        """Return a picture (height, width, 3) of arm and goal.

        Raises:
            EnvError: there is nothing to draw with.
        """
        if self._camera is None:
            self._camera = OffscreenRenderer(self.arm, *self._size)
        return self._camera.draw(self.goal, self.task.config.success_radius)

    def close(self) -> None:
        """Let the drawing surface go."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def _observe(self) -> Observation:
        parts = (*self.arm.read_sensors(), self.task.observe(), self._previous)
        return np.concatenate(parts).astype(np.float32)


def divide_period(config: ArmConfig) -> tuple[int, int]:
    """Return joint states per control period and time steps per joint state.

    Raises:
        ConfigError: a period is not a whole number of the shorter one.
    """
    states = round(config.control_period / config.state_period)
    steps = round(config.state_period / config.timestep)
    for name, count, shorter, longer in (
        ('arm.state_period', states, config.state_period, config.control_period),
        ('arm.timestep', steps, config.timestep, config.state_period),
    ):
        if count < 1 or abs(count * shorter - longer) > 1e-9:
            raise ConfigError(f'{name} is {shorter:g} s; {longer:g} s is not a multiple of it')
    return states, steps


class EnvBundle(NamedTuple):
    """An environment, what its policy sees and gives, and its kinematics if it is an arm."""

    env: gymnasium.Env[Any, Any]
    spec: PolicySpec
    chain: KinematicChain | None


def make_env(
    config: TrainConfig, env: gymnasium.Env[Any, Any] | None = None
) -> tuple[gymnasium.Env[Any, Any], PolicySpec]:
    """Make the environment of a run, and what its policy sees and gives.

    Args:
        config: of the run.
        env: the environment itself, where it is there already; it is wrapped if need be.

    Raises:
        ConfigError: the arguments of the environment cannot be read.
        EnvError: the environment or its task is unknown, or its spaces are not bounded boxes.
        ModelError: the robot file is unusable.
    """
    if env is None and config.env == ARM_ENV:
        env = ArmEnv(config)
    if isinstance(env, ArmEnv):
        return env, env.policy_spec
    return make_gym_env(config, env)


def make_env_bundle(config: TrainConfig, env: gymnasium.Env[Any, Any] | None = None) -> EnvBundle:
    """Make the environment of a run, and the kinematics that its learner needs.

    Args:
        config: of the run.
        env: the environment itself, where it is there already.

    Raises:
        ConfigError: the arguments of the environment cannot be read.
        EnvError: the environment or its task is unknown, or its spaces are not bounded boxes.
        ModelError: the robot file is unusable.
    """
    env, spec = make_env(config, env)
    if not isinstance(env, ArmEnv):
        return EnvBundle(env, spec, chain=None)
    chain = env.arm.robot.chain
    if config.controller.name == 'ik-pd':
        chain = with_collisions(SimArm(config.arm, env.arm.robot))
    return EnvBundle(env, spec, chain)
