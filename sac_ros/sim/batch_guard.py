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

"""The safety filter for many arms of one robot at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sac_ros.deploy.safety_filter import SafetyConfig, SafetyFilter, clip
from sac_ros.spec import PolicySpec
from sac_ros.types import Vector

Matrix = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.intp] | slice


class BatchFilterResult(NamedTuple):
    """Torques that may be published, and which arms were guarded; with a fault the fallback."""

    torque: Matrix  # (k, n) [N·m]
    guarded: Flags  # (k,) a guard changed the torque
    limited: Flags  # (k,) a guard other than the rate guard changed it
    fault: Flags  # (k,) commanding must stop


class BatchSafetyFilter:
    """`SafetyFilter` for N arms: row i is what a filter of arm i alone returns."""

    def __init__(self, spec: PolicySpec, config: SafetyConfig, n_arms: int) -> None:
        """Start with no torque let through.

        Args:
            spec: of the robot.
            config: of the filter.
            n_arms: number of arms N.
        """
        self._filter = SafetyFilter(spec, config)
        self._last: Matrix = np.zeros((n_arms, spec.n_action))

    def restart(self, arm: int, torque: Vector) -> None:
        """Take (n,) [N·m] as the torque of one arm that was let through last."""
        self._last[arm] = torque

    def apply(
        self, arms: Rows, torque: Matrix, position: Matrix, velocity: Matrix, dt: float
    ) -> BatchFilterResult:
        """Return the torques of arms (k,) that may be published.

        Args:
            arms: numbers of the arms (k,), or a slice.
            torque: what the policy wants, (k, n) [N·m].
            position: measured, (k, n) [rad].
            velocity: measured, (k, n) [rad/s].
            dt: time since the last torque [s].
        """
        single = self._filter
        finite: Flags = np.isfinite(torque + position + velocity)
        unknown = np.logical_not(finite.all(axis=1))
        fast = (np.abs(velocity) > single.fault_speed).any(1)
        fault = np.asarray(unknown | fast, bool)
        wanted, safe = single.guarded_torque(torque, self._last[arms], position, velocity, dt)
        for i in np.flatnonzero(fault):
            safe[i] = single.compute_fallback(None if unknown[i] else velocity[i])
        self._last[arms] = safe
        guarded = ~fault & (safe != torque).any(1)
        clamped = clip(-single.torque_limit, torque, single.torque_limit)
        limited = guarded & ((clamped != torque) | (wanted != clamped)).any(1)
        return BatchFilterResult(safe, guarded, limited, fault)
