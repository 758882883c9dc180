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

"""The core of effort_guard: torques pass only while commands and joint states are timely."""

import dataclasses
import json

import numpy as np
import pytest
from policy_files import reach_spec

from sac_ros.deploy.effort_guard import NO_COMMAND, EffortGuard, GuardedRobot
from sac_ros.deploy.safety_filter import SafetyConfig
from sac_ros.errors import ConfigError, SpecMismatch

SPEC = reach_spec(3)
ROBOT = GuardedRobot(SPEC, SafetyConfig(torque_rate=1e6), (2, 0, 1), 0.01, 0.02, 0.1, 7, 0.002)
TORQUE = np.array([1.0, -1.0, 0.5])
STILL = np.zeros(3)


def running(now=1.0, robot=ROBOT):
    """Return a guard that has let one torque pass."""
    guard = EffortGuard(robot)
    guard.take_state(now - 0.003, np.full(3, 0.1), STILL)
    assert not guard.command(now - 0.002, now - 0.003, None).any()
    assert guard.command(now, now - 0.001, TORQUE).tolist() == TORQUE.tolist()
    return guard


def test_torques_pass_only_after_the_fallback_was_asked_for():
    guard = EffortGuard(ROBOT)
    guard.take_state(1.0, STILL, STILL)
    assert not guard.command(1.0, 0.999, TORQUE).any() and guard.blocked == NO_COMMAND
    guard.command(1.001, 1.0, None)
    assert guard.blocked == ''
    assert guard.command(1.002, 1.001, TORQUE).any()


def test_a_late_command_is_never_published():
    guard = running()
    assert guard.check(1.005) is None
    assert not guard.check(1.012).any()
    assert guard.command(1.02, 1.005, TORQUE) is None  # was on its way while its sender stopped
    assert guard.command(1.02, 1.03, TORQUE) is None  # of another machine's clock
    assert guard.command(1.02, 0.999, TORQUE) is None  # older than the last one
    assert guard.counts['late commands'] == 3


def test_a_short_gap_ends_by_itself_and_a_long_one_does_not():
    guard = running()
    assert not guard.check(1.05).any() and guard.blocked == ''
    guard.take_state(1.06, np.full(3, 0.1), STILL)
    assert guard.command(1.06, 1.059, TORQUE).any()
    assert not guard.check(1.2).any() and 'no command for 100 ms' in guard.blocked
    guard.take_state(1.21, np.full(3, 0.1), STILL)
    assert not guard.command(1.21, 1.209, TORQUE).any()


@pytest.mark.parametrize(
    ('spoil', 'reason'),
    [
        (lambda guard: guard.take_state(1.001, STILL, np.array([0, 100.0, 0])), 'velocity limit'),
        (lambda guard: guard.take_state(1.001, np.array([np.nan, 0, 0]), STILL), 'not finite'),
        (lambda guard: guard.reject_state('no such joint'), 'no such joint'),
        (lambda guard: guard.take_state(0.9, STILL, STILL), 'no joint state for 20 ms'),
    ],
)
def test_an_unusable_state_blocks_until_a_fallback_is_requested(spoil, reason):
    guard = running()
    spoil(guard)
    assert not guard.command(1.002, 1.001, TORQUE).any() and reason in guard.blocked
    assert not guard.command(1.0025, 1.002, TORQUE).any()
    guard.take_state(1.003, STILL, STILL)
    assert not guard.command(1.004, 1.003, TORQUE).any()
    guard.command(1.005, 1.004, None)
    assert guard.command(1.006, 1.005, TORQUE).any()


@pytest.mark.parametrize('torque', [[np.nan, 0, 0], [np.inf, 0, 0], [1.0, 1.0]])
def test_a_torque_that_is_none_blocks(torque):
    guard = running()
    assert np.all(guard.command(1.002, 1.001, np.array(torque)) == 0) and guard.blocked


def test_every_torque_is_within_the_limits():
    guard = running()
    limit = np.array(SPEC.torque_limit)
    assert (np.abs(guard.command(1.002, 1.001, np.full(3, 1e9))) <= limit).all()


def test_the_fallback_damps_while_joint_states_come():
    spec = dataclasses.replace(SPEC, gravity_compensated=False)
    guard = running(robot=dataclasses.replace(ROBOT, spec=spec))
    guard.take_state(1.001, STILL, np.array([1.0, 0.0, 0.0]))
    assert guard.check(1.015)[0] < 0
    assert not guard.check(1.1).any()


def test_a_robot_comes_through_json_and_nothing_else_does():
    assert GuardedRobot.from_json(ROBOT.to_json()) == ROBOT
    good = json.loads(ROBOT.to_json())
    wrong = ({'order': [0, 0, 1]}, {'session': 1.5}, {'command_timeout': 0.0},
             {'stall_timeout': 'x'}, {'safety': {'torque_scale': 2.0}}, {'spec': {}},
             {'more': 1})  # fmt: skip
    for change in wrong:
        with pytest.raises(SpecMismatch):
            GuardedRobot.from_json(json.dumps(good | change))
    for text in ('', '[]', 'null', '{', '{"spec": 1}'):
        with pytest.raises(SpecMismatch):
            GuardedRobot.from_json(text)
    with pytest.raises(ConfigError):
        dataclasses.replace(ROBOT, order=(0, 1))
