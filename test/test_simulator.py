"""The simulated robot, with a clock that the test holds."""

import math

import numpy as np
import pytest

from sac_ros.config import ArmConfig
from sac_ros.errors import ConfigError
from sac_ros.simulator import SimConfig, Simulator


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
        assert -1e-9 <= behind < simulator.period + 1e-9
    assert simulator.slips == 0


def test_a_long_hold_up_is_left_out(simulator):
    assert simulator.advance(12.0) == 1
    assert simulator.slips == 1
    assert simulator.advance(12.0 + 2.5 * simulator.period) == 2


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


def test_without_gravity_compensation_it_sinks_damped():
    falling = Simulator(SimConfig(arm=ArmConfig(gravity_compensation=False)), 0.0)
    before = falling.arm.position
    for step in range(1, 101):
        falling.advance(step * falling.period)
    assert np.abs(falling.arm.position - before).max() > 1e-3
    assert np.abs(falling.arm.applied_torque).max() > 0


def test_pause_holds_the_time(simulator):
    simulator.pause(True, 11.0)
    time = simulator.arm.time
    assert simulator.advance(15.0) == 0 and simulator.arm.time == time
    simulator.step(15.0)
    assert simulator.arm.time == pytest.approx(time + simulator.period)
    simulator.pause(False, 20.0)
    assert simulator.advance(20.0051) == 2


def test_the_rate_must_fit_the_time_step():
    with pytest.raises(ConfigError, match='rate 300 Hz does not fit'):
        Simulator(SimConfig(rate=300), 0.0)
    assert Simulator(SimConfig(rate=100), 0.0).period == 0.01


def test_the_seed_decides_postures_and_goals():
    one, two, other = (Simulator(SimConfig(seed=s), 0.0) for s in (1, 1, 2))
    assert one.arm.position.tolist() == two.arm.position.tolist()
    assert one.sample_goal().tolist() == two.sample_goal().tolist()
    assert one.arm.position.tolist() != other.arm.position.tolist()
