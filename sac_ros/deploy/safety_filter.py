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

"""Safety filter: the guards that every torque passes before it is published, in pure numpy.

Order: finite, clamp, joint and velocity limits, rate, finite. All limits come from the policy's
specification; settings can only tighten them.

Each joint has an allowed velocity: its velocity limit, and near a position limit a speed that
shrinks in proportion to the distance left, so that the joint can still be stopped. The allowed
torque falls linearly to zero as the joint reaches its allowed velocity, and beyond it becomes a
braking torque (the soft velocity saturation of ros2_control's joint limits). The braking torque
only opposes motion: a joint at rest is never pushed.

Torque that the new range forbids is removed in one command. Only what is added, braking included,
is limited in rate. So the largest jump that a guard makes is from the last torque to zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sac_ros.config.base import Config, config_field
from sac_ros.config.limit_overrides import parse_limit_overrides
from sac_ros.spec import PolicySpec
from sac_ros.types import Vector

MAX_VELOCITY_FACTOR = (
    1.5  # times the specification's velocity limit: above is a fault, whatever is set
)


@dataclass(frozen=True)
class SafetyConfig(Config):
    """Guards; the policy's specification can only be tightened."""

    torque_scale: float = config_field(1.0, 'usable share of the torque limit', 0, 1)
    torque_rate: float = config_field(1000.0, 'largest rate of change of a torque [N·m/s]', 1, 1e6)
    velocity_scale: float = config_field(1.0, 'usable share of the velocity limit', 0.01, 1)
    velocity_limits: str = config_field(
        '', 'velocity limits below those of the policy, or of joints without one, as in '
        'joint1=2.0,joint*=3.0 [rad/s]',
    )  # fmt: skip
    velocity_fault: float = config_field(
        1.5,
        'speed that is a fault, as a multiple of the scaled velocity limit; at most 1.5 '
        'times that of the specification',
        1,
        10,
    )
    position_margin: float = config_field(
        0.05, 'distance from a joint limit within which no outward velocity is allowed [rad]', 0, 1
    )
    position_braking: float = config_field(
        5.0,
        'allowed speed towards a joint limit per distance from position_margin [1/s]',
        0.1,
        100,
    )
    velocity_band: float = config_field(
        0.2, 'share of the velocity limit over which the torque falls to zero', 0.01, 1
    )
    damping: float = config_field(
        0.02,
        'damping of the fallback, as a share of the torque limit per rad/s; 0 for none',
        0,
        10,
    )


class FilterResult(NamedTuple):
    """What the filter made of one torque.

    `guards` names the guards that changed it, `fault` is why commanding must stop ('' if it may
    go on). With a fault, `torque` is the fallback.
    """

    torque: Vector  # (n,) [N·m]
    guards: tuple[str, ...] = ()
    fault: str = ''


def fallback_torque(
    velocity: Vector | None,
    torque_limit: Vector,
    damping: float,
    gravity_compensated: bool,
) -> Vector:
    """Return the torque that is published instead of a policy's; always finite, within limits.

    Zero where the robot holds its own weight: it then floats. Otherwise -d * velocity with
    d = damping * torque_limit [N·m·s/rad], so that the arm sinks slowly instead of falling. An
    unknown velocity (None or not finite) damps nothing: a torque that opposes a motion which
    has ended pushes.

    Args:
        velocity: (n,) [rad/s], or None when the state is too old to be trusted.
        torque_limit: (n,) [N·m].
        damping: share of the torque limit per rad/s.
        gravity_compensated: the robot adds its own gravity torque.
    """
    if gravity_compensated or velocity is None:
        return np.zeros_like(torque_limit)
    known = np.where(np.isfinite(velocity), velocity, 0.0)
    return np.clip(-damping * torque_limit * known, -torque_limit, torque_limit)


