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

"""A robot's recorded history as transitions.

A recording holds joint states, commands and perhaps goals, each at its own rate. Time is cut into
control periods; the action of one is the mean torque that was in force during it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sac_ros.errors import ReplayError
from sac_ros.spec import PolicySpec
from sac_ros.types import Transition, Vector

Reward = Callable[[Vector, Vector, Vector], float]  # (observation, action, next) -> reward
STALE_STATE = 1.5  # control periods that a joint state stands for
STALE_COMMAND = 0.3  # [s] that a command stands for, or as long as a joint state if that is more


@dataclass
class Series:
    """Values (k, n) and the times (k,) [ns] from which they hold, strictly increasing."""

    times: list[int] = field(default_factory=list)
    values: list[Vector] = field(default_factory=list)

    def put(self, time: int, value: Any) -> None:
        """Add a value, in place of those that would hold from then or later."""
        self.cut(time)
        self.times.append(time)
        self.values.append(np.array(value, np.float64))

    def cut(self, time: int) -> None:
        """Remove the values that hold from a time or later."""
        first = bisect_left(self.times, time)
        del self.times[first:], self.values[first:]

    def at(self, time: int) -> Vector | None:
        """The latest value at or before a time."""
        i = bisect_right(self.times, time) - 1
        return self.values[i] if i >= 0 else None

    def age(self, time: int) -> float:
        """Seconds since the latest value, infinite before the first."""
        i = bisect_right(self.times, time) - 1
        return (time - self.times[i]) * 1e-9 if i >= 0 else math.inf

    def mean(self, start: int, stop: int) -> Vector:
        """Mean over [start, stop) of what holds each value until the next."""
        first = max(bisect_right(self.times, start) - 1, 0)
        last = bisect_left(self.times, stop)
        edges = np.array([start, *self.times[first + 1 : last], stop], np.float64)
        weights = np.diff(edges) / (stop - start)
        mean: Vector = weights @ np.array(self.values[first:last])
        return mean


@dataclass
class Recording:
    """What a bag says about one robot."""

    state: Series = field(default_factory=Series)  # (2n,) [rad] and [rad/s], joints as in the spec
    command: Series = field(default_factory=Series)  # (n,) [N·m]
    goal: Series = field(default_factory=Series)  # (3,) [m], or (7,) with a unit quaternion xyzw
    skipped: Counter[str] = field(default_factory=Counter)  # messages that could not be used


def fill_velocities(state: Series, n: int) -> None:
    """Where a driver reports no velocity, take the slope of the positions (k, n)."""
    if len(state.times) < 2 or np.isfinite(np.array(state.values)).all():
        return
    values, seconds = np.array(state.values), np.array(state.times) * 1e-9
    slope = np.gradient(values[:, :n], seconds - seconds[0], axis=0)
    values[:, n:] = np.where(np.isfinite(values[:, n:]), values[:, n:], slope)
    state.values = list(values)


def transitions(
    recording: Recording, spec: PolicySpec, reward: Reward
) -> list[tuple[int, Transition, bool]]:
    """Cut a recording into (stamp [ns], transition, truncated), one for each control period.

    An episode breaks off where a joint state or command is late, and where the goal changes.
    """
    state, command, goal = recording.state, recording.command, recording.goal
    if not (state.times and command.times):
        return []
    period = round(spec.control_period * 1e9)
    late = STALE_STATE * spec.control_period
    limit, offset = np.array(spec.torque_limit), np.array(spec.torque_offset)
    found: list[tuple[int, Transition, bool]] = []
    previous, going = np.zeros(spec.n_action), False
    start, end = max(state.times[0], command.times[0]), state.times[-1]
    for time in range(start, end - period + 1, period):
        after = time + period
        aim, new_aim = goal.at(time), goal.at(after)
        usable = max(state.age(time), state.age(after)) <= late
        usable &= command.age(time) <= max(late, STALE_COMMAND)
        if not usable or ('goal' in spec.slices() and aim is None):
            going = _break_off(found, going)
            continue
        if not going:
            previous = np.zeros(spec.n_action)
        action = np.clip((command.mean(time, after) - offset) / limit, -1, 1)
        before = _observe(spec, state.at(time), aim, previous)
        next_observation = _observe(spec, state.at(after), aim, action)
        step = Transition(
            before, action, reward(before, action, next_observation), False, next_observation
        )
        found.append((time, step, False))
        previous, going = action, True
        if aim is not None and (new_aim is None or (aim != new_aim).any()):
            going = _break_off(found, going)
    _break_off(found, going)
    return found


def _break_off(found: list[tuple[int, Transition, bool]], going: bool) -> bool:
    """Mark the last step as truncated if an episode was going on; none is afterwards."""
    if going:
        stamp, transition, _ = found[-1]
        found[-1] = (stamp, transition, True)
    return False


def _observe(
    spec: PolicySpec, state: Vector | None, goal: Vector | None, previous: Vector
) -> Vector:
    n, observation = spec.n_action, np.zeros(spec.n_observation)
    parts = {'previous_action': previous}
    if state is not None:
        parts |= {'joint_position': state[:n], 'joint_velocity': state[n:]}
    if goal is not None:
        parts |= {'goal': goal[:3], **({'goal_orientation': goal[3:]} if len(goal) > 3 else {})}
    for name, where in spec.slices().items():
        if name not in parts:
            raise ReplayError(
                f'a bag does not tell the observation {name!r}; it tells {", ".join(parts)}'
            )
        observation[where] = parts[name]
    return observation
