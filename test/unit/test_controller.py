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

"""From joint states to torques, with a clock that the test holds and real ONNX files."""

import math

import numpy as np
import pytest
from policy_files import linear_policy, pose_spec, reach_spec, save

from sac_ros.deploy.controller import Controller
from sac_ros.deploy.onnx_policy import OnnxPolicy
from sac_ros.deploy.safety_filter import SafetyConfig
from sac_ros.deploy.supervisor import State, Supervisor, SupervisorConfig
from sac_ros.errors import PolicyError, SpecMismatch
from sac_ros.spec import ObservationField

SPEC = reach_spec(control_period=0.02, gravity_compensated=False)
PERIOD = 0.002
REST = np.zeros(2)


class Loop:
    """Feeds a controller with joint states of an arm that does not move."""

    def __init__(self, path, weight=None, bias=None, spec=SPEC, goal=(0.1, 0.2, 0.3), safety=None):
        policy = OnnxPolicy(save(linear_policy(spec, weight, bias), path / 'p.onnx'))
        supervisor = Supervisor(SupervisorConfig())
        self.controller = Controller(policy, safety or SafetyConfig(), supervisor)
        if goal is not None:
            self.controller.set_goal({'goal': np.array(goal)})
        self.controller.supervisor.on_activated()
        self.now = 50.0

    def run(self, seconds, position=REST, velocity=REST):
        torques = []
        for _ in range(round(seconds / PERIOD)):
            self.now += PERIOD
            torques.append(self.controller.step(self.now, position, velocity))
            if np.isfinite([position, velocity]).all():
                assert self.controller.check(self.now) is None
        return np.array(torques)

    def start(self):
        self.run(1.1)
        assert self.controller.enable(self.now) == ''
        return self

    @property
    def state(self):
        return self.controller.supervisor.state


def test_ready_commands_the_fallback(tmp_path):
    loop = Loop(tmp_path, bias=[3, 3])
    torque = loop.run(1.5, velocity=np.array([0.4, -0.4]))
    assert torque[-1] == pytest.approx(-0.02 * 5.0 * np.array([0.4, -0.4]))
    assert loop.state is State.READY


def test_ramps_to_the_torque_of_the_policy(tmp_path):
    loop = Loop(tmp_path, bias=[3, -3]).start()
    torque = loop.run(0.8)
    assert np.abs(torque[0]).max() < 0.1
    assert torque[-1] == pytest.approx(5.0 * np.tanh([3, -3]), rel=1e-5)
    assert (np.diff(torque[:, 0]) >= -1e-9).all()


def test_the_policy_runs_at_its_period_and_answers_every_state(tmp_path):
    loop = Loop(tmp_path).start()
    torque = loop.run(1.0)
    assert len(torque) == 500
    assert loop.controller.supervisor.counts['policy ticks'] == pytest.approx(50, abs=1)
    assert loop.controller.supervisor.counts['missed ticks'] == 0


def test_the_warm_up_before_each_tick_changes_nothing_else(tmp_path):
    class Counting:
        def __init__(self, policy):
            self.policy, self.asked = policy, 0

        def __getattr__(self, name):
            return getattr(self.policy, name)

        def __call__(self, observation):
            self.asked += 1
            return self.policy(observation)

    plain = Loop(tmp_path, bias=[3, -3]).start().run(1.0)
    loop = Loop(tmp_path, bias=[3, -3])
    controller = loop.controller
    controller.policy = counting = Counting(controller.policy)
    loop.start()
    counts, torques, rehearsed = controller.supervisor.counts, [], True
    for _ in range(500):
        ticks = counts['policy ticks']
        torques.extend(loop.run(PERIOD))
        assert rehearsed or counts['policy ticks'] == ticks
        rehearsed = controller.warm_up()
    assert np.array_equal(torques, plain)
    ticks = counts['policy ticks']
    assert 2.8 * ticks < counting.asked < 3.5 * ticks  # two rehearsals each


