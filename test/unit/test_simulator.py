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

"""The simulated robot, with a clock that the test holds."""

import math

import numpy as np
import pytest

from sac_ros.config.robot import ArmConfig, RandomizationConfig
from sac_ros.envs.simulator import SimConfig, Simulator
from sac_ros.errors import ConfigError


@pytest.fixture
def simulator():
    return Simulator(SimConfig(), 10.0)


def test_follows_the_clock_without_drift(simulator):
    rng = np.random.default_rng(0)
    start, now = simulator.arm.time, 10.0
    for _ in range(1000):
        now += rng.uniform(0, 0.004)
        simulator.advance(now)
        behind = (now - 10.0) - (simulator.arm.time - start)
        assert abs(behind) <= simulator.period / 2 + 1e-9
    assert simulator.overruns == 0


def test_a_long_hold_up_is_left_out(simulator):
    assert simulator.advance(12.0) == 1
    assert simulator.overruns == 1
    assert simulator.advance(12.0 + 2.4 * simulator.period) == 2


def test_obeys_a_command_and_forgets_it_when_old(simulator):
    torque = np.full(6, 0.1)
    simulator.advance(10.002)
    simulator.command(10.002, torque)
    simulator.advance(10.0061)
    assert simulator.arm.applied_torque.tolist() == torque.tolist()
    simulator.advance(10.0301)
    assert simulator.arm.applied_torque.tolist() == [0.0] * 6


def test_torque_is_clipped_at_the_limits(simulator):
    simulator.command(10.0, np.full(6, 1e3))
    simulator.advance(10.0021)
    assert simulator.arm.applied_torque.tolist() == list(simulator.robot.torque_limit)


@pytest.mark.parametrize('torque', [np.zeros(5), np.full(6, math.nan)])
def test_bad_commands_change_nothing(simulator, torque):
    with pytest.raises(ConfigError, match='command'):
        simulator.command(10.0, torque)
    simulator.advance(10.01)
    assert simulator.arm.applied_torque.tolist() == [0.0] * 6


def test_without_a_command_it_does_not_fall():
    held = Simulator(SimConfig(), 0.0)
    before = held.arm.position
    for step in range(1, 501):
        held.advance(step * held.period)
    assert np.abs(held.arm.position - before).max() < 1e-3


def test_brakes_hold_an_uncompensated_arm_until_a_command():
    falling = Simulator(SimConfig(arm=ArmConfig(gravity_compensation=False)), 0.0)
    before = falling.arm.position
    for step in range(1, 101):
        falling.advance(step * falling.period)
    assert (falling.arm.position == before).all()
    assert falling.arm.time == pytest.approx(100 * falling.period)
    falling.command(101 * falling.period, np.zeros(6))
    for step in range(101, 201):  # the command gets too old: it sinks damped
        falling.advance(step * falling.period)
    assert np.abs(falling.arm.position - before).max() > 1e-3
    assert np.abs(falling.arm.applied_torque).max() > 0
    falling.reset()
    before = falling.arm.position
    falling.step(1.0)
    assert (falling.arm.position == before).all()


def test_a_thousand_states_per_second():
    fast = Simulator(SimConfig(rate=1000), 0.0)
    assert fast.advance(0.0501) == 50
    assert fast.arm.time == pytest.approx(0.05)


def test_unpaced_runs_measure_command_age_in_simulated_time():
    free = Simulator(SimConfig(real_time_factor=0.0), 0.0)
    free.command(0.0, np.full(6, 0.1))
    obeyed = 0
    for call in range(20):
        assert free.advance(call * 1e-4) == 1
        obeyed += free.command_active
    assert obeyed in (10, 11)  # 20 ms of 2 ms periods; the last is at the very limit
    timing = free.timing(0.004)
    assert timing.real_time_factor == pytest.approx(20 * free.period / 0.004)


def test_slow_motion_stretches_the_period():
    slow = Simulator(SimConfig(real_time_factor=0.5), 0.0)
    assert slow.wall_period == pytest.approx(0.004)
    assert slow.advance(0.0401) == 10
    slow.command(0.0401, np.full(6, 0.1))
    slow.advance(0.0401 + 0.036)
    assert slow.command_active
    slow.advance(0.0401 + 0.05)
    assert not slow.command_active


def test_timing_tells_factor_and_lateness(simulator):
    for step in range(1, 501):
        simulator.advance(10.0 + step * simulator.period + 3e-4)
    timing = simulator.timing(11.0)
    assert timing.real_time_factor == pytest.approx(1.0, abs=0.01)
    assert timing.late_max == pytest.approx(3e-4, abs=1e-5)
    assert timing.overruns == 0
    assert simulator.timing(12.0).real_time_factor == 0


def test_it_can_be_worse_than_described():
    config = SimConfig(randomization=RandomizationConfig(action_latency=1.0, torque_error=0.3))
    worse = Simulator(config, 0.0)
    commands, applied = [], []
    for step in range(1, 101):
        commands.append(0.1 * step)
        worse.command(step * worse.period, np.full(6, commands[-1]))
        worse.advance(step * worse.period + 1e-5)
        applied.append(worse.arm.applied_torque[0])
    assert applied[-1] != pytest.approx(commands[-1], rel=1e-3)
    assert applied[0] == 0


def test_pause_holds_the_time(simulator):
    simulator.pause(True, 11.0)
    time = simulator.arm.time
    assert simulator.advance(15.0) == 0 and simulator.arm.time == time
    simulator.step(15.0)
    assert simulator.arm.time == pytest.approx(time + simulator.period)
    simulator.pause(False, 20.0)
    assert simulator.advance(20.0041) == 2


def test_the_rate_must_fit_the_time_step():
    with pytest.raises(ConfigError, match='rate 300 Hz does not fit'):
        Simulator(SimConfig(rate=300), 0.0)
    assert Simulator(SimConfig(rate=100), 0.0).period == 0.01


def test_the_seed_decides_postures_and_goals():
    one, two, other = (Simulator(SimConfig(seed=s), 0.0) for s in (1, 1, 2))
    assert one.arm.position.tolist() == two.arm.position.tolist()
    assert one.sample_goal()['goal'].tolist() == two.sample_goal()['goal'].tolist()
    assert one.arm.position.tolist() != other.arm.position.tolist()


def test_random_goals_are_points_or_poses():
    assert Simulator(SimConfig(), 0.0).sample_goal().keys() == {'goal'}
    pose = Simulator(SimConfig(goals='pose'), 0.0).sample_goal()
    assert pose['goal'].shape == (3,)
    assert np.linalg.norm(pose['goal_orientation']) == pytest.approx(1)


def test_time_goes_on_when_the_arm_is_reset(simulator):
    simulator.advance(10.05)
    before, posture = simulator.arm.time, simulator.arm.position
    simulator.reset()
    assert simulator.arm.time == before > 0
    assert not np.allclose(simulator.arm.position, posture)
