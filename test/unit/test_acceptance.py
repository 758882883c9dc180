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

"""Acceptance: figures of scripted policies, reasons of the verdict, keys of its JSON."""

import dataclasses
import json

import numpy as np
import pytest

from sac_ros.config.robot import RandomizationConfig, TaskConfig
from sac_ros.config.training import TrainConfig
from sac_ros.envs.arm_env import ArmEnv
from sac_ros.training.acceptance import (
    FROM_REST,
    GOAL_TO_GOAL,
    AcceptanceThresholds,
    acceptance_table,
    judge,
    measure_acceptance,
    percent,
)
from sac_ros.training.acceptance_figures import measure_pass, time_to_goal
from sac_ros.training.ik_baseline import IkBaseline

KEYS = {
    'episodes', 'mean_return', 'std_return', 'success', 'within_5cm', 'within_2cm', 'within_1cm',
    'distance_median', 'distance_p95', 'tip_speed', 'chatter', 'chatter_p95', 'time_to_goal',
    'time_to_goal_median', 'peak_speed', 'peak_speed_median', 'over_speed', 'guarded',
    'guarded_without_rate', 'contacts', 'faults', 'fault_reason', 'outside_limits',
    'outside_limits_at_end', 'enable_ready',
}  # fmt: skip


def env_of(task='reach-point', steps=125, preset='none', **changes):
    return ArmEnv(
        TrainConfig(
            task=TaskConfig(name=task, episode_steps=steps, **changes),
            randomization=RandomizationConfig(preset=preset),
        )
    )


def still(_):
    return np.zeros(6, np.float32)


def baseline_of(env):
    config = TrainConfig(task=env.task.config)
    return IkBaseline(config, env.policy_spec)


@pytest.fixture(scope='module')
def good():
    """Return an environment and the acceptance of the baseline in it."""
    env = env_of()
    return env, measure_acceptance(env, baseline_of(env), 3)


def test_an_arm_that_holds_still_is_still_but_not_at_the_goal():
    figures = measure_pass(env_of(steps=30), still, 3)
    assert figures.chatter < 1e-6 and figures.tip_speed < 0.01
    assert (figures.faults, figures.contacts, figures.outside_limits) == (0, 0, 0)
    assert (figures.success, figures.within_5cm, figures.enable_ready) == (0, 0, 1)
    assert figures.distance_median > 50
    assert np.isnan(figures.time_to_goal)
    assert figures.guarded == 0


def test_saturated_torque_is_guarded_and_is_not_ready_to_enable():
    result = measure_acceptance(env_of(steps=60), lambda _: np.ones(6, np.float32), 3)
    figures = result.passes[FROM_REST]
    assert figures.guarded > 0.5 and figures.guarded_without_rate <= figures.guarded
    assert figures.peak_speed > 0.5
    assert figures.contacts == 3
    assert figures.enable_ready < 1
    assert not result.accepted
    assert 'from rest: 3 episodes with contact of 3, at most 0' in result.reasons


def test_alternating_torque_chatters():
    signs = iter(np.resize([1.0, -1.0], 10_000))
    figures = measure_pass(env_of(steps=40), lambda _: np.full(6, 0.02 * next(signs)), 2)
    assert figures.chatter == pytest.approx(0.04, rel=0.3)


def test_a_fault_is_counted_and_the_next_episode_begins_at_rest():
    env, begun = env_of(steps=10), []
    at = env.policy_spec.slices()['joint_velocity']

    class Breaking:
        def reset(self):
            self.first = True

        def __call__(self, observation):
            if self.first:
                begun.append(observation[at])
            self.first = False
            return np.full(6, np.nan)

    result = measure_acceptance(env, Breaking(), 2)
    for name in (FROM_REST, GOAL_TO_GOAL):
        figures = result.passes[name]
        assert figures.faults == 2 and 'not finite' in figures.fault_reason
        assert (figures.success, figures.enable_ready) == (0, 0)
    assert 'faults (torque is not finite' in result.verdict
    assert (np.array(begun) == 0).all()


