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
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from sac_ros.config.training import TrainConfig
from sac_ros.envs.arm_env import ArmEnv, make_env
from sac_ros.envs.batch_env import BatchArmEnv
from sac_ros.filesystem import writing
from sac_ros.replay import ReplayWriter
from sac_ros.replay.resumable import ResumableReplay
from sac_ros.seeds import training_seed
from sac_ros.spec import PolicySpec
from sac_ros.training.actor_snapshot import SnapshotPolicy, wait_for_snapshot
from sac_ros.training.collector import Collector
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
    with ReplayWriter(
        run_dir / 'replay',
        spec,
        capacity=config.replay_capacity,
        archive=config.replay_archive,
        sync_every=config.sync_every,
    ) as writer:
        if not wait_for_snapshot(run_dir, should_stop):
            return False
        policy = SnapshotPolicy(
            run_dir, spec, lambda: writer.end < config.learning_starts, config.seed + writer.end
        )
        if writer.end:
            writer.begin_episode()
        if isinstance(env, BatchArmEnv):
            return _collect_many(env, policy, writer, config, should_stop)
        fraction = config.continue_episode_fraction if isinstance(env, ArmEnv) else 0.0
        collector = Collector(env, policy, config.seed, fraction)
        collector.episodes = writer.end  # above the number of every episode before
        replay = ResumableReplay(writer, writer.end)
        while writer.end < config.steps and not should_stop():
            if _lead(config, writer.end, policy) > MAX_LEAD:
                time.sleep(WAIT_PERIOD)
                policy.refresh()
            else:
                collector.step(replay)
        return writer.end >= config.steps


def _make_env(
    config: TrainConfig,
) -> tuple[gymnasium.Env[Any, Any] | BatchArmEnv, PolicySpec]:
    if config.n_envs == 1:
        return make_env(config)
    threads = max(1, (os.cpu_count() or 1) - 1)  # a core for the learner
    env = BatchArmEnv(config, config.n_envs, min(threads, config.n_envs))
    return env, env.policy_spec


def _collect_many(
    env: BatchArmEnv,
    policy: SnapshotPolicy,
    writer: ReplayWriter,
    config: TrainConfig,
    should_stop: Callable[[], bool],
) -> bool:
    """Collect from many arms. Their transitions alternate, so each is an episode in the replay."""
    n, episode = env.num_envs, writer.end  # above the number of every episode before
    numbers = episode + np.arange(n)
    observations = env.reset(seed=[training_seed(config.seed, int(i)) for i in numbers])[0]
    while writer.end < config.steps and not should_stop():
        if _lead(config, writer.end, policy) > max(MAX_LEAD, n):
            time.sleep(WAIT_PERIOD)
            policy.refresh()
            continue
        seen, rewards, terminated, truncated, infos = env.step(policy.actions(observations))
        for i in range(min(n, config.steps - writer.end)):
            executed = infos['executed_action'][i]
            step = Transition(observations[i], executed, rewards[i], terminated[i], seen[i])
            writer.begin_episode()
            writer.append(step, truncated=bool(truncated[i]))
        observations, ended = seen, terminated | truncated
        if ended.any():
            numbers[ended] = numbers.max() + 1 + np.arange(ended.sum())
            seeds = [training_seed(config.seed, int(i)) for i in numbers]
            chances = np.array([np.random.default_rng((seed, 1)).random() for seed in seeds])
            rows = np.where((chances < config.continue_episode_fraction)[:, None], seen, np.nan)
            options = {'reset_mask': ended, 'observation': rows}
            observations = env.reset(seed=seeds, options=options)[0]
    return writer.end >= config.steps


def _lead(config: TrainConfig, steps: int, policy: SnapshotPolicy) -> float:
    """Return the transitions whose updates the snapshot does not have yet."""
    trained = policy.snapshot.updates / config.gradient_steps
    return steps - config.learning_starts - trained
