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

"""Assembles the joint states of a policy's joints from JointState messages of any publishers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from sac_ros.deploy.joint_motion import JointStateConfig, VelocityCheck, VelocityEstimator
from sac_ros.deploy.safety_filter import SafetyFilter, all_finite
from sac_ros.errors import SpecMismatch, StateError
from sac_ros.types import Vector

DRIFT = 0.002  # share by which clocks may differ: NTP slews by 500 ppm
WINDOW = 0.1  # [s] over which velocities are compared with positions
# The messages of a gripper on the same topic must not displace the arm's.
MANY_SOURCES = 64  # that are kept; publishers come and go


@dataclass(frozen=True)
class JointLimits:
    """What the reader needs to know of the robot."""

    names: tuple[str, ...]
    velocity: Vector  # (n,) [rad/s], may be infinite
    endless: NDArray[np.bool_]  # (n,) joints without position limits

    @classmethod
    def from_filter(cls, safety: SafetyFilter) -> JointLimits:
        """Return the limits of a safety filter, without its scale of velocities."""
        velocity = safety.velocity_limit / safety.config.velocity_scale
        return cls(safety.joint_names, velocity, safety.endless)


def series(message: JointState) -> tuple[str, ...]:
    """Return what tells apart the messages of one publisher: the joints that they name."""
    return tuple(message.name)


class StampClock:
    """The stamps of one source, compared with a steady clock."""

    def __init__(self, max_lag: float) -> None:
        """Start without a stamp; `max_lag` [s] is 0 for no limit."""
        self._max_lag = max_lag
        self._stamp = 0  # of the last message [ns]
        self._arrival = -math.inf
        self._lag = 0.0  # what stamps have lost since they last kept up [s]

    def update(self, stamp: int, now: float) -> float | None:
        """Return the time since the last new message [s], None if this one is not newer.

        A stamp of zero is none: the time is then that of arrival. A clock that jumps costs one
        message.

        Args:
            stamp: [ns].
            now: arrival, by a steady clock [s].

        Raises:
            StateError: the stamps have fallen behind the steady clock.
        """
        passed = now - self._arrival
        if stamp == 0:
            self._arrival = now
            return passed
        step, first = 1e-9 * (stamp - self._stamp), not self._stamp
        if step <= 0:
            if step < 0:  # a jump: the next message is compared with this one
                self._stamp, self._arrival, self._lag = stamp, now, 0.0
            return None
        self._stamp, self._arrival = stamp, now
        if first:
            return math.inf
        self._lag = max(0.0, self._lag + (1 - DRIFT) * passed - step)
        if self._max_lag and self._lag > self._max_lag:
            self._lag = 0.0
            raise StateError(
                f'stamps of joint states fall behind the steady clock by more than '
                f'{self._max_lag:g} s; for a simulated clock set joint_states.max_lag to 0.0'
            )
        return step


class _Source:
    """The messages of one publisher that name the same joints in the same order."""

    def __init__(
        self,
        names: Sequence[str],
        limits: JointLimits,
        config: JointStateConfig,
        max_lag: float,
        window: float,
    ) -> None:
        known = {name: index for index, name in enumerate(limits.names)}
        mine = [name for name in names if name in known]
        if len(set(mine)) != len(mine):
            raise SpecMismatch(
                f'policy expects joints {limits.names}, joint states have {tuple(names)}'
            )
        self.where = np.array([index for index, name in enumerate(names) if name in known], int)
        self.joints = np.array([known[name] for name in mine], int)
        self.complete = len(mine) == len(limits.names)
        if self.complete:  # in the policy's order
            self.where = self.where[np.argsort(self.joints)]
            self.joints = np.arange(len(mine))
        self.clock = StampClock(max_lag)
        endless = limits.endless[self.joints]
        self.check = VelocityCheck(
            config.velocity_tolerance * limits.velocity[self.joints], window, endless
        )
        self.estimator = VelocityEstimator(config.filter_time, window / 2, endless)


class JointStateReader:
    """Finds a policy's joints by name, in messages of any order and of several publishers.

    Messages without any of them are ignored. Messages with some of them are merged when all have
    come within one state period. Stamps are compared within one source: messages of one publisher
    that name the same joints.
    """

    def __init__(
        self,
        limits: JointLimits,
        config: JointStateConfig,
        period: float,
        timeout: float,
        ignore: Callable[[str], None],
    ) -> None:
        """Start without a state.

        Args:
            limits: of the policy's joints.
            config: how to read.
            period: expected time between two joint states [s].
            timeout: after which a publisher counts as gone [s].
            ignore: takes the reason why a message was not used.
        """
        self._limits, self._config, self._ignore = limits, config, ignore
        self._period, self._timeout = period, timeout
        self._max_lag = max(config.max_lag, timeout) if config.max_lag else 0.0
        self._window = max(WINDOW, 3 * period)
        n = len(limits.names)
        self._sources: dict[tuple[bytes, tuple[str, ...]], _Source] = {}
        self._position, self._velocity = np.zeros(n), np.zeros(n)
        self._arrival = np.full(n, -math.inf)  # of each joint [s]
        self._publisher: list[bytes] = [b''] * n  # of each joint
        self._waiting = np.ones(n, bool)  # joints that have not come since the last state

    def read(
        self, message: JointState, publisher: bytes, now: float
    ) -> tuple[Vector, Vector] | None:
        """Return positions (n,) [rad] and velocities (n,) [rad/s], None while there is no state.

        Effort is not read.

        Args:
            message: of any publisher.
            publisher: that sent it.
            now: arrival, by a steady clock [s].

        Raises:
            SpecMismatch: a joint is named twice, or an array has another length.
            StateError: a number is not finite, velocities do not match positions, stamps fall
                behind the steady clock, or two publishers send the same joint.
        """
        source = self._source(publisher, series(message))
        if not source.joints.size:
            self._ignore('joint states of other joints')
            return None
        self._check_lengths(message)
        stamp = message.header.stamp
        dt = source.clock.update(stamp.sec * 10**9 + stamp.nanosec, now)
        if dt is None:
            self._ignore('joint states whose stamp is not new')
            return None
        self._check_publisher(source, publisher, now)
        position = np.array(message.position)[source.where]
        self._check_finite('position', position, source)
        if self._config.differentiate:
            velocity = source.estimator.update(position, dt)
            if velocity is None:
                self._ignore('joint states before a velocity is known')
                return None
        else:
            velocity = np.array(message.velocity)[source.where]
            self._check_finite('velocity', velocity, source)
            wrong = source.check.update(position, velocity, dt)
            if wrong.any():
                joints = self._named(source.joints[wrong])
                raise StateError(f'velocity does not match the change of position: {joints}')
        self._arrival[source.joints] = now
        if source.complete:
            self._waiting[:] = True
            return position, velocity
        return self._merge(source, position, velocity, now)

    def _merge(
        self, source: _Source, position: Vector, velocity: Vector, now: float
    ) -> tuple[Vector, Vector] | None:
        self._position[source.joints], self._velocity[source.joints] = position, velocity
        self._waiting[source.joints] = False
        missing = self._waiting | (now - self._arrival > self._period)
        if missing.any():
            self._ignore(f'partial joint states, without {self._named(np.flatnonzero(missing))}')
            return None
        self._waiting[:] = True
        return self._position.copy(), self._velocity.copy()

    def _source(self, publisher: bytes, names: tuple[str, ...]) -> _Source:
        source = self._sources.get((publisher, names))
        if source is None:
            source = _Source(names, self._limits, self._config, self._max_lag, self._window)
            if len(self._sources) >= MANY_SOURCES:
                self._sources.clear()
            self._sources[publisher, names] = source
        return source

    def _check_lengths(self, message: JointState) -> None:
        n, velocities = len(message.name), len(message.velocity)
        if len(message.position) != n:
            raise SpecMismatch(
                f'joint states have {len(message.position)} values of position for {n} joints'
            )
        if velocities != n and not self._config.differentiate:
            raise SpecMismatch(
                f'joint states have {velocities} values of velocity for {n} joints; to take '
                'velocities from positions, set joint_states.differentiate to true'
            )

    def _check_publisher(self, source: _Source, publisher: bytes, now: float) -> None:
        for joint in source.joints.tolist():
            if self._publisher[joint] != publisher:
                if now - self._arrival[joint] < self._timeout:
                    name = self._limits.names[joint]
                    raise StateError(f'two publishers send the joint state of {name}')
                self._publisher[joint] = publisher

    def _check_finite(self, name: str, values: Vector, source: _Source) -> None:
        if not all_finite(values):
            joints = self._named(source.joints[~np.isfinite(values)])
            hint = '' if name == 'position' else '; if it never is, set joint_states.differentiate'
            raise StateError(f'{name} is not finite: {joints}{hint}')

    def _named(self, joints: NDArray[np.int64]) -> str:
        return ', '.join(self._limits.names[joint] for joint in joints)
