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

"""An arm that is worse than its description: late, noisy, heavier and weaker than it should be."""

from __future__ import annotations

import math
from collections import deque

import mujoco
import numpy as np

from sac_ros.config.robot import ArmConfig, RandomizationConfig
from sac_ros.robot.loader import Robot
from sac_ros.sim.arm import SimArm
from sac_ros.types import Vector

PAYLOAD_RADIUS = 0.03  # [m] of the ball that is the payload


def make_arm(
    config: ArmConfig, randomization: RandomizationConfig, robot: Robot | None = None
) -> SimArm:
    """Return the arm as described, or a worse one if any randomization is asked for."""
    return (
        RandomizedArm(config, randomization, robot)
        if randomization.enabled
        else SimArm(config, robot)
    )


class RandomizedArm(SimArm):
    """A simulated arm with delays, noise, lost commands and errors of its parameters.

    `randomise` draws another specimen. Each call of `step` sends one command.
    """

    def __init__(
        self, config: ArmConfig, randomization: RandomizationConfig, robot: Robot | None = None
    ) -> None:
        """Compile the robot; raises ModelError where its file cannot be used."""
        super().__init__(config, robot)
        self.randomization = randomization
        self._rng = np.random.default_rng(0)
        self._nominal = _Nominal(self.model)
        self._strength = np.ones(len(self._limit))
        self._latency = self._delay = 0.0  # [s]
        self._arrived: Vector = np.zeros(len(self._limit))  # [N·m]
        self._on_the_way: deque[tuple[float, Vector]] = deque()  # when [s], torque
        self._past: deque[tuple[float, Vector, Vector]] = deque(maxlen=10_000)
        self._remember()

    def randomise(self, rng: np.random.Generator) -> None:
        """Draw delays, strength, friction and payload of the specimen."""
        self._rng = np.random.default_rng(rng.integers(2**63))
        worse, period = self.randomization, self.config.control_period
        self._latency = float(self._rng.uniform(0, worse.action_latency)) * period
        self._delay = float(self._rng.uniform(0, worse.observation_delay)) * period
        self._strength = 1 + worse.torque_error * self._rng.uniform(-1, 1, len(self._limit))
        friction = 1 + worse.friction_error * self._rng.uniform(-1, 1, self.model.nv)
        self._nominal.restore(self.model)
        self.model.dof_damping[:] *= friction
        self.model.dof_frictionloss[:] *= friction
        _add_payload(self.model, self._tip, float(self._rng.uniform(0, worse.payload)))
        mujoco.mj_setConst(self.model, mujoco.MjData(self.model))

    @property
    def strength(self) -> Vector:
        """Torque constants (n,) as shares of the nominal ones."""
        return self._strength

    @property
    def latency_steps(self) -> int:
        """Delay of commands [time steps]."""
        return max(0, math.ceil(self._latency / self.timestep - 0.5))

    @property
    def delay_steps(self) -> int:
        """Delay of states [time steps]."""
        return max(0, math.ceil((self._delay - 1e-9) / self.timestep))

    def reset(self, position: Vector, velocity: Vector | None = None) -> None:
        """Put the joints (n,) there; commands and states on their way are forgotten."""
        super().reset(position, velocity)
        self._forget()

    def step(self, torque: Vector, n_steps: int = 1) -> None:
        """Send a torque (n,) [N·m], which arrives late or never, and simulate `n_steps`."""
        if self._rng.uniform() >= self.randomization.command_loss_probability:
            self._on_the_way.append((self.time + self._latency, np.array(torque)))
        for _ in range(n_steps):
            while self._on_the_way and self._on_the_way[0][0] <= self.time + self.timestep / 2:
                self._arrived = self._on_the_way.popleft()[1] * self._strength
            super().step(self._arrived)
            self._remember()

    def read_sensors(self) -> tuple[Vector, Vector]:
        """Return positions and velocities (n,) as they were a while ago, with noise."""
        while len(self._past) > 1 and self._past[1][0] <= self.time - self._delay + 1e-9:
            self._past.popleft()
        _, position, velocity = self._past[0]
        noise = self._rng.standard_normal((2, len(position)))
        return (
            position + self.randomization.position_noise * noise[0],
            velocity + self.randomization.velocity_noise * noise[1],
        )

    def _remember(self) -> None:
        self._past.append((self.time, self.position, self.velocity))

    def _forget(self) -> None:
        self._arrived = np.zeros(len(self._limit))
        self._on_the_way.clear()
        self._past.clear()
        self._remember()


class _Nominal:
    """The parameters of a model that specimens differ in."""

    NAMES = (
        'dof_damping', 'dof_frictionloss', 'body_mass', 'body_inertia', 'body_ipos', 'body_iquat',
        'body_gravcomp',
    )  # fmt: skip

    def __init__(self, model: mujoco.MjModel) -> None:
        self._values = {name: getattr(model, name).copy() for name in self.NAMES}

    def restore(self, model: mujoco.MjModel) -> None:
        for name, value in self._values.items():
            getattr(model, name)[:] = value


def _add_payload(model: mujoco.MjModel, body: int, mass: float) -> None:
    """Put a ball of that mass [kg] at a body's origin, which gravity compensation ignores."""
    if mass <= 0:
        return
    own, place = float(model.body_mass[body]), model.body_ipos[body].copy()
    total = own + mass
    centre = place * own / total
    model.body_inertia[body] += (
        0.4 * mass * PAYLOAD_RADIUS**2
        + own * np.dot(place - centre, place - centre)
        + mass * np.dot(centre, centre)
    )
    model.body_mass[body], model.body_ipos[body] = total, centre
    model.body_gravcomp[body] *= own / total