def test_a_continued_episode_begins_where_the_last_ended():
    env, begun = env_of(steps=2), []
    at = env.policy_spec.slices()['joint_position']

    def act(observation):
        begun.append(observation[at])
        return np.zeros(6)

    measure_pass(env, act, 3, continued=True)
    assert np.allclose(begun, begun[0], atol=1e-3)
    begun.clear()
    measure_pass(env, act, 2)
    assert not np.allclose(begun[0], begun[2], atol=1e-3)


def test_the_baseline_is_accepted_with_stable_figure_keys(good):
    _, result = good
    assert result.accepted and result.verdict == 'ACCEPTED'
    told = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert set(told) == {
        'accepted', 'verdict', 'task', 'success_radius', 'success_angle', 'moving_goal', 'passes',
        'thresholds', 'reasons', 'warnings',
    }  # fmt: skip
    assert set(told['passes']) == {'from_rest', 'goal_to_goal'}
    assert all(set(figures) == KEYS for figures in told['passes'].values())
    assert 0 < told['passes']['from_rest']['time_to_goal'] < 2.5
    rows = acceptance_table(result)
    assert rows.row_count > 10


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'faults': 2, 'fault_reason': 'x'}, '2 faults (x) of 3, at most 0'),
        ({'contacts': 1}, '1 episodes with contact of 3, at most 0'),
        ({'outside_limits': 1}, '1 episodes outside position limits of 3, at most 0'),
        ({'success': 0.9}, '90 % success, at least 95 %'),
        ({'chatter': 0.0123}, 'chatter 0.0123, at most 0.01'),
        ({'enable_ready': 0.999}, '99.9 % end ready to enable, at least 100 %'),
        ({'peak_speed': 1.6}, 'peak speed 1.60 of the velocity limit, at most 1.5'),
    ],
)
def test_each_reason_states_figure_and_threshold(good, changes, reason):
    env, result = good
    worse = dataclasses.replace(result.passes[FROM_REST], **changes)
    verdict = judge(env, {FROM_REST: worse}, AcceptanceThresholds())
    assert verdict.reasons == (f'from rest: {reason}',)


def test_a_speed_between_limit_and_fault_is_a_warning(good):
    env, result = good
    fast = dataclasses.replace(result.passes[FROM_REST], peak_speed=1.2)
    verdict = judge(env, {FROM_REST: fast}, AcceptanceThresholds())
    assert verdict.accepted and '1.20' in verdict.warnings[0]


def test_rank_is_by_faults_contacts_success_then_distance(good):
    best = good[1].passes[FROM_REST]
    order = [
        best,
        dataclasses.replace(best, distance_p95=99.0),
        dataclasses.replace(best, success=0.5),
        dataclasses.replace(best, contacts=1),
        dataclasses.replace(best, faults=1),
    ]
    ranks = [figures.rank() for figures in order]
    assert ranks == sorted(ranks) and len(set(ranks)) == len(ranks)


@pytest.mark.parametrize('task', ['reach-pose', 'track-point'])
@pytest.mark.parametrize('preset', ['none', 'sim2real'])
def test_the_baseline_does_every_task_of_the_package(task, preset):
    env = env_of(task, preset=preset)
    figures = measure_pass(env, baseline_of(env), 2)
    assert figures.success == 1
    assert figures.faults == 0
    assert figures.distance_p95 < 20


def test_time_to_goal_counts_from_the_last_entry():
    near, far = 0.01, 0.5
    assert time_to_goal(np.array([far, near, far, near, near]), 0.02) == pytest.approx(0.08)
    assert time_to_goal(np.array([near, near]), 0.02) == pytest.approx(0.02)
    assert time_to_goal(np.array([near, far]), 0.02) is None


def test_a_percentage_is_100_only_when_nothing_is_missing():
    assert (percent(1.0), percent(0.9999), percent(0.95)) == ('100 %', '99.9 %', '95 %')
