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

"""Baseline without learning: inverse kinematics, then computed-torque PD control in joint space.

It acts on the same observations, at the same control period and under the same guards as a policy,
and knows the nominal model alone.
"""

from __future__ import annotations

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.config.training import TrainConfig
from sac_ros.sim.arm import SimArm
from sac_ros.spec import PolicySpec
from sac_ros.types import Vector

STIFFNESS, DAMPING = 150.0, 20.0  # [1/s^2], [1/s] of the joint error
REFERENCE_GAIN = 6.0  # [1/s] speed of the reference per distance to its end
SPEED = 0.8  # share of the velocity limit that the reference uses
FREE_SPEED = math.pi  # [rad/s] for joints without a velocity limit
MARGIN = 0.06  # [rad] kept to position limits
RESTARTS, ITERATIONS = 20, 200  # of the inverse kinematics
IK_DAMPING = 0.05  # [m]
TOLERANCE = 1e-3  # [m], and [rad] / 10
ANGLE_WEIGHT = 0.1  # [m/rad] of the orientation's error


class IkBaseline:
    """Policy function of damped-least-squares inverse kinematics and computed-torque control.

    tau = M(q) (k_p (q_r - q) + k_d (qd_r - qd)) + D qd_r + g(q), where the reference q_r moves
    to the solution of the inverse kinematics with all joints in proportion, below the velocity
    limits, and g is zero where the robot compensates gravity itself.
    """

    def __init__(self, config: TrainConfig, spec: PolicySpec) -> None:
        """Compile the nominal model.

        Raises:
            SacRosError: the robot cannot be used.
        """
        self._arm, self._slices = SimArm(config.arm), spec.slices()
        self._period, self._n = spec.control_period, spec.n_action
        self._limit = np.array(spec.torque_limit)
        lower, upper = np.array(spec.position_lower), np.array(spec.position_upper)
        margin = np.minimum(MARGIN, 0.25 * (upper - lower))
        self._lower, self._upper = lower + margin, upper - margin
        speed = np.array(spec.velocity_limit)
        self._speed = SPEED * np.where(np.isfinite(speed), speed, FREE_SPEED)
        model, names = self._arm.model, self._arm.robot.joint_names
        self._dofs = np.array([int(model.joint(name).dofadr[0]) for name in names])
        self._joint_damping = model.dof_damping[self._dofs].reshape(self._n, -1)[:, 0]
        self._gravity_compensated = spec.gravity_compensated
        self.reset()

    def reset(self) -> None:
        """Forget goal and reference; call it before an episode."""
        self._rng = np.random.default_rng(0)
        self._goal: Vector | None = None
        self._reference: Vector | None = None

    def __call__(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the action (n,) in [-1, 1] for an observation."""
        parts = {name: observation[at].astype(float) for name, at in self._slices.items()}
        position, velocity = parts['joint_position'], parts['joint_velocity']
        goal = np.concatenate([parts['goal'], parts.get('goal_orientation', np.zeros(0))])
        if self._reference is None:
            self._reference = np.clip(position, self._lower, self._upper)
            self._rate = np.zeros(self._n)
            self._target = self._reference
        self._target_rate = np.zeros(self._n)
        if self._goal is None or not np.array_equal(goal, self._goal):
            target = self._solve(goal, first=self._goal is None)
            if self._goal is not None and 'goal_velocity' in parts:
                self._target_rate = (target - self._target) / self._period
            self._target, self._goal = target, goal
        self._advance()
        acceleration = STIFFNESS * (self._reference - position) + DAMPING * (self._rate - velocity)
        torque = self._inertia(position) @ acceleration + self._joint_damping * self._rate
        if not self._gravity_compensated:
            torque += self._arm.data.qfrc_bias[self._dofs]
        return np.asarray(np.clip(torque / self._limit, -1, 1), np.float32)

    def _advance(self) -> None:
        """Move the reference by one control period."""
        assert self._reference is not None
        rate = REFERENCE_GAIN * (self._target - self._reference) + self._target_rate
        rate /= max(1.0, float(np.max(np.abs(rate) / self._speed)))
        self._rate, self._reference = rate, self._reference + rate * self._period

    def _inertia(self, position: Vector) -> Vector:
        """Return the nominal mass matrix (n, n); bias forces at rest are in the data."""
        arm = self._arm
        arm.reset(position)
        full: Vector = np.zeros((arm.model.nv, arm.model.nv))
        mujoco.mj_fullM(arm.model, arm.data, full)
        return np.array(full[np.ix_(self._dofs, self._dofs)])

    def _solve(self, goal: Vector, first: bool) -> Vector:
        """Return joint positions for a goal, near the present target if possible.

        Restarts from random postures follow for the first goal of an episode, until a solution
        touches nothing.
        """
        best, least = self._target, math.inf
        for attempt in range(RESTARTS if first else 1):
            start = self._rng.uniform(*self._range()) if attempt else self._target
            found, error = self._descend(start, goal)
            self._arm.place(found)
            cost = max(error, TOLERANCE) + self._arm.touches()
            if cost < least:
                best, least = found, cost
            if cost <= TOLERANCE:
                break
        return best

    def _descend(self, position: Vector, goal: Vector) -> tuple[Vector, float]:
        """Return the joint positions that damped least squares end at, and their error [m]."""
        error = self._error(position, goal)
        for _ in range(ITERATIONS):
            if np.linalg.norm(error) < 0.1 * TOLERANCE:
                break
            jacobian = self._jacobian(len(error))
            square = jacobian @ jacobian.T + IK_DAMPING**2 * np.eye(len(error))
            step = jacobian.T @ np.linalg.solve(square, error)
            step /= max(1.0, float(np.abs(step).max()) / 0.2)
            position = np.clip(position + step, self._lower, self._upper)
            error = self._error(position, goal)
        return position, float(np.linalg.norm(error))

    def _error(self, position: Vector, goal: Vector) -> Vector:
        """Return the error (3,) or (6,) [m] at joint positions, which the arm is placed at."""
        self._arm.place(position)
        error = goal[:3] - self._arm.tip_position
        if len(goal) == 3:
            return error
        wanted, turn = np.zeros(9), np.zeros(3)
        mujoco.mju_quat2Mat(wanted, goal[[6, 3, 4, 5]])
        quaternion = np.zeros(4)
        difference = wanted.reshape(3, 3) @ self._arm.tip_rotation.T
        mujoco.mju_mat2Quat(quaternion, difference.ravel())
        mujoco.mju_quat2Vel(turn, quaternion, 1.0)
        return np.concatenate([error, ANGLE_WEIGHT * turn])

    def _jacobian(self, rows: int) -> Vector:
        """Return the Jacobian (3 or 6, n) of the error as the arm is placed."""
        arm = self._arm
        linear, angular = np.zeros((3, arm.model.nv)), np.zeros((3, arm.model.nv))
        mujoco.mj_comPos(arm.model, arm.data)
        mujoco.mj_jac(arm.model, arm.data, linear, angular, arm.tip_position, arm.tip_body)
        return np.concatenate([linear, ANGLE_WEIGHT * angular])[:rows, self._dofs]

    def _range(self) -> tuple[Vector, Vector]:
        """Return the positions (n,) between which restarts are drawn."""
        return np.maximum(self._lower, -math.pi), np.minimum(self._upper, math.pi)
