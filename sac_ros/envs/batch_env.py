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

"""Many arms at a task as one vector environment, stepped together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from sac_ros.config.training import TrainConfig
from sac_ros.deploy.safety_filter import SafetyConfig
from sac_ros.envs.arm_env import divide_period
from sac_ros.sim.batch import BatchArm
from sac_ros.sim.batch_guard import BatchSafetyFilter
from sac_ros.tasks.registry import make_task
from sac_ros.tasks.task import StepResult, Task, arm_spec

Observations = NDArray[np.float32]


class BatchArmEnv(VectorEnv[Observations, NDArray[np.float32], NDArray[Any]]):
    """N arms, each with an episode, a goal and a specimen of its own; no automatic reset.

    Without randomization row i is bit for bit what an `ArmEnv` gives for the same seed and
    actions, for any number of threads. `infos` has `executed_action` (N, n), `is_success` (N,)
    and, of the last control period, `contact` (N,) and `fault` (N,).
    """

    metadata = {'autoreset_mode': AutoresetMode.DISABLED}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(self, config: TrainConfig, n_arms: int, n_threads: int = 1) -> None:
        """Load robot and task.

        Args:
            config: of the run.
            n_arms: number of arms N.
            n_threads: threads that step them.

        Raises:
            SacRosError: the robot or the task cannot be used.
        """
        arms = self.arms = BatchArm(config.arm, config.randomization, n_arms, n_threads)
        period = config.arm.control_period
        self.tasks: list[Task] = [make_task(arms.arm, config.task, period) for _ in range(n_arms)]
        self.policy_spec = spec = arm_spec(
            arms.robot, self.tasks[0].fields, period, config.arm.gravity_compensation
        )
        self.num_envs = n_arms
        self.single_observation_space = Box(-np.inf, np.inf, (spec.n_observation,), np.float32)
        self.single_action_space = Box(-1.0, 1.0, (spec.n_action,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, n_arms)
        self.action_space = batch_space(self.single_action_space, n_arms)
        self.episode_steps = config.episode_steps or config.task.episode_steps
        self._states, self._substeps = divide_period(config.arm)
        self._state_period = config.arm.state_period
        self._filter = BatchSafetyFilter(spec, SafetyConfig(), n_arms)
        self._limit, self._slices = np.array(spec.torque_limit), spec.slices()
        self._all = np.arange(n_arms)
        self._rng = np.random.default_rng(0)
        self._previous = np.zeros((n_arms, spec.n_action))
        self._steps = np.zeros(n_arms, np.intp)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observations, dict[str, Any]]:
        """Start episodes at rest in random postures with random goals.

        Args:
            seed: of each arm's episode; an integer s stands for s, s + 1, ...
            options: `reset_mask` (N,), the arms that start an episode, all of them without it;
                `observation` (N, n_observation), to start those whose row is finite in that
                posture and motion.

        Returns:
            Observations (N, n_observation) of all arms, and an empty dictionary.
        """
        options = options or {}
        mask = np.asarray(options.get('reset_mask', np.ones(self.num_envs, bool)))
        seeds = [seed + i for i in self._all] if isinstance(seed, int) else seed
        rows = options.get('observation')
        for arm in np.flatnonzero(mask).tolist():
            row = None if rows is None or not np.isfinite(rows[arm]).all() else rows[arm]
            self._start(arm, None if seeds is None else seeds[arm], row)
        return self._observe(), {}

    def _start(self, arm: int, seed: int | None, observation: NDArray[Any] | None) -> None:
        rng, task = np.random.default_rng(seed), self.tasks[arm]
        task.initialize_episode(rng)
        start = task.sample_start(rng)
        self.arms.randomise(arm, rng)
        self._previous[arm], self._steps[arm] = 0.0, 0
        if observation is None:
            self.arms.reset(arm, start)
        else:
            seen, at = np.asarray(observation, np.float64), self._slices
            self.arms.reset(arm, seen[at['joint_position']], seen[at['joint_velocity']])
            self._previous[arm] = seen[at['previous_action']]
        self._filter.restart(arm, self._previous[arm] * self._limit)

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[
        Observations, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """Ask for torques of `actions` (N, n) times the limits for one control period.

        Returns:
            Observations (N, n_observation), rewards (N,), terminations (N,) by a fault of the
            guards, truncations (N,) and infos.
        """
        asked = np.clip(np.asarray(actions, np.float64), -1, 1)
        executed, contact, fault = self._run_period(asked * self._limit)
        self._steps += 1
        rewards, success = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        arms = self.arms
        position, velocity = arms.position, arms.velocity
        tip, rotation = arms.tip_position, arms.tip_rotation
        for i, task in enumerate(self.tasks):
            task.after_step()
            motion = StepResult(
                position[i], velocity[i], tip[i], rotation[i], executed[i], self._previous[i]
            )
            if not fault[i]:
                rewards[i] = task.reward(motion) - task.costs(motion)
                success[i] = task.success(motion)
        self._previous = executed
        infos = {
            'executed_action': executed.astype(np.float32),
            'is_success': success,
            'contact': contact,
            'fault': fault,
        }
        return self._observe(), rewards, fault, self._steps >= self.episode_steps, infos

    def _run_period(
        self, torque: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Let one control period pass with torques (N, n) [N·m] that the guards may change."""
        arms, every = self.arms, slice(None)
        moving: NDArray[np.intp] | slice = every
        total, count = np.zeros_like(torque), np.zeros((self.num_envs, 1))
        contact, fault = np.zeros((2, self.num_envs), bool)
        for state in range(self._states):
            position, velocity = arms.read_sensors(moving, self._rng)
            result = self._filter.apply(
                moving, torque[moving], position, velocity, self._state_period
            )
            last = state == self._states - 1 or bool(result.fault.any())
            arms.step(moving, result.torque, self._substeps, self._rng, last)
            total[moving] += result.torque
            count[moving] += 1
            contact[moving] |= arms.in_contact[moving]
            if result.fault.any():
                fault[moving] = result.fault
                moving = np.flatnonzero(~fault)
                if not len(moving):
                    break
        return total / (count * self._limit), contact, fault

    def _observe(self) -> Observations:
        goals = np.array([task.observe() for task in self.tasks])
        parts = (*self.arms.read_sensors(self._all, self._rng), goals, self._previous)
        return np.concatenate(parts, axis=1).astype(np.float32)
