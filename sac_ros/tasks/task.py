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

"""What is wanted of an arm, apart from which arm it is: the class that every task derives from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sac_ros.config.robot import ArmConfig, TaskConfig
from sac_ros.robot.loader import Robot
from sac_ros.sim.arm import SimArm
from sac_ros.spec import ObservationField, PolicySpec
from sac_ros.tasks.posture_sampler import Posture, PostureSampler
from sac_ros.types import Vector

START_RANGE = 0.5  # share of each joint's range, about its middle, in which an episode starts
GOAL_RANGE = 0.9  # share of each joint's range in which a posture is drawn to place the goal
NEAR, FAR = 0.005, 1.0  # [m] closeness changes most below NEAR and is zero from FAR on


class StepResult(NamedTuple):
    """What the arm did in one control period; true values, not what sensors say."""

    position: Vector  # (n,) [rad]
    velocity: Vector  # (n,) [rad/s]
    tip: Vector  # (3,) [m] in the base frame
    rotation: Vector  # (3, 3) of the tip in the base frame
    action: Vector  # (n,) in [-1, 1]
    previous_action: Vector  # (n,)


class Task(ABC):
    """Initial states, observations and rewards of episodes.

    A custom task overrides `fields`, `initialize_episode`, `observe`, `reward` and `success`, and
    `after_step` if its goal moves; see docs/tutorials/own_task.md.
    """

    fields: tuple[ObservationField, ...] = ()  # what `observe` gives, besides the joints
    budget = ''  # said before training, where the default number of steps is not known to suffice

    def __init__(
        self, robot: Robot | SimArm, config: TaskConfig, control_period: float = 0.05
    ) -> None:
        """Prepare the task for a robot.

        Args:
            robot: what has to do it; a simulated arm lends its compiled model.
            config: the settings under `task.`.
            control_period: time between two actions [s].
        """
        posed = robot.clone() if isinstance(robot, SimArm) else SimArm(ArmConfig(), robot)
        self.robot, self.config, self.control_period = posed.robot, config, control_period
        self.goal = np.zeros(3)  # [m] what is drawn as the goal
        self._sampler = PostureSampler(posed, config.workspace_box())
        self._lower, self._upper = self.robot.joint_ranges()

    @abstractmethod
    def initialize_episode(self, rng: np.random.Generator) -> None:
        """Draw the goal of an episode."""

    def after_step(self) -> None:  # noqa: B027 (most goals stand still)
        """Let one control period pass; a goal that moves moves here."""

    @abstractmethod
    def observe(self) -> Vector:
        """Return the values of `fields`, one after the other."""

    def goal_observation(self) -> dict[str, Vector]:
        """Return what `observe` gives by the names of `fields`."""
        ends = np.cumsum([field.size for field in self.fields])[:-1]
        names = (field.name for field in self.fields)
        return dict(zip(names, np.split(self.observe(), ends), strict=False))

    @abstractmethod
    def reward(self, motion: StepResult) -> float:
        """Return what the motion is worth: dimensionless and in [0, 1], costs not yet taken."""

    @abstractmethod
    def success(self, motion: StepResult) -> bool:
        """Whether the episode would count as a success if it ended now."""

    def costs(self, motion: StepResult) -> float:
        """Return the dimensionless cost of torque and of its jumps.

        c = action_cost mean(a^2) + smoothness_cost mean((a - a')^2) / 4, each mean in [0, 1]
        """
        if not (self.config.action_cost or self.config.smoothness_cost):
            return 0.0
        effort = float(np.mean(np.square(motion.action)))
        jump = float(np.mean(np.square(motion.action - motion.previous_action))) / 4
        return self.config.action_cost * effort + self.config.smoothness_cost * jump

    def sample_start(self, rng: np.random.Generator) -> Vector:
        """Draw joint positions (n,) [rad] in which the arm touches nothing."""
        return self._sampler.draw(rng, START_RANGE, goal=False).position

    def sample_posture(self, rng: np.random.Generator, share: float = GOAL_RANGE) -> Posture:
        """Draw a posture whose tip may be a goal.

        The arm touches nothing, itself included, and keeps the margin of the guards to the limits
        of its joints. The tip is inside `task.workspace`, above the table and off fixed links.

        Args:
            rng: where chance comes from.
            share: of each joint's range, about its middle, that is drawn from.

        Raises:
            ModelError: none was found.
        """
        return self._sampler.draw(rng, share)

    def posture_at(self, position: Vector) -> Posture | None:
        """Return the posture at joint positions (n,), or None if its tip may be no goal."""
        return self._sampler.at(position)


def closeness(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map distances [m] to [0, 1]: 1 - log(1 + d / NEAR) / log(1 + FAR / NEAR).

    A distance shortened by a given share gains about the same at every scale down to NEAR, so the
    last millimeters are worth as much as the way there (the logarithmic cost of Levine et al.,
    2016, "End-to-End Training of Deep Visuomotor Policies", section 5.1).
    """
    nearness: NDArray[np.float64] = 1 - np.log1p(distance / NEAR) / math.log1p(FAR / NEAR)
    return np.maximum(nearness, 0.0)


def arm_spec(
    robot: Robot,
    fields: tuple[ObservationField, ...],
    control_period: float,
    gravity_compensated: bool,
) -> PolicySpec:
    """Return what a policy of this robot sees and gives, if its task tells it `fields`."""
    n = len(robot.joint_names)
    return PolicySpec(
        joint_names=robot.joint_names,
        observation=(
            ObservationField('joint_position', n, 'rad'),
            ObservationField('joint_velocity', n, 'rad/s'),
            *fields,
            ObservationField('previous_action', n, '1'),
        ),
        torque_limit=robot.torque_limit,
        position_lower=robot.position_lower,
        position_upper=robot.position_upper,
        velocity_limit=robot.velocity_limit,
        control_period=control_period,
        model_hash=robot.model_hash,
        gravity_compensated=gravity_compensated,
        base_frame=robot.base,
    )
