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

"""Collector and learner work apart: one without torch, the other without an environment."""

import subprocess
import sys

import numpy as np
import pytest
from paths import PROGRAMS

from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.replay import ReplayReader, ReplayWriter
from sac_ros.replay.resumable import ResumableReplay
from sac_ros.sac.sac import SAC
from sac_ros.training.learner import Learner


@pytest.fixture(scope='module')
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp('collected')
    subprocess.run(
        [sys.executable, PROGRAMS / 'collect_without_torch.py', str(path)], check=True, timeout=120
    )
    return path


def test_a_collector_stores_what_a_callable_does_without_torch(directory):
    replay = ReplayReader(directory)
    rows = replay.rows(replay.sequences())
    steps = replay.layout.split(rows)
    assert replay.layout.episode(rows).tolist() == [0] * 200 + [1] * 50
    assert replay.layout.truncated(rows).nonzero()[0].tolist() == [199]
    assert (steps.action == steps.observation[:, :1]).all()
    assert (steps.observation[1:200] == steps.next_observation[:199]).all()


def test_a_learner_updates_from_a_directory_without_an_environment(directory):
    replay = ReplayReader(directory)
    config = TrainConfig(sac=SACConfig(hidden=8, batch_size=16), compile=False)
    learner = Learner(SAC(replay.spec, None, config.sac), config)
    before = learner.mean_action(np.zeros(3, np.float32))
    for _ in range(8):
        learner.update(replay)
    assert learner.updates == 8 and np.isfinite(list(learner.figures().values())).all()
    assert (learner.mean_action(np.zeros(3, np.float32)) != before).any()


def test_a_suspended_collector_returns_to_its_episode(tmp_path):
    from sac_ros.envs.arm_env import make_env
    from sac_ros.training.collector import Collector

    ends = []
    for stops in ((), (7, 20, 199)):
        env, spec = make_env(TrainConfig(env='Pendulum-v1'))
        collector = Collector(env, lambda observation: observation[:1], seed=3)
        with ReplayWriter(tmp_path / str(len(stops)), spec) as writer:
            replay = ResumableReplay(writer, 0)
            for step in range(210):
                if step in stops:
                    collector.suspend()
                    env.reset(seed=0)  # as an evaluation in between does
                collector.step(replay)
            rows = writer.rows(writer.sequences())
            ends.append((rows[:, : writer.layout.trailer], writer.layout.episode(rows)))
    assert (ends[0][0] == ends[1][0]).all() and (ends[0][1] == ends[1][1]).all()