def test_the_observation_is_laid_out_by_the_specification(tmp_path):
    order = ('previous_action', 'goal', 'joint_velocity', 'joint_position')
    fields = {field.name: field for field in SPEC.observation}
    spec = reach_spec(observation=tuple(fields[name] for name in order))
    weight = np.zeros((9, 2))
    weight[spec.slices()['goal'].start + 1, 0] = 1.0
    weight[spec.slices()['joint_position'], 1] = [0.5, -0.25]
    loop = Loop(tmp_path, weight, spec=spec).start()
    torque = loop.run(1.0, position=np.array([0.6, 0.2]))
    assert torque[-1] == pytest.approx(5 * np.tanh([0.2, 0.25]), rel=1e-5)


def test_the_previous_action_is_the_last_torque_over_its_limit(tmp_path):
    weight = np.zeros((9, 2))
    weight[SPEC.slices()['previous_action'], :] = np.eye(2)
    loop = Loop(tmp_path, weight, bias=[0.5, 0.5]).start()
    torque = loop.run(1.0)
    share = 0.0
    for _ in range(50):
        share = math.tanh(share + 0.5)
    assert torque[-1] == pytest.approx([5 * share] * 2, rel=1e-4)


def test_no_goal_no_enabling(tmp_path):
    loop = Loop(tmp_path, goal=None)
    loop.run(1.1)
    assert loop.controller.enable(loop.now).startswith('no goal has come yet')
    assert 'no goal' in loop.controller.report()[1]


POSE = {'goal': np.array([0.1, 0.2, 0.3]), 'goal_orientation': np.array([0.0, 0.6, 0.0, 0.8])}


def test_a_policy_for_poses_takes_a_pose_and_nothing_else(tmp_path):
    spec = pose_spec(control_period=0.02, gravity_compensated=False)
    weight = np.zeros((13, 2))
    weight[spec.slices()['goal']] = [[1, 0], [0, 0], [0, 1]]
    weight[spec.slices()['goal_orientation']] = [[0, 0], [1, 0], [0, 0], [0, 1]]
    loop = Loop(tmp_path, weight, spec=spec, goal=None)
    loop.run(1.1)
    with pytest.raises(SpecMismatch, match=r'it is a point on ~/goal, policy .* takes a pose on'):
        loop.controller.set_goal({'goal': POSE['goal']})
    assert 'takes a pose' in loop.controller.enable(loop.now)
    assert 'takes a pose' in loop.controller.report()[1]
    loop.controller.set_goal(POSE)
    assert loop.controller.enable(loop.now) == ''
    assert loop.run(1.0)[-1] == pytest.approx(5 * np.tanh([0.7, 1.1]), rel=1e-5)


def test_a_policy_for_points_refuses_a_pose_and_keeps_its_goal(tmp_path):
    loop = Loop(tmp_path)
    with pytest.raises(SpecMismatch, match=r'it is a pose on ~/goal_pose, policy .* a point on'):
        loop.controller.set_goal(POSE)
    assert loop.controller.goal.keys() == {'goal'}


def test_a_policy_without_a_goal_needs_none(tmp_path):
    fields = [field for field in SPEC.observation if field.name != 'goal']
    loop = Loop(tmp_path, spec=reach_spec(observation=tuple(fields)), goal=None).start()
    with pytest.raises(SpecMismatch, match='takes none'):
        loop.controller.set_goal({'goal': POSE['goal']})
    assert loop.run(1.0).tolist() == [[0.0, 0.0]] * 500


def test_outside_limits_or_moving_no_enabling(tmp_path):
    loop = Loop(tmp_path)
    loop.run(1.1, position=np.array([0.0, 2.5]))
    assert loop.controller.enable(loop.now) == 'outside the position limits: j2'
    loop.run(0.1, velocity=np.array([0.0, -1.0]))
    assert 'moving at 1.00 rad/s' in loop.controller.enable(loop.now)


