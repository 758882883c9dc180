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

"""Every environment obeys Gymnasium's checker; goals are reachable; bounds map exactly."""

import dataclasses
import json

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.utils.env_checker import check_env

from sac_ros.config.robot import ArmConfig, TaskConfig
from sac_ros.config.training import TrainConfig
from sac_ros.envs.arm_env import ArmEnv, make_env_bundle
from sac_ros.envs.gym_loader import make_gym_env
from sac_ros.errors import ConfigError, EnvError, SpecMismatch
from sac_ros.robot.loader import load_robot
from sac_ros.spec import PolicySpec
from sac_ros.tasks.posture_sampler import TABLE_CLEARANCE
from sac_ros.tasks.reach import ReachTask
from sac_ros.tasks.task import StepResult
from sac_ros.training.evaluation import evaluate


@pytest.mark.filterwarnings('ignore:.*Box observation space')
@pytest.mark.parametrize('env', ['arm-reach', 'Pusher-v5', 'Pendulum-v1'])
def test_passes_the_checker(env):
    check_env(make_env_bundle(TrainConfig(env=env)).env, skip_render_check=True)


def test_equal_seeds_give_equal_episodes():
    def episode(env):
        observations = [env.reset(seed=5)[0]]
        rng = np.random.default_rng(0)
        for _ in range(20):
            observations.append(env.step(rng.uniform(-1, 1, 6).astype(np.float32))[0])
        return np.stack(observations)

    first = ArmEnv(TrainConfig())
    assert (episode(first) == episode(ArmEnv(TrainConfig()))).all()
    assert (episode(first) == episode(first)).all()


def test_observation_is_raw_and_in_the_order_of_the_spec():
    problem = make_env_bundle(TrainConfig())
    env, where = problem.env, problem.spec.slices()
    env.reset(seed=0)
    action = np.linspace(-1, 1, 6, dtype=np.float32)
    observation, *_, info = env.step(action)
    assert np.allclose(observation[where['joint_position']], env.arm.position, atol=1e-6)
    assert np.allclose(observation[where['joint_velocity']], env.arm.velocity, atol=1e-5)
    executed = info['executed_action']
    assert (observation[where['previous_action']] == executed).all()
    for _ in range(3):  # the guards raise the torque at a limited rate
        *_, info = env.step(action / 5)
    assert np.allclose(info['executed_action'], action / 5, atol=1e-6)
    assert np.allclose(env.arm.applied_torque, action / 5 * env.arm.robot.torque_limit)


def test_an_episode_can_begin_as_another_ended():
    problem = make_env_bundle(TrainConfig())
    env, where = problem.env, problem.spec.slices()
    env.reset(seed=0)
    for _ in range(10):
        ended, *_ = env.step(np.linspace(-1, 1, 6, dtype=np.float32))
    before = env.goal
    began, _ = env.reset(seed=1, options={'observation': ended})
    for name in ('joint_position', 'joint_velocity', 'previous_action'):
        assert began[where[name]] == pytest.approx(ended[where[name]], abs=1e-6)
    assert np.abs(ended[where['joint_velocity']]).max() > 0.1
    env.reset(seed=1)
    assert (began[where['goal']] == env.goal.astype(np.float32)).all()
    assert (env.goal != before).all()


def test_an_evaluation_can_go_from_goal_to_goal():
    """With no torque the arm, which carries itself, stays where the first episode began."""
    env = ArmEnv(TrainConfig(task=TaskConfig(episode_steps=2)))
    at = env.policy_spec.slices()['joint_position']
    for continued in (False, True):
        began = []

        def rest(observation, began=began):
            began.append(observation[at])
            return np.zeros(6, np.float32)

        evaluate(env, rest, 3, continued)
        stays = np.allclose(began, began[0], atol=1e-3)
        assert stays == continued


