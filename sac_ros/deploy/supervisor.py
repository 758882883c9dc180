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

"""Whether a policy may move the robot: the state machine of the policy node, without ROS.

Time is passed in: seconds of a steady clock. Nothing here enables itself, FAULT and ESTOP hold
until `reset`, and the worst that a late or lost message can do is to take torque away.
"""

from __future__ import annotations

import collections
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from sac_ros.config.base import Config, config_field


@enum.unique
class State(enum.Enum):
    """Where the policy node stands."""

    UNCONFIGURED = 'no policy is loaded'
    INACTIVE = 'a policy is loaded, nothing is commanded'
    READY = 'commands the fallback, may be enabled'
    RAMP = 'the share of the policy in the command is growing'
    RUN = 'commands the policy'
    DEGRADED = 'joint states are late, so the command decays'
    FAULT = 'something went wrong, commands the fallback until reset'
    ESTOP = 'stopped by request, commands the fallback until reset'


MOVING = (State.RAMP, State.RUN, State.DEGRADED)
LATCHED = (State.FAULT, State.ESTOP)
ACTIVE = (State.READY, *MOVING, *LATCHED)
RATE_SAMPLES, RATE_LEAST = 100, 10  # joint states over which their rate is measured
RATE_GAP = 2.5  # [s] a longer gap between two starts the measurement anew


@dataclass(frozen=True)
class SupervisorConfig(Config):
    """Conditions of enabling, and timeouts."""

    renamed: ClassVar[Mapping[str, str]] = {'hold_up': 'stall_timeout'}
    ramp_time: float = config_field(
        0.5, 'duration of the ramp from no torque to full torque on enabling [s]', 0, 60
    )
    healthy_time: float = config_field(
        1.0, 'duration of valid joint states that enabling requires [s]', 0, 60
    )
    enable_speed: float = config_field(
        0.5, 'largest joint speed at which enabling is allowed [rad/s]', 0.001, 100
    )
    state_period: float = config_field(
        0.002,
        'expected period of joint states [s]; the command decays after two periods without one',
        1e-4,
        1,
    )
    state_timeout: float = config_field(
        0.02, 'age of the last joint state that is a fault, at least three periods [s]', 0.001, 1
    )
    stall_timeout: float = config_field(
        0.1,
        'stall of the process that is a fault, at least the state timeout [s]',
        0.01,
        10,
    )


