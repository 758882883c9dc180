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

"""Laws of the torque guards."""

import math

import numpy as np
import pytest

from sac_ros.deploy.safety_filter import (
    SafetyConfig,
    SafetyFilter,
    clip,
    fallback_torque,
    limit_rate,
)
from sac_ros.errors import ConfigError
from sac_ros.spec import ObservationField, PolicySpec


def spec_of(n=3, **changes):
    values = {
        'joint_names': tuple(f'j{i}' for i in range(n)),
        'observation': (ObservationField('joint_position', n, 'rad'),),
        'torque_limit': tuple(10.0 + 10 * i for i in range(n)),
        'position_lower': (-2.0,) * n,
        'position_upper': (2.0,) * n,
        'velocity_limit': (3.0,) * n,
        'control_period': 0.05,
        'model_hash': 'hash',
    }
    return PolicySpec(**(values | changes))


def settled(torque_scale=1.0, **changes):
    """A filter whose rate guard does not matter."""
    return SafetyFilter(spec_of(**changes), SafetyConfig(torque_scale, torque_rate=1e6))


ZERO = np.zeros(3)


def test_a_good_torque_passes_unchanged():
    torque = np.array([1.0, -2.0, 3.0])
    result = settled().apply(torque, ZERO, ZERO, 0.01)
    assert result.torque.tolist() == torque.tolist()
    assert result.guards == () and result.fault == ''


def test_clamps_to_the_scaled_limit():
    result = settled(torque_scale=0.5).apply(np.full(3, 99.0), ZERO, ZERO, 0.01)
    assert result.torque.tolist() == [5.0, 10.0, 15.0]
    assert result.guards == ('torque',)


@pytest.mark.parametrize('side', [-1.0, 1.0])
def test_only_inward_torque_near_a_joint_limit(side):
    position = np.array([1.97, 1.9, 2.5]) * side
    outward = settled().apply(np.full(3, 4.0) * side, position, ZERO, 0.01)
    inward = settled().apply(np.full(3, -4.0) * side, position, ZERO, 0.01)
    assert np.abs(outward.torque).tolist() == [0.0, 4.0, 0.0]
    assert np.abs(inward.torque).tolist() == [4.0, 4.0, 4.0]


def test_joints_without_limits_are_free():
    free = {k: (s * math.inf,) * 3 for k, s in (('position_lower', -1), ('position_upper', 1))}
    guard = settled(**free, velocity_limit=(math.inf,) * 3)
    result = guard.apply(np.full(3, 4.0), np.full(3, 1e6), np.full(3, 1e6), 0.01)
    assert result.torque.tolist() == [4.0] * 3
    assert guard.outside_limits(np.full(3, 1e9)) == ''


def test_torque_is_zero_at_the_velocity_limit_and_brakes_beyond():
    guard, limit = settled(), 10.0  # within 0.6 rad/s, which is the band
    for speed, torque in ((2.3, 10), (2.7, 5), (3.0, 0), (3.3, -5), (3.6, -10), (4.4, -10)):
        for side in (-1.0, 1.0):
            velocity = np.array([side * speed, 0.0, 0.0])
            result = guard.apply(np.full(3, side * limit), ZERO, velocity, 0.01)
            assert result.torque == pytest.approx(side * np.array([torque, 10, 10]))
            assert result.guards == (('velocity',) if torque < 10 else ())


def test_the_allowed_velocity_shrinks_towards_a_limit():
    guard = settled()
    inner = 2.0 - guard.config.position_margin
    for distance, speed in ((1.0, 3.0), (0.4, 2.0), (0.1, 0.5), (0.0, 0.0), (-0.1, 0.0)):
        slowest, fastest = guard.allowed_velocity(np.array([inner, 0, -inner]) - distance)
        assert fastest[0] == pytest.approx(speed) and slowest[0] == -3.0
        slowest, fastest = guard.allowed_velocity(np.array([inner, 0, -inner]) + distance)
        assert slowest[2] == pytest.approx(-speed) and fastest[2] == 3.0


def random_states(rng, spec, shape):
    """States (*shape, n) inside and outside the limits of a robot."""
    finite = np.isfinite(spec.velocity_limit)
    speed = np.where(finite, spec.velocity_limit, 1e3)
    n = spec.n_action
    return rng.uniform(-4, 7, (*shape, n)), rng.uniform(-1.6, 1.6, (*shape, n)) * speed