def test_enabling_needs_a_velocity_limit(tmp_path):
    changes = {'control_period': 0.02, 'gravity_compensated': False}
    spec = reach_spec(velocity_limit=(4.0, math.inf), **changes)
    loop = Loop(tmp_path, spec=spec)
    loop.run(1.1)
    refusal = loop.controller.enable(loop.now)
    assert refusal.startswith('no velocity limit is known of j2; set safety.velocity_limits')
    loop = Loop(tmp_path, spec=spec, safety=SafetyConfig(velocity_limits='*2=3'))
    loop.run(1.1)
    assert loop.controller.enable(loop.now) == ''
    assert loop.controller.filter.velocity_limit.tolist() == [4.0, 3.0]


@pytest.mark.parametrize('bad', [math.nan, math.inf])
@pytest.mark.parametrize('which', ['position', 'velocity'])
def test_a_state_that_is_not_finite_faults_at_once(tmp_path, bad, which):
    loop = Loop(tmp_path, bias=[3, 3]).start()
    loop.run(1.0)
    torque = loop.run(PERIOD, **{which: np.array([bad, 0.0])})
    assert torque.tolist() == [[0.0, 0.0]]
    assert loop.state is State.FAULT
    assert np.abs(loop.run(1.0)).max() == 0


def test_silence_brings_the_torque_down(tmp_path):
    loop = Loop(tmp_path, bias=[3, 3]).start()
    last = loop.run(1.0)[-1]
    torques = []
    for _ in range(8):
        loop.now += 0.005
        torques.append(loop.controller.check(loop.now))
    assert all((abs(torque) <= abs(last)).all() for torque in torques)
    assert torques[-1].tolist() == [0.0, 0.0]
    assert loop.state is State.FAULT and 'no joint state' in loop.controller.report()[1]


def test_a_policy_swapped_in_while_moving_is_ramped_up(tmp_path):
    loop = Loop(tmp_path, bias=[3, 3]).start()
    before = loop.run(1.0)[-1]
    other = OnnxPolicy(save(linear_policy(SPEC, bias=[-3, 1]), tmp_path / 'q.onnx'))
    loop.controller.swap(loop.now, other)
    assert loop.state is State.RAMP
    torque = np.vstack((before, loop.run(1.0)))
    assert (np.abs(np.diff(torque, axis=0)) <= 1000 * PERIOD + 1e-9).all()
    assert np.abs(torque[10]).max() < 0.3
    assert torque[-1] == pytest.approx(5.0 * np.tanh([-3, 1]), rel=1e-5)
    assert loop.state is State.RUN


def test_a_policy_for_another_robot_is_not_swapped_in(tmp_path):
    loop = Loop(tmp_path, bias=[3, 3]).start()
    before = loop.run(1.0)[-1]
    spec = reach_spec(control_period=0.02, gravity_compensated=False, model_hash='another')
    other = OnnxPolicy(save(linear_policy(spec, bias=[-3, 1]), tmp_path / 'q.onnx'))
    with pytest.raises(SpecMismatch, match='model_hash'):
        loop.controller.swap(loop.now, other)
    assert loop.state is State.RUN
    assert loop.run(0.1)[-1].tolist() == before.tolist()


def test_while_nothing_moves_a_swap_does_not_start_to_move(tmp_path):
    loop = Loop(tmp_path, bias=[3, 3])
    loop.run(1.1)
    loop.controller.swap(loop.now, loop.controller.policy)
    assert loop.state is State.READY and not loop.run(1.0).any()


def test_an_observation_that_robots_do_not_give_is_refused(tmp_path):
    spec = reach_spec(observation=(ObservationField('camera', 64, '1'),))
    with pytest.raises(PolicyError, match=r'observes camera\[64\]; a robot gives joint_position'):
        Loop(tmp_path, spec=spec)


def test_last_words_are_the_fallback(tmp_path):
    loop = Loop(tmp_path, bias=[3, 3]).start()
    loop.run(1.0)
    assert loop.controller.shutdown_torque().tolist() == [0.0, 0.0]
    assert loop.state is State.READY
