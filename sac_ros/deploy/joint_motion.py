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

"""Velocities from positions, and measured velocities checked against positions, without ROS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sac_ros.config.base import Config, config_field
from sac_ros.types import Vector

TURN = 2 * np.pi  # [rad]


@dataclass(frozen=True)
class JointStateConfig(Config):
    """Checks of joint states."""

    differentiate: bool = config_field(
        False, 'estimate velocities from positions, for drivers without valid velocities'
    )
    filter_time: float = config_field(
        0.01, 'time constant of the low-pass filter of estimated velocities [s]', 0, 1
    )
    velocity_tolerance: float = config_field(
        0.5,
        'difference between velocity and change of position over 0.1 s that is a fault, '
        'as a share of the velocity limit',
        0.01,
        100,
    )
    max_lag: float = config_field(
        0.1,
        'lag of stamps behind the steady clock that is a fault, at least the state '
        'timeout [s]; 0 for a simulated clock',
        0,
        10,
    )


class VelocityCheck:
    """Compares measured velocities with the change of positions.

    e <- (1 - dt/T) (e + q - q' - dt (v + v')/2) per joint, where ' marks the state before. For a
    constant difference d between the two velocities, e tends to T d.
    """

    def __init__(self, tolerance: Vector, window: float, endless: NDArray[np.bool_]) -> None:
        """Start without a state.

        Args:
            tolerance: (n,) allowed difference of the two velocities, held over the window [rad/s].
            window: T [s]; a longer gap than half of it between two states starts anew.
            endless: (n,) joints without position limits, whose positions may wrap at a full turn.
        """
        self._tolerance, self._window, self._endless = tolerance * window, window, endless
        self._last: tuple[Vector, Vector] | None = None
        self._error = np.zeros_like(tolerance)  # e [rad]

    def update(self, position: Vector, velocity: Vector, dt: float) -> NDArray[np.bool_]:
        """Return which joints are over the tolerance.

        Args:
            position: (n,) [rad].
            velocity: (n,) [rad/s].
            dt: time since the state before [s].
        """
        if self._last is None or not 0 <= dt <= self._window / 2:
            self._error[:] = 0.0
        else:
            moved = change(position, self._last[0], self._endless)
            self._error += moved - 0.5 * dt * (velocity + self._last[1])
            self._error *= 1 - dt / self._window
        self._last = position, velocity
        over: NDArray[np.bool_] = np.abs(self._error) > self._tolerance
        if over.any():
            self._last = None  # it starts anew, with the state that follows
        return over


class VelocityEstimator:
    """Differentiates positions and filters the result with a first-order low-pass."""

    def __init__(self, filter_time: float, longest: float, endless: NDArray[np.bool_]) -> None:
        """Start without a state.

        Args:
            filter_time: time constant of the low-pass [s].
            longest: gap between two states over which nothing is differentiated [s].
            endless: (n,) joints without position limits, whose positions may wrap at a full turn.
        """
        self._filter_time, self._longest, self._endless = filter_time, longest, endless
        self._position: Vector | None = None
        self._velocity: Vector | None = None

    def update(self, position: Vector, dt: float) -> Vector | None:
        """Return the velocity (n,) [rad/s], None for the first state and after a gap.

        Args:
            position: (n,) [rad].
            dt: time since the state before [s].
        """
        before, self._position = self._position, position
        if before is None or not 0 < dt <= self._longest:
            self._velocity = None
            return None
        moved = change(position, before, self._endless)
        if self._velocity is None:
            self._velocity = moved / dt
        else:
            share = dt / (self._filter_time + dt)
            self._velocity = self._velocity + share * (moved / dt - self._velocity)
        return self._velocity


def change(position: Vector, before: Vector, endless: NDArray[np.bool_]) -> Vector:
    """Return the change of positions (n,) [rad], the shortest way round for endless joints."""
    moved = position - before
    if endless.any():
        moved[endless] = (moved[endless] + np.pi) % TURN - np.pi
    return moved