def test_braking_only_opposes_motion():
    rng = np.random.default_rng(2)
    spec = random_spec(rng, 1000)
    guard = SafetyFilter(spec, SafetyConfig())
    position, velocity = random_states(rng, spec, (200,))
    low, high = guard.torque_bounds(position, 0 * velocity)
    assert (low <= 0).all() and (high >= 0).all()
    low, high = guard.torque_bounds(position, velocity)
    assert (velocity[low > 0] < 0).all() and (velocity[high < 0] > 0).all()
    assert (low > 0).sum() > 1000 < (high < 0).sum()


def test_torque_bounds_are_continuous_and_fall_with_velocity():
    rng = np.random.default_rng(3)
    spec = random_spec(rng, 1000)
    config = SafetyConfig()
    guard = SafetyFilter(spec, config)
    speed = np.where(np.isfinite(spec.velocity_limit), spec.velocity_limit, math.pi)
    shares = np.linspace(-2, 2, 2001)[:, None]
    position, _ = random_states(rng, spec, (1,))
    for bound in guard.torque_bounds(position, shares * speed):
        steps = np.diff(bound, axis=0)
        largest = np.array(spec.torque_limit) / config.velocity_band * np.diff(shares[:2], axis=0)
        assert (steps <= 1e-9).all() and (steps >= -largest - 1e-9).all()
        assert (np.ptp(bound, axis=0) > 0).mean() > 0.8


def test_far_over_the_velocity_limit_is_a_fault():
    result = settled().apply(np.full(3, 4.0), ZERO, np.array([0.0, -4.6, 0.0]), 0.01)
    assert 'velocity limit at j1' in result.fault
    assert result.torque.tolist() == [0.0] * 3


def test_no_setting_allows_more_than_that_speed():
    speed = np.array([0.0, 4.6, 0.0])
    for config in ({'velocity_fault': 10.0}, {'velocity_scale': 0.5, 'velocity_fault': 10.0}):
        guard = SafetyFilter(spec_of(), SafetyConfig(**config))
        assert 'velocity limit at j1' in guard.apply(ZERO, ZERO, speed, 0.01).fault
        assert guard.apply(ZERO, ZERO, 0.9 * speed, 0.01).fault == ''


def test_rate_is_limited_and_a_long_silence_buys_no_step():
    guard = SafetyFilter(spec_of(), SafetyConfig(torque_rate=100))
    first = guard.apply(np.full(3, 9.0), ZERO, ZERO, 0.01)
    assert first.torque.tolist() == [1.0] * 3 and first.guards == ('rate',)
    second = guard.apply(np.full(3, 9.0), ZERO, ZERO, 5.0)
    assert second.torque.tolist() == [1.0 + 100 * guard.MAX_STEP_TIME] * 3
    assert guard.apply(np.full(3, 9.0), ZERO, ZERO, -1.0).torque.tolist() == guard.last.tolist()


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('which', [0, 1, 2])
@pytest.mark.parametrize('joint', [0, 1, 2])
def test_what_is_not_finite_is_a_fault_with_the_fallback(bad, which, joint):
    vectors = [ZERO.copy(), ZERO.copy(), ZERO.copy()]
    vectors[which][joint] = bad
    result = settled().apply(*vectors, 0.01)
    assert f'j{joint}' in result.fault
    assert result.torque.tolist() == [0.0] * 3


def test_fallback_is_zero_only_where_gravity_is_compensated():
    limit, velocity = np.array([10.0, 20.0]), np.array([1.0, -1e9])
    assert fallback_torque(velocity, limit, 0.02, True).tolist() == [0.0, 0.0]
    assert fallback_torque(velocity, limit, 0.02, False).tolist() == [-0.2, 20.0]
    assert fallback_torque(None, limit, 0.02, False).tolist() == [0.0, 0.0]
    assert fallback_torque(np.array([math.nan, 1]), limit, 0.02, False).tolist() == [0, -0.4]


def test_forbidden_torque_goes_at_once_and_returns_at_the_rate():
    guard = SafetyFilter(spec_of(), SafetyConfig(torque_rate=100))
    for _ in range(20):
        guard.apply(np.full(3, 9.0), ZERO, ZERO, 0.01)
    assert guard.last.tolist() == [9.0] * 3
    fast, close = np.array([3.5, 0.0, 0.0]), np.array([0.0, 1.97, 0.0])
    result = guard.apply(np.full(3, 9.0), close, fast, 0.01)
    assert result.torque.tolist() == [-1.0, 0.0, 9.0]  # braking starts at the rate too
    assert set(result.guards) == {'position', 'velocity', 'rate'}
    assert guard.apply(np.full(3, 9.0), ZERO, ZERO, 0.01).torque.tolist() == [0.0, 1.0, 9.0]


