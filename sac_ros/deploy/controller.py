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

"""From joint state to torque: policy, guards and state machine together, without ROS.

Two rates: the policy is asked once per control period, and its torque goes through the guards
anew with every joint state, because robots stop when commands come slower than about 20 ms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from sac_ros.deploy.onnx_policy import OnnxPolicy
from sac_ros.deploy.safety_filter import SafetyConfig, SafetyFilter, all_finite
from sac_ros.deploy.supervisor import State, Supervisor
from sac_ros.errors import PolicyError, SpecMismatch
from sac_ros.types import Vector

GOAL_SIZES = {'goal': 3, 'goal_orientation': 4}  # observation fields that a goal fills


class Controller:
    """Turns joint states into torques that may be published. Time is a steady clock's [s]."""

    def __init__(self, policy: OnnxPolicy, safety: SafetyConfig, supervisor: Supervisor) -> None:
        """Take a policy that has been checked, and a state machine, which may hold a latch.

        Raises:
            PolicyError: the policy asks for an observation that a robot does not give.
        """
        self._check_observation(policy)
        self.supervisor = supervisor
        supervisor.on_configured()
        self.goal: Mapping[str, Vector] = {}  # as `set_goal` took it; empty before the first
        self._safety = safety
        self._torque: Vector  # what the policy asked for last, (n,) [N·m]
        self._executed: list[Vector]  # what was let through since then
        self._next_tick: float
        n = policy.spec.n_action
        self.policy, self.spec = policy, policy.spec
        self.filter = SafetyFilter(self.spec, self._safety)
        self._limit = np.array(self.spec.torque_limit)
        self._offset = np.array(self.spec.torque_offset)
        self._slices = self.spec.slices()
        self._observation = np.zeros(self.spec.n_observation)
        self._position = np.zeros(n)
        self._velocity: Vector | None = None  # None while no state can be trusted
        self._last_command = self._last_state = -math.inf
        self._interval = 0.0  # between the last two joint states [s]
        self._forget()

    def swap(self, now: float, policy: OnnxPolicy) -> None:
        """Take another policy for the same robot and task, between two ticks; it is ramped up.

        Raises:
            SpecMismatch: it is for another robot or task; the one in use stays.
        """
        policy.spec.require_equal(self.spec, f'policy {policy.path}', 'the running policy')
        self.policy = policy
        self.supervisor.restart_ramp(now)

    def set_goal(self, goal: Mapping[str, Vector]) -> None:
        """Take a goal: a point, or a pose for a policy that observes an orientation.

        Args:
            goal: in the base frame, by observation field: `goal` (3,) [m] and for a pose
                `goal_orientation` (4,), a unit quaternion x, y, z, w.

        Raises:
            SpecMismatch: the policy takes another kind of goal; the one in use stays.
        """
        given, wanted = _kind(goal), _kind(self._slices)
        if given != wanted:
            raise SpecMismatch(
                f'goal refused: it is {given}, policy {self.policy.path} takes {wanted}'
            )
        self.goal = goal

    @property
    def state_interval(self) -> float:
        """Time between the last two joint states [s], infinite after the first."""
        return self._interval

    @property
    def commanded_torque(self) -> Vector:
        """Torque (n,) [N·m] that the policy asked for last, before ramp and guards."""
        return self._torque

    @property
    def missing_goal_reason(self) -> str:
        """Say that the policy observes a goal and none has come yet; else ''."""
        wanted = _kind(self._slices)
        if self.goal or wanted == 'none':
            return ''
        return f'no goal has come yet; the policy takes {wanted}'

    def enable(self, now: float, obstacle: str = '') -> str:
        """Start to move; return '' or what stands against it."""
        refusal = self.supervisor.enable(now, self._enable_blocker() or obstacle)
        if not refusal and self._next_tick == -math.inf:
            self._next_tick = now
        return refusal

    def step(self, now: float, position: Vector, velocity: Vector) -> Vector:
        """Take a joint state, (n,) [rad] and (n,) [rad/s], and return the torque to publish."""
        self._interval, self._last_state = now - self._last_state, now
        if all_finite(position) and all_finite(velocity):
            self._position, self._velocity = position, velocity
            self.supervisor.on_valid_state(now)
        else:
            self.reject_state('a joint state is not finite')
        return self._command(now)

    def warm_up(self) -> bool:
        """Ask the policy for nothing, if it is due within two joint states; return whether.

        Call this once the torque is published. A network that was last used a control period ago
        has left the processor's caches, and takes twice as long (benchmarks/policy_latency.py).
        """
        soon = 0 < self._next_tick - self._last_state < 2.5 * self._interval
        if soon:
            self.policy(self._observation)
        return soon

    def reject_state(self, why: str, kind: str = '') -> None:
        """Note that a joint state came which cannot be used; see `Supervisor.on_invalid_state`."""
        self._velocity = None
        self.supervisor.on_invalid_state(why, kind)

    def check(self, now: float) -> Vector | None:
        """Watch for silence.

        Returns:
            The torque to publish when joint states are late, None when `step` takes care of it.
        """
        self.supervisor.check(now)
        if not self.supervisor.is_stale(now):
            return None
        if not self.supervisor.moving:
            self._velocity = None
        return self._command(now)

    def restart_ramp(self, now: float, why: str) -> Vector:
        """Begin to move anew, without a torque; return the torque to publish."""
        self.supervisor.restart_ramp(now, why)
        return self.filter.fallback(self._velocity)

    def stop(self, now: float) -> Vector:
        """Return the fallback to publish at once when the state machine has stopped the motion."""
        if self.supervisor.is_stale(now):
            self._velocity = None
        return self._command(now)

    def shutdown_torque(self) -> Vector:
        """Return the torque to leave behind; nothing moves any more."""
        self.supervisor.disable()
        self._forget()
        return self.filter.fallback(self._velocity)

    def report(self) -> tuple[str, str, dict[str, object]]:
        """Return a level (ok, warn, error), a line and figures for people to read."""
        supervisor = self.supervisor
        level = {State.DEGRADED: 'warn', State.FAULT: 'error', State.ESTOP: 'error'}
        why = supervisor.reason
        if supervisor.state is State.READY and self.missing_goal_reason:
            why = self.missing_goal_reason
        values = {
            'policy': self.policy.path,
            'policy SHA-256': self.policy.sha256,
            'parity': self.policy.parity,
            'golden': self.policy.golden,
            **dict(sorted(supervisor.counts.items())),
        }
        line = f'{supervisor.state.name}: {why}' if why else supervisor.state.name
        return level.get(supervisor.state, 'ok'), line, values

    def _command(self, now: float) -> Vector:
        dt, self._last_command = now - self._last_command, now
        if not self.supervisor.moving or self._velocity is None:
            self._forget()
            return self.filter.fallback(self._velocity)
        if now >= self._next_tick and not self.supervisor.is_stale(now):
            self._tick(now)
        share = self.supervisor.policy_weight(now)
        wanted = self._torque
        if share < 1:
            wanted = share * wanted + (1 - share) * self.filter.compute_fallback(self._velocity)
        guarded = self.filter.apply(wanted, self._position, self._velocity, dt)
        for guard in guarded.guards:
            self.supervisor.counts[f'guard {guard}'] += 1
        if guarded.fault:
            self.supervisor.fault(guarded.fault)
        self._executed.append(guarded.torque)
        return guarded.torque

    def _tick(self, now: float) -> None:
        """Ask the policy; a period that was missed is not made up for."""
        period = self.spec.control_period
        self.supervisor.counts['policy ticks'] += 1
        if now >= self._next_tick + period:
            self.supervisor.counts['missed ticks'] += 1
            self._next_tick = now
        self._next_tick += period
        executed = np.mean(self._executed, axis=0) if self._executed else self._offset
        self._executed = []
        parts = {
            'joint_position': self._position,
            'joint_velocity': self._velocity,
            'previous_action': (executed - self._offset) / self._limit,
            **self.goal,
        }
        for name, where in self._slices.items():
            self._observation[where] = parts[name]
        self._torque = self.policy(self._observation)

    def _check_observation(self, policy: OnnxPolicy) -> None:
        n = policy.spec.n_action
        sizes = {'joint_position': n, 'joint_velocity': n, 'previous_action': n, **GOAL_SIZES}
        for field in policy.spec.observation:
            if sizes.get(field.name) != field.size:
                known = ', '.join(f'{name}[{size}]' for name, size in sizes.items())
                raise PolicyError(
                    f'{policy.path} observes {field.name}[{field.size}]; a robot gives {known}'
                )

    def _enable_blocker(self) -> str:
        if self.missing_goal_reason:
            return self.missing_goal_reason
        if self.filter.unlimited:
            return (
                f'no velocity limit is known of {self.filter.unlimited}; '
                'set safety.velocity_limits, as joint1=2.0,joint*=3.0'
            )
        if self._velocity is None:
            return ''  # the state machine says so itself
        outside = self.filter.outside_limits(self._position)
        if outside:
            return f'outside the position limits: {outside}'
        fastest = float(np.abs(self._velocity).max())
        allowed = self.supervisor.config.enable_speed
        return f'moving at {fastest:.2f} rad/s, over {allowed:g}' if fastest > allowed else ''

    def _forget(self) -> None:
        """Start the policy's memory afresh: its next previous action is zero."""
        self._torque, self._executed = np.array(self._offset), []
        self._next_tick = -math.inf


def _kind(fields: Iterable[str]) -> str:
    """Say what kind of goal these observation fields make."""
    if 'goal_orientation' in fields:
        return 'a pose on ~/goal_pose'
    return 'a point on ~/goal' if 'goal' in fields else 'none'
