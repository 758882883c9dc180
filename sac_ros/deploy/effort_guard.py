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

"""The last check of a torque, in a process of its own between policy_node and the controller.

Without ROS, torch, MuJoCo or ONNX Runtime. Time is a steady clock's [s], the same in both
processes of one machine, so a command's age shows a process that was stopped or killed, and a
message that was on its way meanwhile.

Torques pass only after a command that asked for the fallback: nothing that this guard stopped
goes on unasked.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sac_ros.deploy.joint_motion import JointStateConfig
from sac_ros.deploy.safety_filter import SafetyConfig, SafetyFilter
from sac_ros.errors import ConfigError, SpecMismatch
from sac_ros.spec import PolicySpec
from sac_ros.types import Vector

NO_COMMAND = 'no command has come yet'


@dataclass(frozen=True)
class GuardedRobot:
    """What the guard must know of a robot; policy_node sends it as JSON."""

    spec: PolicySpec
    safety: SafetyConfig
    order: tuple[int, ...]  # joint of the specification for each element of the command
    command_timeout: float  # [s] age at which a command is late
    state_timeout: float  # [s] age at which a joint state is late
    stall_timeout: float  # [s] without commands after which torques pass only when enabled again
    session: int  # a number of the process that commands, in its commands and in heartbeats
    state_period: float  # [s] expected time between two joint states
    joint_states: JointStateConfig = dataclasses.field(default_factory=JointStateConfig)

    def __post_init__(self) -> None:
        if sorted(self.order) != list(range(self.spec.n_action)):
            raise ConfigError(f'order {self.order} is none of {self.spec.n_action} joints')
        if type(self.session) is not int or not 0 <= self.session < 2**53:
            raise ConfigError(f'session is {self.session!r}; it must be an integer below 2^53')
        for name in ('command_timeout', 'state_timeout', 'stall_timeout', 'state_period'):
            value = getattr(self, name)
            if not (isinstance(value, float) and 0 < value < math.inf):
                raise ConfigError(f'{name} is {value!r}; it must be a positive number [s]')

    def to_json(self) -> str:
        """Return it as JSON."""
        values = dataclasses.asdict(self)
        return json.dumps(values | {'spec': json.loads(self.spec.to_json())})

    @classmethod
    def from_json(cls, text: str) -> GuardedRobot:
        """Read what `to_json` wrote.

        Raises:
            SpecMismatch: the text is no description of a robot.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            values['spec'] = PolicySpec.from_json(json.dumps(values['spec']))
            values['safety'] = SafetyConfig(**values['safety'])
            values['joint_states'] = JointStateConfig(**values['joint_states'])
            values['order'] = tuple(values['order'])
            return cls(**values)
        except (ValueError, TypeError, KeyError, AttributeError, ConfigError) as error:
            raise SpecMismatch(f'not a robot to guard: {error}') from error


class EffortGuard:
    """Checks every torque again, and gives the fallback when commands are late.

    `blocked` says why no torque passes, '' while they do. `counts` says how often each thing has
    happened.
    """

    def __init__(self, robot: GuardedRobot) -> None:
        self.robot = robot
        self.blocked = NO_COMMAND
        self.counts: collections.Counter[str] = collections.Counter()
        self.filter = SafetyFilter(robot.spec, robot.safety)
        self._position = self._velocity = np.zeros(robot.spec.n_action)
        self._state_time = self._stamp = self._last = -math.inf
        self._moving = False  # whether the last command was a torque

    def take_state(self, now: float, position: Vector, velocity: Vector) -> None:
        """Take a joint state, (n,) [rad] and (n,) [rad/s]."""
        self._position, self._velocity, self._state_time = position, velocity, now

    def ignore_state(self, reason: str) -> None:
        """Note that a joint state was not used."""
        self.counts[reason] += 1

    def reject_state(self, reason: str) -> None:
        """Note that a joint state came which cannot be used."""
        self._state_time = -math.inf
        self._block(reason)

    def command(self, now: float, stamp: float, torque: Vector | None) -> Vector | None:
        """Return what to publish for a command, (n,) [N·m]; None for one that is late.

        Args:
            now: time of arrival [s].
            stamp: when the sender was last known to be awake [s], by the same clock.
            torque: (n,) [N·m], None to ask for the fallback.
        """
        if stamp <= self._stamp or not self.is_timely(now, stamp):
            self.counts['late commands'] += 1
            return None
        self._stamp, self._moving = stamp, torque is not None
        dt, self._last = now - self._last, now
        late = f'no joint state for {1000 * self.robot.state_timeout:.0f} ms'
        fresh = self._state_is_fresh(now)
        if torque is None:
            self.blocked = '' if fresh else late
        elif torque.shape != self._position.shape:
            self._block(f'a command has {torque.size} values for {len(self._position)} joints')
        elif not fresh:
            self._block(late)
        if torque is None or self.blocked:
            return self.fallback(now)
        result = self.filter.apply(torque, self._position, self._velocity, dt)
        for name in result.guards:
            self.counts[f'guard {name}'] += 1
        if result.fault:
            self._block(result.fault)
        return result.torque

    def check(self, now: float) -> Vector | None:
        """Return the fallback, (n,) [N·m], while the last command is late, else None.

        Call this at least every few milliseconds.
        """
        age = now - self._stamp
        if age <= self.robot.command_timeout:
            return None
        if self._moving and age > self.robot.stall_timeout:
            self._block(f'no command for {1000 * self.robot.stall_timeout:.0f} ms')
        self._last = now
        return self.fallback(now)

    def is_timely(self, now: float, stamp: float) -> bool:
        """Whether a command of this stamp may still be published."""
        return 0 <= now - stamp <= self.robot.command_timeout

    def _state_is_fresh(self, now: float) -> bool:
        return now - self._state_time <= self.robot.state_timeout

    def _block(self, reason: str) -> None:
        if self._moving and not self.blocked:
            self.counts[reason] += 1
            self.blocked = reason

    def fallback(self, now: float) -> Vector:
        """Return the fallback, (n,) [N·m]; it damps while joint states are fresh."""
        return self.filter.fallback(self._velocity if self._state_is_fresh(now) else None)
