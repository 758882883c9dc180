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

"""An arm that takes torques: the simulated one."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.config.robot import ArmConfig
from sac_ros.robot.kinematics import tip_body
from sac_ros.robot.loader import Robot, robot_from_config
from sac_ros.robot.mimic import place_mimics
from sac_ros.sim.model import compile_model


class SimArm:
    """A torque-controlled arm in MuJoCo. Joints are in the order of `robot.joint_names`."""

    def __init__(
        self,
        config: ArmConfig,
        robot: Robot | None = None,
        model: mujoco.MjModel | None = None,
    ) -> None:
        """Compile the robot, which is read from the configuration's file unless it is given.

        Raises:
            ModelError: the robot file cannot be used.
        """
        self.config = config
        self.robot = robot or robot_from_config(config)
        self.model = model or compile_model(self.robot, config)
        self.data = mujoco.MjData(self.model)
        self.timestep = config.timestep
        joints = [self.model.joint(name).id for name in self.robot.joint_names]
        self._position = self.model.jnt_qposadr[joints]
        self._velocity = self.model.jnt_dofadr[joints]
        self._joints = joints
        self._limit = np.array(self.robot.torque_limit)
        self._tip, self._site = tip_body(self.model, self.robot.tip, self.robot.path)
        mujoco.mj_forward(self.model, self.data)

    def clone(self) -> SimArm:
        """Return an arm of the same compiled model in a state of its own."""
        return SimArm(self.config, self.robot, self.model)

    @property
    def time(self) -> float:
        """Simulated time [s]."""
        return float(self.data.time)

    @property
    def position(self) -> NDArray[np.float64]:
        """Joint positions (n,) [rad]."""
        return np.array(self.data.qpos[self._position])

    @property
    def velocity(self) -> NDArray[np.float64]:
        """Joint velocities (n,) [rad/s]."""
        return np.array(self.data.qvel[self._velocity])

    @property
    def applied_torque(self) -> NDArray[np.float64]:
        """Torques (n,) [N·m] that were last commanded, as clipped."""
        return np.array(self.data.ctrl)

    @property
    def tip_body(self) -> int:
        """Number of the body that carries the tip."""
        return self._tip

    @property
    def tip_site(self) -> int:
        """Number of the site that is the tip, -1 where it is the body itself."""
        return self._site

    @property
    def tip_position(self) -> NDArray[np.float64]:
        """Tip (3,) in the base frame [m]."""
        on_body = self._site < 0
        return np.array(self.data.xpos[self._tip] if on_body else self.data.site_xpos[self._site])

    @property
    def tip_rotation(self) -> NDArray[np.float64]:
        """Rotation (3, 3) of the tip in the base frame."""
        on_body = self._site < 0
        matrix = self.data.xmat[self._tip] if on_body else self.data.site_xmat[self._site]
        return np.array(matrix).reshape(3, 3)

    @property
    def joint_places(self) -> NDArray[np.float64]:
        """Where the joints' axes are (n, 3), in the base frame [m]."""
        return np.array(self.data.xanchor[self._joints])

    @property
    def in_contact(self) -> bool:
        """Whether the arm touches itself or the table."""
        return bool(self.data.ncon > 0)

    def reset(
        self, position: NDArray[np.float64], velocity: NDArray[np.float64] | None = None
    ) -> None:
        """Put the joints (n,) there, at rest unless a velocity is given."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[self._position] = position
        place_mimics(self.model, self.data.qpos, self.robot.mimics)
        if velocity is not None:
            self.data.qvel[self._velocity] = velocity
        mujoco.mj_forward(self.model, self.data)

    def place(self, position: NDArray[np.float64]) -> None:
        """Put the joints (n,) there and update the poses of the links alone."""
        self.data.qpos[self._position] = position
        place_mimics(self.model, self.data.qpos, self.robot.mimics)
        mujoco.mj_kinematics(self.model, self.data)

    def touches(self) -> bool:
        """Look for contacts of the arm as it is placed, with itself or with the table."""
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_collision(self.model, self.data)
        return self.in_contact

    def tip_jacobian(self) -> NDArray[np.float64]:
        """Return the Jacobian (3, n) [m/rad] of the tip's position as the arm is placed."""
        jacobian = np.zeros((3, self.model.nv))
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_jac(self.model, self.data, jacobian, None, self.tip_position, self._tip)
        return jacobian[:, self._velocity]

    def randomise(self, rng: np.random.Generator) -> None:
        """Become another specimen of the robot; this one is always as described."""

    def read_sensors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return positions (n,) [rad] and velocities (n,) [rad/s] as the robot's sensors do."""
        return self.position, self.velocity

    def step(self, torque: NDArray[np.float64], n_steps: int = 1) -> None:
        """Apply a torque (n,) [N·m], clipped at the limits, for `n_steps` time steps."""
        self.data.ctrl[:] = np.clip(torque, -self._limit, self._limit)
        mujoco.mj_step(self.model, self.data, n_steps)
        mujoco.mj_kinematics(self.model, self.data)

    def hold(self, n_steps: int) -> None:
        """Let time pass with the brakes on."""
        self.data.time += n_steps * self.timestep
