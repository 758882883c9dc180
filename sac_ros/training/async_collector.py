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

"""The collecting side of an asynchronous run in simulation. It needs no torch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from sac_ros.config.training import TrainConfig
from sac_ros.envs.arm_env import ArmEnv, make_env
from sac_ros.envs.batch_env import BatchArmEnv
from sac_ros.filesystem import writing
from sac_ros.replay import ReplayWriter
from sac_ros.replay.resumable import ResumableReplay
from sac_ros.seeds import training_seed
from sac_ros.spec import PolicySpec
from sac_ros.training.actor_snapshot import SnapshotPolicy, wait_for_snapshot
from sac_ros.training.collector import Collector, continues, open_replay
from sac_ros.types import Transition

MAX_LEAD = 250  # transitions that the collector may be ahead of the learner's updates
WAIT_PERIOD = 0.002  # [s] between two looks at the snapshot while it waits


def collect(config: TrainConfig, should_stop: Callable[[], bool]) -> bool:
    """Collect until the replay of a run has `config.steps` transitions.

    Each transition is appended before the next action. A restart begins a new episode: nothing
    that was stored is stored again, and the policy is that of the newest snapshot.

    Returns:
        True when all are there, False when it was asked to stop before.

    Raises:
        SacRosError: the environment or the disk fails, or another process collects for this run.
    """
    env, spec = _make_env(config)
    run_dir = Path(config.run_dir)
    with writing(run_dir):
        run_dir.mkdir(parents=True, exist_ok=True)
    with open_replay(config, spec) as writer:
        if not wait_for_snapshot(run_dir, should_stop):
            return False
        policy = SnapshotPolicy(
            run_dir, spec, lambda: writer.end < config.learning_starts, config.seed + writer.end
        )
        if writer.end:
            writer.begin_episode()
        step = _steps_of(env, policy, writer, config)
        most = max(MAX_LEAD, config.n_envs)
        while writer.end < config.steps and not should_stop():
            if _lead(config, writer.end, policy) > most:
                time.sleep(WAIT_PERIOD)
                policy.refresh()
            else:
                step()
        return writer.end >= config.steps


def _steps_of(
    env: gymnasium.Env[Any, Any] | BatchArmEnv,
    policy: SnapshotPolicy,
    writer: ReplayWriter,
    config: TrainConfig,
) -> Callable[[], object]:
    """Return the function that takes one step of every environment and stores it."""
    if isinstance(env, BatchArmEnv):
        return BatchCollector(env, policy, writer, config).step
    fraction = config.continue_episode_fraction if isinstance(env, ArmEnv) else 0.0
    collector = Collector(env, policy, config.seed, fraction)
    collector.episodes = writer.end  # above the number of every episode before
    return partial(collector.step, ResumableReplay(writer, writer.end))


def _make_env(
    config: TrainConfig,
) -> tuple[gymnasium.Env[Any, Any] | BatchArmEnv, PolicySpec]:
    if config.n_envs == 1:
        return make_env(config)
    threads = max(1, (os.cpu_count() or 1) - 1)  # a core for the learner
    env = BatchArmEnv(config, config.n_envs, min(threads, config.n_envs))
    return env, env.policy_spec


class BatchCollector:
    """Collect from many arms. Their transitions alternate, so each is an episode in the replay."""

    def __init__(
        self, env: BatchArmEnv, policy: SnapshotPolicy, writer: ReplayWriter, config: TrainConfig
    ) -> None:
        """Start an episode of every arm."""
        self._env, self._policy, self._writer, self._config = env, policy, writer, config
        self._episodes = writer.end  # above the number of every episode before
        self._observations = self._start(np.ones(env.num_envs, bool), None)

    def step(self) -> None:
        """Take one step of every arm and store it, no more than the steps of the run."""
        before, writer = self._observations, self._writer
        seen, rewards, terminated, truncated, infos = self._env.step(self._policy.actions(before))
        for i in range(min(len(before), self._config.steps - writer.end)):
            executed = infos['executed_action'][i]
            step = Transition(before[i], executed, rewards[i], terminated[i], seen[i])
            writer.begin_episode()
            writer.append(step, truncated=bool(truncated[i]))
        ended = terminated | truncated
        self._observations = self._start(ended, seen) if ended.any() else seen

    def _start(
        self, mask: NDArray[np.bool_], final: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Start episodes of the arms in the mask, a share of them as the last ones ended.

        Args:
            mask: (N,).
            final: observations (N, n_obs) in which the last episodes ended, None before.
        """
        seeds: list[int | None] = [None] * len(mask)
        rows = np.full((len(mask), self._env.policy_spec.n_observation), np.nan, np.float32)
        for arm in np.flatnonzero(mask):
            seeds[arm] = seed = training_seed(self._config.seed, self._episodes)
            self._episodes += 1
            if final is not None and continues(seed, self._config.continue_episode_fraction):
                rows[arm] = final[arm]
        options = {'reset_mask': mask, 'observation': rows}
        return self._env.reset(seed=seeds, options=options)[0]


def _lead(config: TrainConfig, steps: int, policy: SnapshotPolicy) -> float:
    """Return the transitions whose updates the snapshot does not have yet."""
    trained = policy.snapshot.updates / config.gradient_steps
    return steps - config.learning_starts - trained