def test_an_episode_is_truncated_and_never_terminated():
    env = ArmEnv(TrainConfig(task=TaskConfig(episode_steps=3)))
    env.reset(seed=0)
    ends = [env.step(np.zeros(6, np.float32))[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]


def test_goals_lie_above_the_table_and_within_reach():
    task = ReachTask(load_robot(), TaskConfig())
    rng = np.random.default_rng(0)
    goals = np.array([task.sample_goal(rng) for _ in range(300)])
    assert (goals[:, 2] >= TABLE_CLEARANCE).all()
    assert (np.linalg.norm(goals - [0, 0, 0.17], axis=1) <= 0.68 + 1e-9).all()
    assert (goals.std(axis=0) > 0.1).all()


def motion(tip, rotation=None, action=0.0, previous=0.0):
    still = np.zeros(6)
    turned = np.eye(3) if rotation is None else rotation
    return StepResult(still, still, np.array(tip), turned, still + action, still + previous)


def test_reward_is_bounded_and_grows_towards_the_goal():
    task = ReachTask(load_robot(), TaskConfig())
    rewards = [task.reward(motion([d, 0, 0])) for d in (9, 1, 0.2, 0)]
    assert rewards == sorted(rewards)
    assert rewards[0] >= 0
    assert rewards[-1] == 1
    assert task.success(motion([0.019, 0, 0]))
    assert not task.success(motion([0.021, 0, 0]))


def test_costs_of_torque_and_of_its_jumps_are_shares():
    task = ReachTask(load_robot(), TaskConfig(action_cost=0.5, smoothness_cost=0.2))
    assert task.costs(motion([0, 0, 0])) == 0
    assert task.costs(motion([0, 0, 0], action=1, previous=1)) == pytest.approx(0.5)
    assert task.costs(motion([0, 0, 0], action=1, previous=-1)) == pytest.approx(0.7)


class _Lopsided(gymnasium.Env):
    """Bounds that are neither symmetric nor equal; it remembers the action it was given."""

    observation_space = Box(-1, 1, (2,), np.float64)
    action_space = Box(np.array([-1, 0, 5], np.float32), np.array([3, 0.5, 6], np.float32))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2), {}

    def step(self, action):
        self.action = action
        return np.zeros(2), 0.0, False, False, {}


def test_unequal_and_asymmetric_bounds_are_mapped_exactly():
    gymnasium.register('Lopsided-v0', _Lopsided)
    env, spec = make_gym_env(TrainConfig(env='Lopsided-v0'))
    env.reset(seed=0)
    for unit, native in ((-1, [-1, 0, 5]), (0, [1, 0.25, 5.5]), (1, [3, 0.5, 6])):
        env.step(np.full(3, unit, np.float32))
        assert np.allclose(env.unwrapped.action, native)
        assert np.allclose(
            np.array(spec.torque_offset) + unit * np.array(spec.torque_limit), native
        )
    assert env.observation_space.dtype == np.float32


@pytest.mark.parametrize('env', ['NoSuchArm-v0', 'CartPole-v1', 'Blackjack-v1', 'nonsense:x'])
def test_an_environment_that_cannot_be_used_is_refused_by_name(env):
    with pytest.raises(EnvError, match=env.partition('-')[0]):
        make_env_bundle(TrainConfig(env=env))


def test_spec_survives_json_and_shows_both_sides_of_a_mismatch():
    spec = make_env_bundle(TrainConfig(env='Pusher-v5')).spec
    assert PolicySpec.from_json(spec.to_json()) == spec
    arm = make_env_bundle(TrainConfig()).spec
    other = make_env_bundle(TrainConfig(arm=ArmConfig(control_period=0.04))).spec
    both = 'control_period: policy a has 0.02, policy b has 0.04'
    with pytest.raises(SpecMismatch, match=both):
        arm.require_equal(other, 'policy a', 'policy b')


