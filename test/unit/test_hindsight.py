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

"""New goals get the rewards that the environment itself would have given for them."""

import dataclasses

import numpy as np
import pytest

from sac_ros.config.robot import TaskConfig
from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.envs.arm_env import ArmEnv, make_env_bundle
from sac_ros.errors import ConfigError
from sac_ros.sac.hindsight import Hindsight
from sac_ros.tasks.reach import ReachTask
from sac_ros.training.trainer import Trainer
from sac_ros.types import Transition


def lived(config, steps=60):
    """Return a batch of consecutive steps, and what each of them did."""
    env, spec, chain = make_env_bundle(config)
    rng, rows, motions = np.random.default_rng(0), [], []
    observation, _ = env.reset(seed=0)
    for _ in range(steps):
        action = rng.uniform(-1, 1, spec.n_action).astype(np.float32)
        next_observation, reward, terminated, truncated, _ = env.step(action)
        rows.append(Transition(observation, action, reward, terminated, next_observation))
        motions.append((env.motion(action), env.arm.tip_position))
        observation = env.reset()[0] if truncated else next_observation
    batch = Transition(*(np.array(column, np.float32) for column in zip(*rows, strict=True)))
    return batch, [tip for _, tip in motions], env, spec, chain


@pytest.mark.parametrize('task', ['reach-point', 'track-point'])
def test_relabeling_changes_only_goals_and_their_rewards(task):
    config = TrainConfig(task=TaskConfig(name=task, action_cost=0.2, smoothness_cost=0.1))
    batch, tips, env, spec, chain = lived(config)
    kept = [column.copy() for column in batch]
    new = Hindsight.for_task(env.task, spec, chain, 0.6)(batch, np.random.default_rng(1))
    assert all(np.array_equal(a, b) for a, b in zip(kept, batch, strict=True))
    goal = spec.slices()['goal']
    moved = new.next_observation[:, goal] - batch.next_observation[:, goal]
    assert np.allclose(new.observation[:, goal] - batch.observation[:, goal], moved, atol=1e-6)
    for i, tip in enumerate(tips):
        before, after = (
            float(
                env.task.reward_from_distance(
                    np.linalg.norm(tip - b.next_observation[i, goal], keepdims=True)
                )[0]
            )
            for b in (batch, new)
        )
        assert new.reward[i] - batch.reward[i] == pytest.approx(after - before, abs=1e-4)
    rest = np.ones(spec.n_observation, bool)
    rest[goal] = False
    assert np.array_equal(new.observation[:, rest], batch.observation[:, rest])
    assert np.array_equal(new.next_observation[:, rest], batch.next_observation[:, rest])
    assert new.reward.dtype == new.observation.dtype == np.float32


def test_the_share_that_is_asked_for_gets_new_goals():
    batch, tips, env, spec, chain = lived(TrainConfig(), 400)
    hindsight = Hindsight.for_task(env.task, spec, chain, 0.5)
    new = hindsight(batch, np.random.default_rng(0))
    goal = spec.slices()['goal']
    changed = (new.next_observation[:, goal] != batch.next_observation[:, goal]).any(1)
    assert changed.mean() == pytest.approx(0.5, abs=0.1)
    near = np.linalg.norm(new.next_observation[:, goal] - np.array(tips), axis=1) < 0.1
    before = np.linalg.norm(batch.next_observation[:, goal] - np.array(tips), axis=1) < 0.1
    assert near.mean() > before.mean() + 0.1


class Own(ReachTask):
    """A reward that is not a matter of distance alone."""

    def reward(self, motion):
        return super().reward(motion) * 0.5


def test_only_tasks_of_distance_are_relabeled():
    env = ArmEnv(TrainConfig())
    spec, chain = env.policy_spec, env.arm.robot.chain
    own = Own(env.arm, TaskConfig())
    pose = ArmEnv(TrainConfig(task=TaskConfig(name='reach-pose')))
    assert Hindsight.for_task(env.task, spec, chain, 0.5) is not None
    for task, share in ((own, 0.5), (pose.task, 0.5), (None, 0.5), (env.task, 0.0)):
        assert Hindsight.for_task(task, spec, chain, share) is None


def test_summed_rewards_are_refused(tmp_path):
    config = TrainConfig(run_dir=str(tmp_path), sac=SACConfig(n_step=3))
    with pytest.raises(ConfigError, match='--her_fraction 0'):
        Trainer(config)
    Trainer(dataclasses.replace(config, her_fraction=0.0))
