"""An arm that takes torques: the simulated one."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.config import ArmConfig
from sac_ros.envs.robot import compile_model, load_robot


class SimArm:
    """A torque-controlled arm in MuJoCo. Joints are in the order of `robot.joint_names`."""

    def __init__(self, config: ArmConfig) -> None:
        self.robot = load_robot(config.model, config.tip)
        self.model = compile_model(self.robot, config)
        self.data = mujoco.MjData(self.model)
        self.timestep = config.timestep
        joints = [self.model.joint(name).id for name in self.robot.joint_names]
        self._position = self.model.jnt_qposadr[joints]
        self._velocity = self.model.jnt_dofadr[joints]
        self._limit = np.array(self.robot.torque_limit)
        self._tip = self.model.body(self.robot.tip).id
        mujoco.mj_forward(self.model, self.data)

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
    def tip_position(self) -> NDArray[np.float64]:
        """Tip (3,) in the base frame [m]."""
        return np.array(self.data.xpos[self._tip])

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
        if velocity is not None:
            self.data.qvel[self._velocity] = velocity
        mujoco.mj_forward(self.model, self.data)

    def step(self, torque: NDArray[np.float64], n_steps: int = 1) -> None:
        """Apply a torque (n,) [N·m], clipped at the limits, for `n_steps` time steps."""
        self.data.ctrl[:] = np.clip(torque, -self._limit, self._limit)
        mujoco.mj_step(self.model, self.data, n_steps)
        mujoco.mj_kinematics(self.model, self.data)
