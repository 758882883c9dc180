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

"""Intervals of a joint in which two links meet whatever the other joints do."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sac_ros.sim.arm import SimArm
from sac_ros.sim.contact_postures import TABLE, ContactPostures
from sac_ros.types import BarredInterval

LEAST_CONTACTS = 20  # postures with contact that an interval is found from
LEAST_SHARE = 0.6  # of the postures in an interval, in contact
MARGIN = 0.12  # [rad or m] on both sides
TURNS = 3  # of a joint, both ways, that are looked at


def barred_intervals(
    arm: SimArm, postures: ContactPostures
) -> dict[tuple[int, int], list[BarredInterval]]:
    """Return the intervals in which contact between two links depends on one joint, by links.

    The interval is the shortest that has all contacts of the two links, of a joint between them.
    It is barred where most postures in it are in contact; of several joints the surest counts.
    The wrist of a UR arm against its forearm is such a case, where spheres cannot tell.
    """
    chain = arm.robot.chain
    found: dict[tuple[int, int], list[BarredInterval]] = {}
    lower, upper = arm.robot.joint_ranges()
    turning = ~chain.prismatic & (chain.ratio == 1)  # one turn more is the same posture
    for (one, other), touching in postures.touching.items():
        if one == TABLE or touching.sum() < LEAST_CONTACTS:
            continue
        best = (LEAST_SHARE, -1, 0.0, 0.0)
        for number in range(one, other):  # of the joints between them
            joint = int(chain.joint[number])
            period = 2 * math.pi if turning[number] else math.inf
            value = postures.position[:, joint]
            start, width = _shortest(value[touching], period)
            offset = value - start if math.isinf(period) else (value - start) % period
            share = float(touching[offset <= width].mean())
            best = max(best, (share, number, start, width))
        _, number, start, width = best
        if number < 0:
            continue
        joint = int(chain.joint[number])
        intervals = found[one, other] = []
        for turn in range(-TURNS, TURNS + 1) if turning[number] else (0,):
            begin = start + 2 * math.pi * turn
            end = begin + width
            if begin < upper[joint] and end > lower[joint]:
                intervals.append(BarredInterval(joint, begin - MARGIN, end + MARGIN))
    return found


def _shortest(values: NDArray[np.float64], period: float) -> tuple[float, float]:
    """Return start and width of the shortest interval with all values, modulo a period."""
    if math.isinf(period):
        return float(values.min()), float(np.ptp(values))
    ordered = np.sort(values % period)
    gaps = np.diff(np.append(ordered, ordered[0] + period))
    widest = int(gaps.argmax())
    start = float(ordered[(widest + 1) % len(ordered)])
    return start, float(period - gaps[widest])
