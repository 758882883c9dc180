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

"""The tasks that come with the package: reach a point, reach a pose, track a moving point."""

from __future__ import annotations

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from sac_ros.errors import ModelError
from sac_ros.robot.loader import Robot
from sac_ros.spec import ObservationField, PolicySpec
from sac_ros.tasks.task import GOAL_RANGE, StepResult, Task, arm_spec, closeness
from sac_ros.types import Vector

GOAL = ObservationField('goal', 3, 'm')
NARROW = 0.05  # [rad] below which an angle's closeness changes most
STRIDE = 0.3  # share of each joint's range that a moving goal's posture covers at most
PATH_POINTS = 33  # of a moving goal's path at which contacts are looked for


class ReachTask(Task):
    """Bring the tip to a random point."""

    fields: tuple[ObservationField, ...] = (GOAL,)

    def initialize_episode(self, rng: np.random.Generator) -> None:
        """Draw a point that the tip reaches in a posture that touches nothing."""
        self.goal = self.sample_goal(rng)

    def sample_goal(self, rng: np.random.Generator) -> Vector:
        """Draw a point (3,) [m] that the tip reaches in a posture that touches nothing."""
        return self.sample_posture(rng).tip

    def observe(self) -> Vector:
        """Return the goal (3,) [m]."""
        return self.goal

    def reward(self, motion: StepResult) -> float:
        """Return the closeness of the tip to the goal."""
        distance = np.linalg.norm((motion.tip - self.goal)[None], axis=1)  # (1,)
        return float(self.reward_from_distance(distance)[0])

    def set_goal(self, goal: Vector) -> None:
        """Replace the goal by what `observe` would return of it."""
        self.goal = np.array(goal, np.float64)

    def reward_from_distance(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the reward of tips at distances (...) [m] from their goals, costs not taken."""
        return closeness(distance)

    def success(self, motion: StepResult) -> bool:
        """Whether the tip is within the success radius of the goal."""
        return float(np.linalg.norm(motion.tip - self.goal)) <= self.config.success_radius


class ReachPoseTask(ReachTask):
    """Bring the tip to a random point in a random orientation."""

    fields = (GOAL, ObservationField('goal_orientation', 4, '1'))
    budget = (
        'reach-pose: no number of steps is known that reaches 95 %; untrained, the base '
        'controller of the default arm reaches 80 % of poses within 2 cm and 15 degrees'
    )

    def initialize_episode(self, rng: np.random.Generator) -> None:
        """Draw a pose that the tip takes in a posture that touches nothing."""
        posture = self.sample_posture(rng)
        self.goal, self.rotation = posture.tip, posture.rotation
        w, x, y, z = _quaternion(posture.rotation)
        self._orientation = math.copysign(1, w) * np.array([x, y, z, w])

    def set_goal(self, goal: Vector) -> None:
        """Replace the goal by a point (3,) [m] and a unit quaternion x, y, z, w, as (7,)."""
        super().set_goal(goal[:3])
        self._orientation = np.array(goal[3:], np.float64)
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, np.roll(self._orientation, 1))
        self.rotation = rotation.reshape(3, 3)

    def observe(self) -> Vector:
        """Return the goal (3,) [m] and its unit quaternion x, y, z, w with w >= 0."""
        return np.concatenate((self.goal, self._orientation))

    def reward(self, motion: StepResult) -> float:
        """Return r = c(d) (1 + c(angle)) / 2: the orientation counts where the point is right."""
        return super().reward(motion) * (1 + _angle_closeness(self._angle(motion))) / 2

    def success(self, motion: StepResult) -> bool:
        """Whether point and orientation are right."""
        return super().success(motion) and self._angle(motion) <= self.config.success_angle

    def _angle(self, motion: StepResult) -> float:
        """Return the angle [rad] between the tip and the goal."""
        cosine = (np.trace(self.rotation @ motion.rotation.T) - 1) / 2
        return math.acos(min(1.0, max(-1.0, float(cosine))))


class TrackTask(ReachTask):
    """Stay at a point that moves to and fro along a path inside the reachable space."""

    fields = (GOAL, ObservationField('goal_velocity', 3, 'm/s'))

    def initialize_episode(self, rng: np.random.Generator) -> None:
        """Draw two postures; the goal is where the tip would be on the way between them."""
        self._path = self._sample_path(rng)
        step = np.linalg.norm(np.diff(self._path, axis=0), axis=1).max() * (PATH_POINTS - 1)
        # s = (1 - cos(w t)) / 2 moves along the path at no more than w / 2 of its steepest slope.
        self._frequency = 2 * self.config.goal_speed / max(step, 1e-3)  # [rad/s]
        self._phase = float(rng.uniform(0, 2 * math.pi))
        self._place()

    def after_step(self) -> None:
        """Move the goal on by one control period."""
        self._phase += self._frequency * self.control_period
        self._place()

    def observe(self) -> Vector:
        """Return the goal (3,) [m] and its velocity (3,) [m/s]."""
        return np.concatenate((self.goal, self.velocity))

    def _sample_path(self, rng: np.random.Generator) -> Vector:
        span = self._upper - self._lower
        for _ in range(1_000):
            start = self.sample_posture(rng).position
            end = start + STRIDE * span * rng.uniform(-1, 1, len(span))
            edge = (1 - GOAL_RANGE) / 2 * span
            end = np.clip(end, self._lower + edge, self._upper - edge)
            path = [self.posture_at(p) for p in np.linspace(start, end, PATH_POINTS)]
            if all(posture is not None for posture in path):
                return np.array([posture.tip for posture in path if posture is not None])
        raise ModelError(f'{self.robot.path}: no path free of contacts was found for a goal')

    def _place(self) -> None:
        share, last = (1 - math.cos(self._phase)) / 2, PATH_POINTS - 1
        index = min(int(share * last), last - 1)
        start, end = self._path[index], self._path[index + 1]
        self.goal = start + (share * last - index) * (end - start)
        self.velocity = (end - start) * last * math.sin(self._phase) / 2 * self._frequency


def reach_spec(robot: Robot, control_period: float, gravity_compensated: bool) -> PolicySpec:
    """Return what a policy that reaches points with this robot sees and gives."""
    return arm_spec(robot, ReachTask.fields, control_period, gravity_compensated)


def _quaternion(rotation: Vector) -> Vector:
    """Return the quaternion w, x, y, z of a rotation (3, 3)."""
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, rotation.ravel())
    return quaternion


def _angle_closeness(angle: float) -> float:
    """Map an angle [rad] to [0, 1], as `closeness` does with a distance."""
    return 1 - math.log1p(angle / NARROW) / math.log1p(math.pi / NARROW)