def test_an_inward_torque_near_a_limit_still_grows_at_the_rate():
    guard = SafetyFilter(spec_of(), SafetyConfig(torque_rate=100))
    guard.apply(np.full(3, 9.0), ZERO, ZERO, 0.01)
    result = guard.apply(np.full(3, -9.0), np.full(3, 1.97), ZERO, 0.01)
    assert result.torque.tolist() == [-1.0] * 3


def random_spec(rng, n):
    """A robot of n joints, no two alike, some of them without limits."""
    lower = rng.uniform(-3, 0, n)
    free = rng.random(n) < 0.1
    return spec_of(
        n,
        torque_limit=tuple(rng.uniform(0.1, 100, n)),
        position_lower=tuple(np.where(free, -np.inf, lower)),
        position_upper=tuple(np.where(free, np.inf, lower + rng.uniform(0.01, 6, n))),
        velocity_limit=tuple(np.where(free, np.inf, rng.uniform(0.5, 5, n))),
        gravity_compensated=False,
    )


def test_a_million_random_torques_never_get_through_unsafe():
    """A thousand joints, each with limits of its own, for a thousand and a few steps."""
    rng = np.random.default_rng(0)
    n, steps, faults = 1000, 1050, 0
    spec = random_spec(rng, n)
    config = SafetyConfig(torque_scale=0.9, torque_rate=200)
    guard = SafetyFilter(spec, config)
    limit, fastest = 0.9 * np.array(spec.torque_limit), np.array(spec.velocity_limit)
    lower, upper = np.array(spec.position_lower), np.array(spec.position_upper)
    finite = np.isfinite(fastest)
    for k in range(steps):
        torque = rng.standard_cauchy(n) * limit
        velocity = rng.uniform(-1.49, 1.49, n) * np.where(finite, fastest, 1e3)
        position = rng.uniform(-4, 7, n)
        if k % 21 == 0:
            bad = (math.nan, math.inf, -math.inf)[rng.integers(3)]
            (torque, position, velocity)[rng.integers(3)][rng.integers(n)] = bad
        dt, before = rng.uniform(0, 0.03), guard.last
        result = guard.apply(torque, position, velocity, dt)
        safe = result.torque
        faults += bool(result.fault)
        assert bool(result.fault) == (k % 21 == 0)
        assert np.isfinite(safe).all() and (np.abs(safe) <= limit).all()
        if result.fault:
            continue
        opposes = safe * velocity <= 0
        assert (opposes | (safe <= 0))[position >= upper].all()
        assert (opposes | (safe >= 0))[position <= lower].all()
        assert opposes[np.abs(velocity) > fastest].all()
        low, high = guard.torque_bounds(position, velocity)
        assert ((np.minimum(low, 0) <= safe) & (safe <= np.maximum(high, 0))).all()
        step = config.torque_rate * min(dt, guard.MAX_STEP_TIME) + 1e-9
        # A jump is towards zero, at most one step past it, and only where a bound forces it.
        grown = np.maximum(safe - np.maximum(before, 0), np.minimum(before, 0) - safe)
        assert (grown <= step).all()
        forbidden = (before < np.minimum(low, 0)) | (before > np.maximum(high, 0))
        assert (forbidden | (np.abs(safe - before) <= step)).all()
    assert faults == 50


def test_a_million_random_guards_agree_with_their_definitions():
    rng = np.random.default_rng(1)
    wanted, last, limit = rng.standard_cauchy((3, 1_000_000)) * 10
    low, high = -np.abs(limit), np.abs(limit)
    base, step = clip(low, last, high), 0.5
    safe = limit_rate(clip(low, wanted, high), base, step)
    assert ((safe >= low) & (safe <= high)).all()
    assert (np.abs(safe - base) <= step * (1 + 1e-12) + 1e-9 * np.abs(base)).all()


def test_settings_cannot_widen_limits():
    with pytest.raises(ConfigError, match=r'torque_scale is 1\.1'):
        SafetyConfig(torque_scale=1.1)
    with pytest.raises(ConfigError, match='torque_rate is nan'):
        SafetyConfig(torque_rate=math.nan)


def test_names_the_joints_outside_their_limits():
    guard = settled()
    assert guard.outside_limits(np.array([0.0, 2.1, math.nan])) == 'j1, j2'
