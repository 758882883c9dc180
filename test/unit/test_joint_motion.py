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

"""Velocities checked against positions, and taken from them."""

import numpy as np
import pytest

from sac_ros.deploy.joint_motion import VelocityCheck, VelocityEstimator

PERIOD, WINDOW = 0.002, 0.1  # [s]
ENDLESS = np.array([False, True])
LIMIT = np.array([4.0, 4.0])  # [rad/s]


def swing(seconds=2.0, frequency=1.0, speed=3.0):
    """Yield positions and velocities of two joints."""
    for time in np.arange(0, seconds, PERIOD):
        phase = 2 * np.pi * frequency * time
        position = speed / (2 * np.pi * frequency) * np.sin([phase, 2 * phase])
        yield position, speed * np.array([np.cos(phase), 2 * np.cos(2 * phase)])


def first_over(states, tolerance=0.5, period=PERIOD):
    """Return when a joint is over the tolerance [s] and which, or None."""
    check = VelocityCheck(tolerance * LIMIT, WINDOW, ENDLESS)
    for number, (position, velocity) in enumerate(states):
        over = check.update(position, velocity, period)
        if over.any():
            return number * period, over.tolist()
    return None


def test_true_velocities_pass_with_noise_and_delay():
    rng = np.random.default_rng(0)
    states = list(swing())
    delayed = [states[max(0, i - 5)][1] for i in range(len(states))]  # 10 ms
    noisy = [
        (position + rng.normal(0, 0.001, 2), velocity + rng.normal(0, 0.05, 2))
        for (position, _), velocity in zip(states, delayed, strict=True)
    ]
    assert first_over(noisy, tolerance=0.3) is None


@pytest.mark.parametrize('factor', [0.0, -1.0, 0.1, 57.3])
def test_a_wrong_unit_sign_or_a_stuck_velocity_shows(factor):
    states = [(position, factor * velocity) for position, velocity in swing()]
    when, over = first_over(states)
    assert when <= WINDOW and any(over)


def test_a_stuck_velocity_shows_only_where_the_joint_moves():
    states = [(np.array([3.0 * PERIOD * i, 0.5]), np.zeros(2)) for i in range(100)]
    assert first_over(states)[1] == [True, False]


def test_a_jump_of_the_position_shows_at_once():
    rest = np.zeros(2)
    states = [(rest, rest)] * 10 + [(np.array([0.5, 0.0]), rest)] * 2
    assert first_over(states) == (10 * PERIOD, [True, False])


def test_an_endless_joint_may_wrap():
    speed = np.array([0.0, 3.0])
    angle = 3.0 + speed[1] * PERIOD * np.arange(300)
    wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(np.diff(wrapped)).max() > 6
    assert first_over([(np.array([0.0, a]), speed) for a in wrapped]) is None


def test_a_gap_starts_the_comparison_anew():
    check = VelocityCheck(0.5 * LIMIT, WINDOW, ENDLESS)
    check.update(np.zeros(2), np.zeros(2), PERIOD)
    assert not check.update(np.ones(2), np.zeros(2), 0.2).any()
    assert check.update(2 * np.ones(2), np.zeros(2), PERIOD).all()


def test_velocities_from_positions():
    estimator = VelocityEstimator(0.005, 0.05, ENDLESS)
    states = list(swing(frequency=0.5))
    assert estimator.update(states[0][0], np.inf) is None
    errors = [
        np.abs(estimator.update(position, PERIOD) - velocity).max()
        for position, velocity in states[1:]
    ]
    assert max(errors) < 0.01 * 2 * np.pi * 3.0 * 2  # filter time and half a period, times accel.
    assert estimator.update(states[0][0], 0.06) is None  # a gap
    assert estimator.update(states[0][0], PERIOD).tolist() == [0.0, 0.0]


def test_velocities_of_an_endless_joint_wrap_without_a_spike():
    estimator = VelocityEstimator(0.0, 0.05, ENDLESS)
    estimator.update(np.array([0.0, 3.14]), np.inf)
    velocity = estimator.update(np.array([0.0, -3.14]), PERIOD)
    assert velocity == pytest.approx([0.0, (2 * np.pi - 6.28) / PERIOD])
