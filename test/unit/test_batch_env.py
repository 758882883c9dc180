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

"""Many arms stepped together are the same arms stepped alone."""

import dataclasses

import numpy as np
import pytest

from sac_ros.config.robot import RandomizationConfig, TaskConfig
from sac_ros.config.training import TrainConfig
from sac_ros.deploy.safety_filter import SafetyConfig, SafetyFilter
from sac_ros.envs.arm_env import ArmEnv
from sac_ros.envs.batch_env import BatchArmEnv
from sac_ros.sim.batch_guard import BatchSafetyFilter

SPECIMENS = RandomizationConfig(
    action_latency=0.5, observation_delay=0.5, torque_error=0.1, friction_error=0.3, payload=0.5
)
N = 3


def config(randomization=RandomizationConfig(), **task):  # noqa: B008 (frozen)
    return TrainConfig(randomization=randomization, task=TaskConfig(**task))


@pytest.mark.parametrize('threads', [1, 2])
@pytest.mark.parametrize('randomization', [RandomizationConfig(), SPECIMENS], ids=['as', 'worse'])
@pytest.mark.parametrize('task', ['reach-point', 'reach-pose', 'track-point'])
def test_each_arm_moves_as_it_does_alone(task, randomization, threads):
    given = config(randomization, name=task)
    batch, alone = BatchArmEnv(given, N, threads), [ArmEnv(given) for _ in range(N)]
    rng = np.random.default_rng(1)
    seen = batch.reset(seed=7)[0]
    assert (seen == [env.reset(seed=7 + i)[0] for i, env in enumerate(alone)]).all()
    for step in range(12):
        if step == 6:  # one arm goes on with a new goal, one starts again, one stays as it is
            rows = np.full(seen.shape, np.nan)
            rows[0] = seen[0]
            options = {'reset_mask': np.array([True, True, False]), 'observation': rows}
            seen = batch.reset(seed=[40, 41, None], options=options)[0]
            first = alone[0].reset(seed=40, options={'observation': rows[0]})[0]
            assert (seen[:2] == [first, alone[1].reset(seed=41)[0]]).all()
        actions = rng.uniform(-1, 1, batch.action_space.shape).astype(np.float32)
        seen, rewards, terminated, truncated, infos = batch.step(actions)
        for i, env in enumerate(alone):
            row, reward, end, cut, info = env.step(actions[i])
            assert (row == seen[i]).all() and reward == rewards[i]
            assert (end, cut) == (terminated[i], truncated[i])
            assert (info['executed_action'] == infos['executed_action'][i]).all()
            assert info['is_success'] == infos['is_success'][i]
            assert info['period'].contact == infos['contact'][i]


def test_an_arm_that_faults_stops_alone():
    given = config()
    batch, alone = BatchArmEnv(given, N), ArmEnv(given)
    seen, speed = batch.reset(seed=0)[0], batch.policy_spec.slices()['joint_velocity']
    seen[1, speed] = 100.0
    rows = np.full(seen.shape, np.nan)
    rows[1] = seen[1]
    mask = np.array([False, True, False])
    batch.reset(seed=[None, 5, None], options={'reset_mask': mask, 'observation': rows})
    alone.reset(seed=5, options={'observation': seen[1]})
    seen, rewards, terminated, _, infos = batch.step(np.ones(batch.action_space.shape))
    row, reward, end, _, info = alone.step(np.ones(batch.policy_spec.n_action))
    assert terminated.tolist() == [False, True, False] and end
    assert (row == seen[1]).all() and reward == rewards[1] == 0
    assert (info['executed_action'] == infos['executed_action'][1]).all()
    assert not infos['is_success'][1]


def test_the_filter_of_many_arms_is_that_of_one():
    spec, rng = BatchArmEnv(config(), 1).policy_spec, np.random.default_rng(0)
    settings, n = dataclasses.replace(SafetyConfig(), torque_scale=0.8), spec.n_action
    many = BatchSafetyFilter(spec, settings, 40)
    one = [SafetyFilter(spec, settings) for _ in range(40)]
    for _ in range(20):
        arms = np.sort(rng.choice(40, 30, replace=False))
        torque = rng.normal(0, 1.5, (30, n)) * spec.torque_limit
        position = rng.uniform(1.1 * np.array(spec.position_lower), spec.position_upper, (30, n))
        velocity = rng.normal(0, 0.6, (30, n)) * spec.velocity_limit
        for values in (torque, position, velocity):
            values[rng.integers(30), rng.integers(n)] = np.nan
        torque[0] = 0.0
        result = many.apply(arms, torque, position, velocity, 0.002)
        for i, arm in enumerate(arms):
            wanted = one[arm].apply(torque[i], position[i], velocity[i], 0.002)
            assert (result.torque[i] == wanted.torque).all()
            assert result.fault[i] == bool(wanted.fault)
            assert result.guarded[i] == bool(wanted.guards)
            assert result.limited[i] == bool(set(wanted.guards) - {'rate'})


def test_specimens_lose_commands_and_report_noise():
    noisy = BatchArmEnv(config(RandomizationConfig(position_noise=0.01)), 2)
    one, other = (noisy.reset(seed=3)[0] for _ in range(2))
    place = noisy.policy_spec.slices()['joint_position']
    assert 0 < np.abs(one - other)[:, place].max() < 0.1
    speeds = []
    for probability in (0.99, 0.01):
        env = BatchArmEnv(config(RandomizationConfig(command_loss_probability=probability)), 2)
        env.reset(seed=3)
        env.step(np.ones(env.action_space.shape, np.float32))
        speeds.append(np.abs(env.arms.velocity).max())
    assert speeds[0] < speeds[1]