def test_the_base_frame_is_compared_where_both_sides_say_one():
    arm = make_env_bundle(TrainConfig()).spec
    assert arm.base_frame == 'base_link'
    fields = json.loads(arm.to_json())
    del fields['base_frame']
    older = PolicySpec.from_json(json.dumps(fields))
    assert older.base_frame == ''
    older.require_equal(arm, 'policy a', 'policy b')
    arm.require_equal(older, 'policy a', 'policy b')
    other = dataclasses.replace(arm, base_frame='world')
    with pytest.raises(SpecMismatch, match='base_frame: policy a has base_link, policy b has wor'):
        arm.require_equal(other, 'policy a', 'policy b')
    with pytest.raises(SpecMismatch, match=r'\(control_period'):
        dataclasses.replace(older, control_period=0.04).require_equal(arm, 'a', 'b')


def still_env(**arm):
    return ArmEnv(TrainConfig(arm=ArmConfig(**arm)))


def too_fast(env):
    """Reset to a posture in which every joint moves at twice its velocity limit."""
    start, _ = env.reset(seed=0)
    where = env.policy_spec.slices()
    start[where['joint_velocity']] = 2 * np.array(env.policy_spec.velocity_limit)
    start, _ = env.reset(seed=0, options={'observation': start})
    return start


def test_a_fault_ends_the_episode_without_reward_or_success():
    env = still_env()
    env.reset(seed=0)
    too_fast(env)
    env.task.goal = env.arm.tip_position
    env.task.success = lambda motion: True
    _, reward, terminated, truncated, info = env.step(np.ones(6, np.float32))
    assert (reward, terminated, truncated, info['is_success']) == (0.0, True, False, False)
    assert 'velocity limit' in info['period'].fault
    assert info['period'].states == 1 and not info['executed_action'].any()


def test_the_executed_action_is_the_mean_guarded_action():
    env = still_env()
    env.reset(seed=0)
    limit, applied = np.array(env.policy_spec.torque_limit), []
    step = env.arm.step

    def record(torque, n_steps):
        step(torque, n_steps)
        applied.append(env.arm.applied_torque)

    env.arm.step = record
    for _ in range(20):
        observation, *_, info = env.step(np.ones(6, np.float32))
        period = info['period']
        assert info['executed_action'] == pytest.approx(np.mean(applied, axis=0) / limit, abs=1e-6)
        previous = observation[env.policy_spec.slices()['previous_action']]
        assert (previous == info['executed_action']).all()
        assert len(applied) == period.states == 10 and 0 <= period.guarded <= 10
        applied.clear()
    assert period.guarded == 10 and period.speed < 1.5 and not period.fault


def test_the_guards_of_training_see_what_the_sensors_say():
    """Speeds that only the sensors report are a fault; a speed that they hide is none."""
    env = still_env()
    env.reset(seed=0)
    fast = 2 * np.array(env.policy_spec.velocity_limit)
    env.arm.read_sensors = lambda: (env.arm.position, fast)
    assert env.step(np.zeros(6, np.float32))[2]
    too_fast(env)
    env.arm.read_sensors = lambda: (env.arm.position, 0 * fast)
    *_, info = env.step(np.zeros(6, np.float32))
    assert not info['period'].fault and info['period'].speed > 1.5


@pytest.mark.parametrize(
    ('arm', 'message'),
    [
        ({'state_period': 0.003}, r'arm.state_period is 0.003 s; 0.02 s is not a multiple'),
        ({'state_period': 0.04}, r'arm.state_period is 0.04 s; 0.02 s is not a multiple'),
        ({'timestep': 0.0015}, r'arm.timestep is 0.0015 s; 0.002 s is not a multiple'),
        ({'timestep': 0.004}, r'arm.timestep is 0.004 s; 0.002 s is not a multiple'),
    ],
)
def test_periods_that_do_not_divide_are_refused(arm, message):
    with pytest.raises(ConfigError, match=message):
        still_env(**arm)


def test_shorter_time_steps_add_up_to_the_control_period():
    env = still_env(control_period=0.012, state_period=0.004, timestep=0.001)
    env.reset(seed=0)
    before = env.arm.time
    *_, info = env.step(np.zeros(6, np.float32))
    assert env.arm.time - before == pytest.approx(0.012)
    assert info['period'].states == 3
