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

"""Snapshots of an actor act as the network does, without torch."""

import dataclasses

import numpy as np
import pytest
import torch

from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.errors import CheckpointError, ConfigError
from sac_ros.training.actor_snapshot import GRAPH, SNAPSHOT, SnapshotPolicy, write_snapshot
from sac_ros.training.async_learner import AsyncLearner, actor_weights, behavior_graph
from sac_ros.training.trainer import Trainer

SMALL = SACConfig(hidden=16, batch_size=16)


class Noise:
    """A generator whose normal draws are zero."""

    def standard_normal(self, shape):
        return np.zeros(shape)


@pytest.mark.parametrize('env', ['arm-reach', 'Pendulum-v1'])
@pytest.mark.parametrize('normalization', ['none', 'layer', 'batch'])
def test_a_snapshot_acts_as_the_network(tmp_path, env, normalization):
    sac = dataclasses.replace(SMALL, normalization=normalization)
    config = TrainConfig(
        env=env, run_dir=str(tmp_path), steps=60, learning_starts=20, sac=sac, compile=False,
        eval_episodes=1, video=False,
    )  # fmt: skip
    trainer = Trainer(config)
    trainer.run()
    (tmp_path / GRAPH).write_bytes(behavior_graph(trainer.sac, trainer.spec.n_observation))
    write_snapshot(tmp_path, actor_weights(trainer.state), trainer.updates)
    policy = SnapshotPolicy(tmp_path, trainer.spec, lambda: False, 0)
    assert policy.snapshot.updates == trainer.updates
    policy._rng = Noise()
    batch = trainer.learner  # the actor itself, not its moving average, explores
    zeros = torch.zeros(1, trainer.spec.n_action)
    env, episode = trainer.env, np.random.default_rng(0)
    observation = env.reset(seed=3)[0].astype(np.float32)
    for _ in range(20):
        wanted = batch.act(observation, zeros)
        assert policy(observation) == pytest.approx(wanted, abs=2e-5)
        action = episode.uniform(-1, 1, trainer.spec.n_action).astype(np.float32)
        observation = np.asarray(env.step(action)[0], np.float32)


def test_the_newest_snapshot_acts_and_a_damaged_one_is_named(tmp_path):
    learner = AsyncLearner(TrainConfig(run_dir=str(tmp_path), sac=SMALL, compile=False))
    weights, spec = actor_weights(learner.state), learner.spec
    (tmp_path / GRAPH).write_bytes(behavior_graph(learner.sac, spec.n_observation))
    write_snapshot(tmp_path, weights, 0)
    policy = SnapshotPolicy(tmp_path, spec, lambda: False, 0)
    write_snapshot(tmp_path, weights, 7)
    policy(np.zeros(spec.n_observation, np.float32))
    assert policy.snapshot.updates == 7
    (tmp_path / SNAPSHOT).write_bytes((tmp_path / SNAPSHOT).read_bytes()[:-40])
    with pytest.raises(CheckpointError, match=r'actor\.npz is no snapshot'):
        policy(np.zeros(spec.n_observation, np.float32))


def test_noise_that_a_collector_does_not_have_is_refused(tmp_path):
    sac = dataclasses.replace(SMALL, exploration='gsde')
    with pytest.raises(ConfigError, match=r'white noise: sac\.exploration'):
        AsyncLearner(TrainConfig(run_dir=str(tmp_path), sac=sac))
