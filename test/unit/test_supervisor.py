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

"""Laws of the state machine, with a clock that the test holds."""

import numpy as np
import pytest

from sac_ros.deploy.supervisor import ACTIVE, LATCHED, State, Supervisor, SupervisorConfig

PERIOD = 0.002


class Robot:
    """Feeds a supervisor with joint states and checks on a clock of its own."""

    def __init__(self, **config):
        self.supervisor = Supervisor(SupervisorConfig(**config))
        self.now = 100.0
        self.supervisor.on_configured()
        self.supervisor.on_activated()

    def run(self, seconds, states=True):
        for _ in range(round(seconds / PERIOD)):
            self.now += PERIOD
            if states:
                self.supervisor.on_valid_state(self.now)
            self.supervisor.check(self.now)

    def enable(self, obstacle=''):
        return self.supervisor.enable(self.now, obstacle)

    def share(self):
        return self.supervisor.policy_weight(self.now)


@pytest.fixture
def running():
    robot = Robot()
    robot.run(1.1)
    assert robot.enable() == ''
    robot.run(0.6)
    assert robot.supervisor.state is State.RUN
    return robot


def test_never_enables_itself():
    robot = Robot()
    robot.run(5.0)
    assert robot.supervisor.state is State.READY and robot.share() == 0


def test_enabling_needs_a_second_of_good_states():
    robot = Robot()
    assert 'no good joint state' in robot.enable()
    robot.run(0.5)
    assert 'good for 0.50 s' in robot.enable()
    robot.supervisor.on_invalid_state('NaN in position')
    robot.run(0.9)
    assert 'good for 0.90 s' in robot.enable()
    robot.run(0.2)
    assert robot.enable('another publisher') == 'another publisher'
    assert robot.enable() == ''


def test_refusals_name_the_last_reason():
    robot = Robot()
    supervisor = robot.supervisor
    supervisor.ignored_state('joint states of other joints')
    assert robot.enable() == 'no good joint state arrives: joint states of other joints'
    supervisor.on_invalid_state(
        'joint states have 0 values of velocity', 'joint states that do not fit'
    )
    assert supervisor.counts['joint states that do not fit'] == 1
    robot.run(0.5)
    assert robot.enable().endswith('s asked for; before: joint states have 0 values of velocity')


@pytest.mark.parametrize(
    ('rate', 'period'), [(200, '0.005'), (100, '0.01'), (50, '0.02'), (20, '0.05')]
)
def test_refusals_name_the_measured_rate_and_the_parameter(rate, period):
    robot = Robot()
    for _ in range(2 * rate):
        robot.now += 1 / rate
        robot.supervisor.on_valid_state(robot.now)
    refusal = robot.enable()
    assert refusal == f'joint states come at {rate} Hz, set supervision.state_period to {period}'
    patient = Robot(state_period=float(period))
    for _ in range(2 * rate):
        patient.now += 1 / rate
        patient.supervisor.on_valid_state(patient.now)
    assert patient.enable() == ''


def test_the_rate_is_measured_anew_after_a_gap():
    robot = Robot()
    for _ in range(100):
        robot.now += 0.02
        robot.supervisor.on_valid_state(robot.now)
    robot.now += 3.0
    robot.run(1.1)
    assert robot.enable() == ''


def test_silence_names_what_came_instead(running):
    running.run(0.01, states=False)
    running.supervisor.ignored_state('partial joint states, without j3')
    running.run(0.018, states=False)
    assert running.supervisor.state is State.FAULT
    assert running.supervisor.reason == (
        'no joint state for 20 ms (since then: partial joint states, without j3)'
    )


def test_the_share_ramps_from_nothing_to_all():
    robot = Robot()
    robot.run(1.1)
    robot.enable()
    shares = [robot.share()]
    for _ in range(60):
        robot.run(0.01)
        shares.append(robot.share())
    assert shares[0] == 0 and shares[-1] == 1
    assert np.diff(shares).min() >= 0 and np.diff(shares).max() < 0.03
    assert robot.supervisor.state is State.RUN


def test_silence_decays_then_faults_and_does_not_resume(running):
    supervisor = running.supervisor
    running.run(0.008, states=False)
    assert supervisor.state is State.DEGRADED
    assert 0 < running.share() < 1
    running.run(0.018, states=False)
    assert supervisor.state is State.FAULT and running.share() == 0
    running.run(5.0)
    assert supervisor.state is State.FAULT
    assert 'reset' in running.enable()
    supervisor.reset()
    assert supervisor.state is State.READY
    assert running.enable() == ''


