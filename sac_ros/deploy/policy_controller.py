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

"""Drive a robot with a policy from any program: joint state in, guarded torque out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sac_ros.deploy.controller import Controller
from sac_ros.deploy.onnx_policy import OnnxPolicy
from sac_ros.deploy.policy_check import load_checked
from sac_ros.deploy.policy_file import find_policy
from sac_ros.deploy.safety_filter import SafetyConfig
from sac_ros.deploy.supervisor import State, Supervisor, SupervisorConfig
from sac_ros.errors import SpecMismatch, StateError
from sac_ros.spec import PolicySpec
from sac_ros.types import Vector


class Command(NamedTuple):
    """The answer to one joint state."""

    torque: Vector  # (n,) [N·m], guarded; the fallback unless the policy is enabled
    state: State
    reason: str  # why the state is what it is, or why enabling was refused; '' otherwise


class PolicyController:
    """A policy with its guards and state machine, as in policy_node but without ROS.

    Call `step` with every joint state and send the torque that it returns; no other call is
    required and none has to come first. While `enabled` is false the torque is the fallback.

    Where the program itself may hang or crash, the robot needs a watchdog of its own: nothing
    here runs between two calls.
    """

    def __init__(
        self,
        policy: OnnxPolicy,
        *,
        joint_names: Sequence[str] = (),
        safety: SafetyConfig | None = None,
        supervision: SupervisorConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a policy that is loaded already.

        Args:
            policy: the policy.
            joint_names: order of the joints in states, torques and commands; that of the policy
                by default.
            safety: guards, the defaults if None.
            supervision: periods and timeouts, the defaults if None. `state_period` must be the
                time between two calls of `step`, 0.002 s by default.
            clock: steady time [s].

        Raises:
            SpecMismatch: `joint_names` are not the joints of the policy.
            PolicyError: the policy observes something that a robot does not give.
        """
        names = tuple(joint_names) or policy.spec.joint_names
        if sorted(names) != sorted(policy.spec.joint_names):
            raise SpecMismatch(
                f'policy {policy.path} has the joints {policy.spec.joint_names}, joint_names are '
                f'{names}'
            )
        self.joint_names = names
        self._clock = clock
        self._order = [names.index(name) for name in policy.spec.joint_names]
        self._supervisor = Supervisor(supervision or SupervisorConfig())
        self._controller = Controller(policy, safety or SafetyConfig(), self._supervisor)
        self._supervisor.on_activated()

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        joint_names: Sequence[str] = (),
        safety: SafetyConfig | None = None,
        supervision: SupervisorConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
        sha256: str = '',
        model_hash: str = '',
        max_torque: float = math.inf,
    ) -> PolicyController:
        """Check a policy file in a process of its own and load it.

        Args:
            path: an ONNX file, or the directory of a run.
            joint_names: as for `PolicyController`, with the next three.
            safety: guards.
            supervision: periods and timeouts.
            clock: steady time [s].
            sha256: the only file to accept; '' accepts any that passes the checks.
            model_hash: the only robot to accept; '' accepts any.
            max_torque: largest torque limit to accept [N·m].

        Raises:
            PolicyError: the file is not a policy that may be loaded.
            SpecMismatch: `joint_names` are not its joints.
        """
        return cls(
            load_checked(find_policy(Path(path)), sha256, model_hash, max_torque),
            joint_names=joint_names,
            safety=safety,
            supervision=supervision,
            clock=clock,
        )

    @property
    def spec(self) -> PolicySpec:
        """What the policy observes and commands."""
        return self._controller.spec

    @property
    def state(self) -> State:
        """State of the state machine: READY, RAMP, RUN, DEGRADED, FAULT or ESTOP."""
        return self._supervisor.state

    def step(
        self,
        position: ArrayLike,
        velocity: ArrayLike,
        *,
        goal: ArrayLike | None = None,
        enabled: bool = False,
        now: float | None = None,
    ) -> Command:
        """Take a joint state and return the torque to command at once.

        Args:
            position: (n,) [rad], joints in the order of `joint_names`.
            velocity: (n,) [rad/s].
            goal: a point (3,) [m] in the base frame, or for a policy that reaches poses a point
                and a unit quaternion x, y, z, w (7,); None keeps the last one.
            enabled: whether the policy may move the robot. It begins as soon as nothing stands
                against it, with a ramp; after a fault only when `reset` was called.
            now: steady time [s]; that of the clock if None.

        Raises:
            StateError: an array has the wrong size.
            SpecMismatch: the policy takes another kind of goal.
        """
        now = self._clock() if now is None else now
        position, velocity = self._read('position', position), self._read('velocity', velocity)
        if goal is not None:
            self._set_goal(np.asarray(goal, np.float64).ravel())
        torque = self._controller.step(now, position, velocity)
        refusal = ''
        if enabled:
            refusal = self._controller.enable(now)
        elif self._supervisor.moving:
            self._supervisor.disable()
            torque = self._controller.stop(now)
        ordered = np.empty_like(torque)
        ordered[self._order] = torque
        return Command(ordered, self.state, refusal or self._supervisor.reason)

    def estop(self) -> None:
        """Stop until `reset`: the next torque is the fallback."""
        self._supervisor.estop()

    def reset(self) -> None:
        """Leave FAULT or ESTOP; with `enabled` the next `step` may move the robot again."""
        self._supervisor.reset()

    def shutdown(self) -> Vector:
        """Return the torque (n,) [N·m] to leave behind when the program ends."""
        torque = self._controller.shutdown_torque()
        ordered = np.empty_like(torque)
        ordered[self._order] = torque
        return ordered

    def _read(self, quantity: str, values: ArrayLike) -> Vector:
        """Return values (n,) in the order of the policy's joints."""
        array = np.asarray(values, np.float64).ravel()
        if len(array) != len(self._order):
            raise StateError(
                f'{quantity} has {len(array)} values for {len(self._order)} joints '
                f'{self.joint_names}'
            )
        return array[self._order]

    def _set_goal(self, goal: Vector) -> None:
        parts = {'goal': goal[:3]} if len(goal) == 3 else {}
        if len(goal) == 7:
            parts = {'goal': goal[:3], 'goal_orientation': goal[3:]}
        if not parts or not np.isfinite(goal).all():
            raise SpecMismatch(
                f'goal refused: it has {len(goal)} values; give 3 finite ones for a point [m], 7 '
                f'for a pose with quaternion x, y, z, w'
            )
        self._controller.set_goal(parts)