class Supervisor:
    """The state machine; `counts` says how often each thing has happened."""

    def __init__(self, config: SupervisorConfig) -> None:
        self.config = config
        self.state = State.UNCONFIGURED
        self.reason = ''  # why the state is what it is
        self.counts: collections.Counter[str] = collections.Counter()
        self._decay_after = 2 * config.state_period
        # Silence that is a fault [s].
        self.fault_after = max(config.state_timeout, 3 * config.state_period)
        self._last_state: float | None = None  # last good joint state
        self._healthy_since: float | None = None
        self._ramp_start = 0.0
        self._was_stale = False
        self._arrivals: collections.deque[float] = collections.deque(maxlen=RATE_SAMPLES)
        self._bad = self._ignored = ''  # why a joint state was refused, or not used, last
        self._stall_timeout = max(config.stall_timeout, self.fault_after)
        self._checked: float | None = None  # last sign of life of this program while active
        self._latch: tuple[State, str] | None = None  # what only `reset` takes away

    @property
    def moving(self) -> bool:
        """Whether the policy has a share in the command."""
        return self.state in MOVING

    def on_configured(self) -> None:
        """Say that a policy is loaded."""
        self._enter(State.INACTIVE, '')

    def unconfigured(self) -> None:
        """Say that the policy was let go."""
        self._enter(State.UNCONFIGURED, '')

    def on_activated(self) -> None:
        """Start commanding the fallback; health is judged anew, a latch still holds."""
        self._last_state = self._healthy_since = self._checked = None
        self._enter(*(self._latch or (State.READY, '')))

    def deactivated(self) -> None:
        """Stop commanding."""
        self._enter(State.INACTIVE, '')

    def on_valid_state(self, now: float) -> None:
        """Note that a joint state arrived in which nothing is wrong."""
        self._check_stall(now)
        age = self.state_age(now)
        if age > self.fault_after:
            self._healthy_since = now
        if age > RATE_GAP:
            self._arrivals.clear()
        self._arrivals.append(now)
        self._last_state, self._was_stale, self._ignored = now, False, ''
        if self.state is State.DEGRADED:
            self._enter(State.RUN if self._ramp(now) >= 1 else State.RAMP, '')
        if self.state is State.RAMP and self._ramp(now) >= 1:
            self._enter(State.RUN, '')

    def on_invalid_state(self, why: str, kind: str = '') -> None:
        """Note that a joint state arrived which cannot be used: a fault while moving.

        Args:
            why: the reason, for people.
            kind: under which it is counted, if that is not the reason itself.
        """
        self.counts[kind or why] += 1
        self._bad = why
        self._healthy_since = self._last_state = None
        if self.moving:
            self._stop(why)

    def ignored_state(self, why: str) -> None:
        """Note that a joint state was not used: silence, if no other comes."""
        self.counts[why] += 1
        self._ignored = why

    def check(self, now: float) -> None:
        """Watch for silence; call this at least every few milliseconds.

        Silence must show in two checks running before it counts: in between, joint states that
        were waiting while this process itself was held up have been handled.
        """
        self._check_stall(now)
        age, stale = self.state_age(now), self.is_stale(now)
        if self.moving and stale and self._was_stale:
            if age > self.fault_after:
                since = f' (since then: {self._ignored})' if self._ignored else ''
                self.fault(f'no joint state for {1000 * self.fault_after:.0f} ms{since}')
            elif self.state is not State.DEGRADED:
                self._enter(State.DEGRADED, '')
        self._was_stale = stale

    def is_stale(self, now: float) -> bool:
        """Whether joint states are late."""
        return self.state_age(now) > self._decay_after

    def policy_weight(self, now: float) -> float:
        """Return the policy's share in the command, from 0 to 1: ramp times decay."""
        if not self.moving:
            return 0.0
        late = (self.state_age(now) - self._decay_after) / (self.fault_after - self._decay_after)
        return self._ramp(now) * min(max(1.0 - late, 0.0), 1.0)

    def enable(self, now: float, obstacle: str) -> str:
        """Start to move unless something stands against it.

        Args:
            now: time [s].
            obstacle: what the caller knows to stand against it, '' if nothing.

        Returns:
            '' when enabled, else why not.
        """
        if self.moving:
            return ''
        refusal = self._refusal(now) or obstacle
        if not refusal:
            self._ramp_start = now
            self._enter(State.RAMP, '')
        return refusal

    def disable(self) -> None:
        """Go back to commanding the fallback."""
        if self.moving:
            self._enter(State.READY, 'disabled')

    def restart_ramp(self, now: float, why: str = 'policy changed') -> None:
        """Begin at no torque again, as after a change of policy."""
        if self.moving:
            self._ramp_start = now
            self._enter(State.RAMP, why)

    def fault(self, why: str) -> None:
        """Stop until reset."""
        self.counts[why] += 1
        self._stop(why)

    def _stop(self, why: str) -> None:
        if self.state in ACTIVE and self.state not in LATCHED:
            self._latch = State.FAULT, why
            self._enter(*self._latch)

    def estop(self) -> None:
        """Stop until reset, by a person's or program's wish; it holds over deactivation too."""
        self._latch = State.ESTOP, 'emergency stop asked for'
        if self.state in ACTIVE:
            self._enter(*self._latch)

    def reset(self) -> None:
        """Leave FAULT or ESTOP; enabling is asked for separately."""
        self._latch = None
        if self.state in LATCHED:
            self._enter(State.READY, 'reset')

    def _check_stall(self, now: float) -> None:
        """Watch for a long hold-up of this program, which is a fault of its own.

        The robot may have stopped by itself and must not start again unasked.
        """
        held_up = 0.0 if self._checked is None else now - self._checked
        self._checked = now
        if self.moving and held_up > self._stall_timeout:
            self.fault(f'this program was held up for more than {self._stall_timeout:g} s')

    def _refusal(self, now: float) -> str:
        if self.state is not State.READY:
            why = f' ({self.reason})' if self.reason else ''
            mend = '; call reset first' if self.state in LATCHED else ''
            return f'state is {self.state.name}{why}{mend}'
        interval = self._interval(now)
        if interval > self._decay_after:
            return (
                f'joint states come at {1 / interval:.0f} Hz, '
                f'set supervision.state_period to {interval:.2g}'
            )
        reason = self._ignored or self._bad
        if self._healthy_since is None or self.state_age(now) > self.fault_after:
            return 'no good joint state arrives' + (f': {reason}' if reason else '')
        healthy = now - self._healthy_since
        if healthy < self.config.healthy_time:
            return (
                f'joint states have been good for {healthy:.2f} s of the '
                f'{self.config.healthy_time:g} s asked for'
            ) + (f'; before: {self._bad}' if self._bad else '')
        return ''

    def _interval(self, now: float) -> float:
        """Return the mean time between good joint states [s], 0 where it is not known."""
        times = self._arrivals
        if len(times) < RATE_LEAST or now - times[-1] > RATE_GAP:
            return 0.0
        return (times[-1] - times[0]) / (len(times) - 1)

    def _ramp(self, now: float) -> float:
        if self.config.ramp_time == 0:
            return 1.0
        return min(max((now - self._ramp_start) / self.config.ramp_time, 0.0), 1.0)

    def state_age(self, now: float) -> float:
        """Return the time since the last good joint state [s], infinite if none has come."""
        return float('inf') if self._last_state is None else now - self._last_state

    def _enter(self, state: State, reason: str) -> None:
        self.state, self.reason = state, reason
        self.counts[state.name] += 1