def test_late_states_only_degrade(running):
    running.run(0.01, states=False)
    running.run(0.002)
    assert running.supervisor.state is State.RUN and running.share() == 1


def test_being_held_up_is_not_silence(running):
    running.now += 0.09
    running.supervisor.check(running.now)
    running.supervisor.on_valid_state(running.now)
    running.supervisor.check(running.now)
    assert running.supervisor.state is State.RUN


@pytest.mark.parametrize('first', ['check', 'on_valid_state'])
def test_being_held_up_for_long_is_a_fault(running, first):
    """After SIGSTOP and SIGCONT: the robot has stopped by itself and must not start again."""
    running.now += 0.5
    getattr(running.supervisor, first)(running.now)
    assert running.share() == 0
    running.supervisor.on_valid_state(running.now)
    assert running.supervisor.state is State.FAULT
    assert 'held up' in running.supervisor.reason


@pytest.mark.parametrize('stop', ['fault', 'estop'])
def test_only_reset_takes_a_latch_away(running, stop):
    supervisor = running.supervisor
    supervisor.fault('a fault') if stop == 'fault' else supervisor.estop()
    latched, reason = supervisor.state, supervisor.reason
    supervisor.deactivated()
    supervisor.unconfigured()
    supervisor.on_configured()
    supervisor.on_activated()
    assert (supervisor.state, supervisor.reason) == (latched, reason)
    running.run(2.0)
    assert 'call reset first' in running.enable()
    supervisor.reset()
    assert running.enable() == ''


def test_an_emergency_stop_before_activation_holds():
    robot = Robot()
    robot.supervisor.deactivated()
    robot.supervisor.estop()
    assert robot.supervisor.state is State.INACTIVE
    robot.supervisor.on_activated()
    assert robot.supervisor.state is State.ESTOP


def test_a_bad_state_faults_only_while_moving(running):
    running.supervisor.on_invalid_state('joint missing')
    assert running.supervisor.state is State.FAULT
    assert running.supervisor.reason == 'joint missing'
    idle = Robot()
    idle.supervisor.on_invalid_state('joint missing')
    assert idle.supervisor.state is State.READY
    assert idle.supervisor.counts['joint missing'] == 1


def test_estop_is_latched_over_a_fault_too(running):
    running.supervisor.fault('far over the velocity limit')
    running.supervisor.estop()
    assert running.supervisor.state is State.ESTOP
    running.supervisor.fault('something else')
    running.supervisor.disable()
    assert running.supervisor.state is State.ESTOP


def test_disable_and_reload(running):
    running.supervisor.restart_ramp(running.now)
    assert running.supervisor.state is State.RAMP and running.share() == 0
    running.supervisor.disable()
    assert running.supervisor.state is State.READY and running.share() == 0


def test_inactive_is_deaf():
    robot = Robot()
    robot.supervisor.deactivated()
    robot.supervisor.fault('x')
    robot.supervisor.estop()
    assert robot.supervisor.state is State.INACTIVE
    robot.supervisor.unconfigured()
    assert 'UNCONFIGURED' in robot.enable()


def test_random_histories_move_only_enabled_unlatch_by_reset():
    rng = np.random.default_rng(0)
    robot = Robot(healthy_time=0.01, ramp_time=0.01)
    supervisor = robot.supervisor
    actions = {
        'good': lambda: supervisor.on_valid_state(robot.now),
        'bad': lambda: supervisor.on_invalid_state('bad'),
        'check': lambda: supervisor.check(robot.now),
        'enable': robot.enable,
        'disable': supervisor.disable,
        'fault': lambda: supervisor.fault('fault'),
        'estop': supervisor.estop,
        'reset': supervisor.reset,
        'reload': lambda: supervisor.restart_ramp(robot.now),
        'off and on': lambda: (supervisor.deactivated(), supervisor.on_activated()),
    }
    names, weights = list(actions), np.array([60, 0.3, 30, 5, 0.3, 0.3, 0.3, 2, 0.3, 0.3])
    moved = 0
    for name in rng.choice(names, size=20_000, p=weights / weights.sum()):
        before, was_moving = supervisor.state, supervisor.moving
        robot.now += rng.exponential(0.001)
        actions[name]()
        moved += supervisor.moving
        assert supervisor.state in ACTIVE
        assert not supervisor.moving or was_moving or name == 'enable'
        if before in LATCHED and supervisor.state not in LATCHED:
            assert name == 'reset'
        assert 0 <= robot.share() <= (1 if supervisor.moving else 0)
    assert moved > 1000
