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

"""Many simulated arms of one robot, stepped together by MuJoCo's thread pool."""

from __future__ import annotations

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from sac_ros.config.robot import ArmConfig, RandomizationConfig
from sac_ros.robot.mimic import place_mimics
from sac_ros.sim.domain_randomization import RandomizedArm, make_arm

Matrix = NDArray[np.float64]
Rows = NDArray[np.intp] | slice  # of arms; a slice where all move, which is faster


class BatchArm:
    """N arms; without randomization each moves bit for bit as a `SimArm` would alone.

    With randomization every arm is a specimen of its own (`RandomizedArm.randomise`): its model,
    the strength of its drives, the delays of its commands and states. Delays are whole time steps,
    as in `RandomizedArm`; noise and lost commands come from the generator given to `step` and
    `read_sensors`.
    """

    def __init__(
        self,
        config: ArmConfig,
        randomization: RandomizationConfig,
        n_arms: int,
        n_threads: int = 1,
    ) -> None:
        """Compile the robot once per specimen.

        Args:
            config: of the arm.
            randomization: of its specimens.
            n_arms: number of arms N.
            n_threads: threads that step them; the result is the same for any number.

        Raises:
            ModelError: the robot file cannot be used.
        """
        self.arm = make_arm(config, randomization)  # the first specimen
        self.robot = self.arm.robot
        self._specimens: list[RandomizedArm] = []
        if isinstance(self.arm, RandomizedArm):
            more = (RandomizedArm(config, randomization, self.robot) for _ in range(n_arms - 1))
            self._specimens = [self.arm, *more]
        model, names = self.arm.model, self.robot.joint_names
        self._timestep = config.timestep
        joints = [model.joint(name).id for name in names]
        self._position = _as_slice(model.jnt_qposadr[joints])
        self._velocity = _as_slice(model.jnt_dofadr[joints])
        self._limit = np.array(self.robot.torque_limit)
        self._batch = Batch(model, nsim=n_arms, nthread=n_threads, persistent=True)
        bind = self._batch.bind
        self._qpos, self._qvel, self._ctrl = bind('qpos'), bind('qvel'), bind('ctrl')
        self._contacts, site = bind('ncon'), self.arm.tip_site
        number = self.arm.tip_body if site < 0 else site
        self._tip = bind('xpos' if site < 0 else 'site_xpos')[:, number]
        self._rotation = bind('xmat' if site < 0 else 'site_xmat')[:, number]
        self._numbers = np.arange(n_arms)
        n, longest = len(names), self._longest_delay(randomization)
        self._commands = np.zeros((longest + 1, n_arms, n))  # [N·m] by time step, modulo
        self._states = np.zeros((longest + 1, 2, n_arms, n))
        self._latency = np.zeros(n_arms, np.intp)  # [time steps]
        self._delay = np.zeros(n_arms, np.intp)
        self._strength = np.ones((n_arms, n))
        self._now = np.zeros(n_arms, np.intp)  # time steps since the reset
        self._sent = np.zeros((n_arms, n))  # last command that was not lost
        self._reset_all(n_arms)

    @property
    def position(self) -> Matrix:
        """Joint positions (N, n) [rad]."""
        return np.array(self._qpos[:, self._position])

    @property
    def velocity(self) -> Matrix:
        """Joint velocities (N, n) [rad/s]."""
        return np.array(self._qvel[:, self._velocity])

    @property
    def tip_position(self) -> Matrix:
        """Tips (N, 3) in the base frame [m]."""
        return np.array(self._tip)

    @property
    def tip_rotation(self) -> Matrix:
        """Rotations (N, 3, 3) of the tips in the base frame."""
        return np.array(self._rotation).reshape(-1, 3, 3)

    @property
    def in_contact(self) -> NDArray[np.bool_]:
        """Whether each arm (N,) touches itself or the table, one time step ago."""
        return np.asarray(self._contacts).reshape(-1) > 0

    def randomise(self, arm: int, rng: np.random.Generator) -> None:
        """Turn one arm into another specimen of the robot."""
        if not self._specimens:
            return
        specimen = self._specimens[arm]
        specimen.randomise(rng)
        self._latency[arm] = specimen.latency_steps
        self._delay[arm] = specimen.delay_steps
        self._strength[arm] = specimen.strength
        self._batch.set_models([other.model for other in self._specimens])

    def reset(self, arm: int, position: Matrix, velocity: Matrix | None = None) -> None:
        """Put the joints (n,) of one arm there, at rest unless a velocity is given."""
        row = [arm]
        self._batch.reset(row, stage=mujoco.mjtStage.mjSTAGE_NONE)
        self._qpos[arm, self._position] = position
        place_mimics(self.arm.model, self._qpos[arm], self.robot.mimics)
        if velocity is not None:
            self._qvel[arm, self._velocity] = velocity
        self._batch.forward(row)
        self._now[arm], self._sent[arm] = 0, 0.0
        self._commands[:, arm] = 0.0
        self._states[:, 0, arm] = self._qpos[arm, self._position]
        self._states[:, 1, arm] = self._qvel[arm, self._velocity]

    def step(
        self, arms: Rows, torque: Matrix, n_steps: int, rng: np.random.Generator, last: bool
    ) -> None:
        """Apply torques, clipped at the limits, for `n_steps` time steps.

        Args:
            arms: numbers of the arms (k,) that move.
            torque: (k, n) [N·m].
            n_steps: number of time steps.
            rng: decides which commands are lost.
            last: bring the pose of the tip up to date as well.
        """
        if self._specimens:
            loss = self._specimens[0].randomization.command_loss_probability
            kept = rng.uniform(size=(len(torque), 1)) >= loss
            self._sent[arms] = np.where(kept, torque, self._sent[arms])
        else:
            self._sent[arms] = torque
        for i in range(n_steps):
            self._advance(arms, last and i == n_steps - 1)

    def read_sensors(self, arms: Rows, rng: np.random.Generator) -> tuple[Matrix, Matrix]:
        """Return positions (k, n) [rad] and velocities (k, n) [rad/s] as the sensors report."""
        if not self._specimens:
            return self._qpos[arms][:, self._position], self._qvel[arms][:, self._velocity]
        past = np.maximum(self._now[arms] - self._delay[arms], 0) % len(self._states)
        seen = self._states[past, :, self._numbers[arms]]  # (k, 2, n)
        noise = rng.standard_normal(seen.shape)
        worse = self._specimens[0].randomization
        return (
            seen[:, 0] + worse.position_noise * noise[:, 0],
            seen[:, 1] + worse.velocity_noise * noise[:, 1],
        )

    def _advance(self, arms: Rows, last: bool) -> None:
        stage = mujoco.mjtStage.mjSTAGE_POS if last else mujoco.mjtStage.mjSTAGE_NONE
        torque = self._sent[arms]
        if self._specimens:
            length, now = len(self._commands), self._now[arms]
            numbers = self._numbers[arms]
            self._commands[now % length, numbers] = torque
            arrived = self._commands[(now - self._latency[arms]) % length, numbers]
            before = (now < self._latency[arms])[:, None]
            torque = np.where(before, 0.0, arrived) * self._strength[arms]
        self._ctrl[arms] = np.clip(torque, -self._limit, self._limit)
        self._batch.step(None if isinstance(arms, slice) else arms, stage=stage)
        if self._specimens:
            self._now[arms] += 1
            at = self._now[arms] % len(self._states)
            self._states[at, 0, numbers] = self._qpos[arms][:, self._position]
            self._states[at, 1, numbers] = self._qvel[arms][:, self._velocity]

    def _longest_delay(self, randomization: RandomizationConfig) -> int:
        worse, period = randomization, self.arm.config.control_period
        longest = max(worse.action_latency, worse.observation_delay) * period
        return int(np.ceil(longest / self._timestep)) + 1

    def _reset_all(self, n_arms: int) -> None:
        for arm in range(n_arms):
            self.reset(arm, np.zeros(len(self._limit)))


def _as_slice(indices: NDArray[np.intp]) -> Rows:
    """Return indices that follow each other as a slice, which makes views instead of copies."""
    first, n = int(indices[0]), len(indices)
    return slice(first, first + n) if (indices == np.arange(first, first + n)).all() else indices
