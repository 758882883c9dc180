"""An arm and a task as a Gymnasium environment."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from sac_ros.config import TrainConfig
from sac_ros.envs.arm import SimArm
from sac_ros.envs.gym_env import make_gym_env
from sac_ros.envs.picture import Camera
from sac_ros.envs.reach import ReachTask, reach_spec
from sac_ros.spec import Chain, PolicySpec

Observation = NDArray[np.float32]


class ArmEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """The arm reaching points. Observations are raw (SI units), actions in [-1, 1]."""

    metadata = {'render_modes': ['rgb_array']}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(self, config: TrainConfig, render_mode: str | None = None) -> None:
        self.arm = SimArm(config.arm)
        self.task = ReachTask(self.arm.robot, config.task)
        self.policy_spec = reach_spec(
            self.arm.robot, config.arm.control_period, config.arm.gravity_compensation
        )
        self.render_mode = render_mode
        self._camera: Camera | None = None
        self._episode_steps = config.task.episode_steps
        self._substeps = max(1, round(config.arm.control_period / config.arm.timestep))
        self._limit = np.array(self.policy_spec.torque_limit)
        n = self.policy_spec.n_action
        self.observation_space = Box(
            -np.inf, np.inf, (self.policy_spec.n_observation,), np.float32
        )
        self.action_space = Box(-1.0, 1.0, (n,), np.float32)
        self.goal, self._previous, self._steps = np.zeros(3), np.zeros(n), 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start at rest in a random posture with a random goal."""
        super().reset(seed=seed)
        self.goal = self.task.sample_goal(self.np_random)
        self.arm.reset(self.task.sample_start(self.np_random))
        self._previous, self._steps = np.zeros_like(self._previous), 0
        return self._observe(), {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Hold a torque of `action` times the limits for one control period."""
        clipped = np.clip(np.asarray(action, np.float64), -1, 1)
        self.arm.step(clipped * self._limit, self._substeps)
        self._previous, self._steps = clipped, self._steps + 1
        tip = self.arm.tip_position
        reward = self.task.reward(tip, self.goal, clipped)
        info = {'is_success': self.task.success(tip, self.goal)}
        return self._observe(), reward, False, self._steps >= self._episode_steps, info

    def render(self) -> NDArray[np.uint8] | None:
        """Return a picture (height, width, 3) of arm and goal in the mode rgb_array."""
        if self.render_mode is None:
            return None
        if self._camera is None:
            self._camera = Camera(self.arm)
        return self._camera.draw(self.goal, self.task.config.success_radius)

    def close(self) -> None:
        """Let the drawing surface go."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def _observe(self) -> Observation:
        parts = (self.arm.position, self.arm.velocity, self.goal, self._previous)
        return np.concatenate(parts).astype(np.float32)


class Problem(NamedTuple):
    """An environment, what its policy sees and gives, and its kinematics if it is an arm."""

    env: gymnasium.Env[Any, Any]
    spec: PolicySpec
    chain: Chain | None


def make_problem(config: TrainConfig) -> Problem:
    """Make the environment of a run.

    Raises:
        EnvError: the environment is unknown, or its spaces are not bounded boxes.
        ModelError: the robot file is unusable.
    """
    if config.env == 'arm-reach':
        env = ArmEnv(config)
        return Problem(env, env.policy_spec, env.arm.robot.chain)
    return Problem(*make_gym_env(config.env), chain=None)
