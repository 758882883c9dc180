"""The task of bringing the tip to a random point."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sac_ros.config import ArmConfig, TaskConfig
from sac_ros.envs.arm import SimArm
from sac_ros.envs.robot import Robot
from sac_ros.errors import ModelError
from sac_ros.spec import ObservationField, PolicySpec

START_RANGE = 0.5  # share of each joint's range, about its middle, in which an episode starts
GOAL_RANGE = 0.9  # share of each joint's range in which a posture is drawn to place the goal
TABLE_CLEARANCE = 0.1  # [m] lowest goal above the table
NEAR, FAR = 0.05, 0.5  # [m] the two scales of the reward


def reach_spec(robot: Robot, control_period: float, gravity_compensated: bool) -> PolicySpec:
    """Return what a reaching policy of this robot sees and gives."""
    n = len(robot.joint_names)
    return PolicySpec(
        joint_names=robot.joint_names,
        observation=(
            ObservationField('joint_position', n, 'rad'),
            ObservationField('joint_velocity', n, 'rad/s'),
            ObservationField('goal', 3, 'm'),
            ObservationField('previous_action', n, '1'),
        ),
        torque_limit=robot.torque_limit,
        position_lower=robot.position_lower,
        position_upper=robot.position_upper,
        velocity_limit=robot.velocity_limit,
        control_period=control_period,
        model_hash=robot.model_hash,
        gravity_compensated=gravity_compensated,
    )


class ReachTask:
    """Where episodes start, where goals lie, and what being near one is worth."""

    def __init__(self, robot: Robot, config: TaskConfig) -> None:
        self.config = config
        self._posed = SimArm(ArmConfig(), robot)
        lower, upper = np.array(robot.position_lower), np.array(robot.position_upper)
        self._lower = np.where(np.isfinite(lower), lower, -math.pi)
        self._upper = np.where(np.isfinite(upper), upper, math.pi)

    def sample_start(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw joint positions (n,) [rad] in which the arm touches nothing."""
        return self._sample_posture(rng, START_RANGE, lowest=0.0)[0]

    def sample_goal(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw a point (3,) [m] that the tip reaches in a posture that touches nothing."""
        return self._sample_posture(rng, GOAL_RANGE, lowest=TABLE_CLEARANCE)[1]

    def reward(
        self, tip: NDArray[np.float64], goal: NDArray[np.float64], action: NDArray[np.float64]
    ) -> float:
        """Return a dimensionless reward in [0, 1], less the cost of the action.

        r = (1 - tanh(d / FAR) + exp(-(d / NEAR)^2)) / 2 - c mean(a^2), d the tip's distance: the
        first term leads there from afar, the second is worth having only close to the goal.
        """
        distance = float(np.linalg.norm(tip - goal))
        closeness = 1 - math.tanh(distance / FAR) + math.exp(-((distance / NEAR) ** 2))
        return closeness / 2 - self.config.action_cost * float(np.mean(np.square(action)))

    def success(self, tip: NDArray[np.float64], goal: NDArray[np.float64]) -> bool:
        """Whether the tip is within the success radius of the goal."""
        return float(np.linalg.norm(tip - goal)) <= self.config.success_radius

    def _sample_posture(
        self, rng: np.random.Generator, share: float, lowest: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        middle, half = (self._lower + self._upper) / 2, (self._upper - self._lower) / 2
        for _ in range(10_000):
            position = middle + share * half * rng.uniform(-1, 1, len(half))
            self._posed.reset(position)
            tip = self._posed.tip_position
            if tip[2] >= self._posed.robot.table + lowest and not self._posed.in_contact:
                return position, tip
        raise ModelError(
            f'{self._posed.robot.path}: no posture free of contacts with the tip {lowest} m above '
            f'the table was found in 10,000 draws; check the collision shapes and the tip'
        )