class SafetyFilter:
    """Guards one robot's torque; it remembers the last torque for the rate guard."""

    # A longer silence does not buy a larger step.
    MAX_STEP_TIME = 0.02  # [s]

    def __init__(self, spec: PolicySpec, config: SafetyConfig) -> None:
        self.config = config
        self.joint_names = spec.joint_names
        self.gravity_compensated = spec.gravity_compensated
        self.torque_limit = config.torque_scale * np.array(spec.torque_limit)  # (n,) [N·m]
        given = parse_limit_overrides(
            config.velocity_limits, spec.joint_names, 'safety.velocity_limits'
        )
        limits = zip(spec.joint_names, spec.velocity_limit, strict=True)
        lowest = [min(limit, given.get(name, limit)) for name, limit in limits]
        self.velocity_limit = config.velocity_scale * np.array(lowest)  # (n,) [rad/s]
        lower, upper = np.array(spec.position_lower), np.array(spec.position_upper)
        margin = np.minimum(config.position_margin, 0.25 * (upper - lower))
        self._inner_lower, self._inner_upper = lower + margin, upper - margin
        self._lower, self._upper = lower, upper
        self.endless = np.isinf(upper - lower)  # (n,) joints without position limits
        self.fault_speed = np.minimum(  # (n,) [rad/s]
            config.velocity_fault * self.velocity_limit,
            MAX_VELOCITY_FACTOR * np.array(spec.velocity_limit),
        )
        speed = np.where(np.isfinite(self.velocity_limit), self.velocity_limit, math.pi)
        self._gain = self.torque_limit / (config.velocity_band * speed)  # (n,) [N·m·s/rad]
        self._last: Vector = np.zeros(spec.n_action)

    @property
    def last(self) -> Vector:
        """The torque that was let through last, (n,) [N·m]."""
        return np.array(self._last)

    def restart(self, torque: Vector) -> None:
        """Take (n,) [N·m] as the torque that was let through last."""
        self._last = np.array(torque)

    def apply(self, torque: Vector, position: Vector, velocity: Vector, dt: float) -> FilterResult:
        """Return the torque that may be published, (n,) [N·m].

        Args:
            torque: what the policy wants, (n,) [N·m].
            position: measured now, (n,) [rad].
            velocity: measured now, (n,) [rad/s].
            dt: time since the last torque was published [s].
        """
        for name, values in (('position', position), ('velocity', velocity), ('torque', torque)):
            if not all_finite(values):
                return self._fault(f'{name} is not finite at {self._named(~np.isfinite(values))}')
        too_fast = np.abs(velocity) > self.fault_speed
        if too_fast.any():
            return self._fault(f'far over the velocity limit at {self._named(too_fast)}', velocity)
        wanted, safe = self.guarded_torque(torque, self._last, position, velocity, dt)
        if not all_finite(safe):
            return self._fault('guarded torque is not finite', velocity)
        self._last = safe
        if (safe == torque).all():
            return FilterResult(safe)
        return FilterResult(safe, self._guards(torque, wanted, safe, position, velocity))

    def guarded_torque(
        self, torque: Vector, last: Vector, position: Vector, velocity: Vector, dt: float
    ) -> tuple[Vector, Vector]:
        """Return the torque within its bounds, and the same limited in rate, both (..., n) [N·m].

        Where the torque before is not allowed any more, it is brought inside the bounds at once.

        Args:
            torque: what the policy wants, (..., n) [N·m].
            last: let through before, (..., n) [N·m].
            position: (..., n) [rad].
            velocity: (..., n) [rad/s].
            dt: time since then [s].
        """
        low, high = self.torque_bounds(position, velocity)
        wanted = clip(low, torque, high)
        step = self.config.torque_rate * min(max(dt, 0.0), self.MAX_STEP_TIME)
        kept = clip(np.minimum(low, 0.0), last, np.maximum(high, 0.0))
        return wanted, limit_rate(wanted, kept, step)

    def allowed_velocity(self, position: Vector) -> tuple[Vector, Vector]:
        """Return the lowest and highest allowed velocity (..., n) [rad/s] at positions (..., n).

        v_max = min(velocity limit, k (upper - margin - position)), never below zero.
        """
        k, limit = self.config.position_braking, self.velocity_limit
        low = -clip(0.0, k * (position - self._inner_lower), limit)
        return low, clip(0.0, k * (self._inner_upper - position), limit)

    def torque_bounds(self, position: Vector, velocity: Vector) -> tuple[Vector, Vector]:
        """Return the lowest and highest torque that may be published, both (..., n) [N·m].

        tau_max = clip(g (v_max - v), -limit, limit) with g = limit / (velocity_band * velocity
        limit): the full torque well below the allowed velocity, none at it, braking above it. No
        allowed velocity has the sign of the opposite direction, so a joint at rest is not braked.

        Args:
            position: (..., n) [rad].
            velocity: (..., n) [rad/s].
        """
        slowest, fastest = self.allowed_velocity(position)
        low = clip(-self.torque_limit, self._gain * (slowest - velocity), self.torque_limit)
        high = clip(-self.torque_limit, self._gain * (fastest - velocity), self.torque_limit)
        return low, high

    def fallback(self, velocity: Vector | None) -> Vector:
        """Return and remember the fallback torque, (n,) [N·m]; it is not rate-limited."""
        self._last = self.compute_fallback(velocity)
        return self._last

    def compute_fallback(self, velocity: Vector | None) -> Vector:
        """Return the fallback torque, (n,) [N·m], without remembering it."""
        return fallback_torque(
            velocity, self.torque_limit, self.config.damping, self.gravity_compensated
        )

    @property
    def unlimited(self) -> str:
        """Name the joints without a velocity limit, '' when all have one."""
        return self._named(~np.isfinite(self.velocity_limit))

    def outside_limits(self, position: Vector) -> str:
        """Name the joints outside their position limits, '' when all are inside."""
        outside = ~((position >= self._lower) & (position <= self._upper))
        return self._named(outside)

    def _guards(
        self, torque: Vector, wanted: Vector, safe: Vector, position: Vector, velocity: Vector
    ) -> tuple[str, ...]:
        """Name the guards that made `safe` of `torque`, by way of `wanted`."""
        clamped = clip(-self.torque_limit, torque, self.torque_limit)
        slowest, fastest = self.allowed_velocity(position)
        outward = np.where(torque > 0, fastest, -slowest)  # allowed speed that way
        limited = wanted != clamped
        at_limit = limited & (outward < self.velocity_limit)
        hits = {
            'torque': (clamped != torque).any(),
            'position': at_limit.any(),
            'velocity': (limited & ~at_limit).any(),
            'rate': (safe != wanted).any(),
        }
        return tuple(name for name, hit in hits.items() if hit)

    def _fault(self, why: str, velocity: Vector | None = None) -> FilterResult:
        return FilterResult(self.fallback(velocity), fault=why)

    def _named(self, where: NDArray[np.bool_]) -> str:
        return ', '.join(name for name, hit in zip(self.joint_names, where, strict=True) if hit)


def all_finite(values: Vector) -> bool:
    """Whether all of (n,) are finite; for a few joints faster than numpy's own."""
    return all(map(math.isfinite, values.tolist()))


def clip(low: Vector | float, value: Vector, high: Vector | float) -> Vector:
    """Clip (..., n) to [low, high]."""
    clipped: Vector = np.minimum(np.maximum(value, low), high)
    return clipped


def limit_rate(wanted: Vector, last: Vector, step: float) -> Vector:
    """Return `wanted`, but no further than `step` from `last`; both (..., n) [N·m]."""
    return clip(last - step, wanted, last + step)
