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

"""Goals that might have been: one transition of an arm teaches reaching many points.

What an arm does under a torque does not depend on where the goal is, and what a motion is worth
is known for any goal. So a share of each batch gets other goals, and the rewards that go with
them (Andrychowicz et al., 2017, "Hindsight Experience Replay"). The replay itself is not changed.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from sac_ros.sac.forward_kinematics import ForwardKinematics
from sac_ros.spec import PolicySpec
from sac_ros.tasks.reach import ReachTask
from sac_ros.types import KinematicChain, Transition

NEAREST, FARTHEST = 0.01, 0.3  # [m] spread of goals about the tip


class Hindsight:
    """Gives a share of a batch new goals.

    Half of these are goals of other transitions; the other half lie about where the tip came to,
    from 1 cm to 30 cm, so that being close to a goal is practised long before it is reached.
    """

    def __init__(
        self, task: ReachTask, spec: PolicySpec, chain: KinematicChain, share: float
    ) -> None:
        self._task, self._share = task, share
        self._kinematics = ForwardKinematics(chain, spec.n_action)
        slices = spec.slices()
        self._goal, self._position = slices['goal'], slices['joint_position']

    @classmethod
    def for_task(
        cls, task: object, spec: PolicySpec, chain: KinematicChain | None, share: float
    ) -> Hindsight | None:
        """Return it where the distance to a point alone decides what a motion is worth."""
        if share == 0 or chain is None or not isinstance(task, ReachTask):
            return None
        return cls(task, spec, chain, share) if type(task).reward is ReachTask.reward else None

    def __call__(self, batch: Transition, rng: np.random.Generator) -> Transition:
        """Return the batch (B, ...) with new goals and the rewards that go with them.

        A goal that moves keeps its path, moved as a whole. The tip follows from the joint
        positions in the observation, so noise and delay of a sensor enter the reward.
        """
        n = len(batch.reward)
        reached = torch.from_numpy(np.ascontiguousarray(batch.next_observation[:, self._position]))
        with torch.no_grad():
            tip = self._kinematics.tip(reached).numpy()
        old = batch.next_observation[:, self._goal]
        spread = np.geomspace(NEAREST, FARTHEST, 64)[rng.integers(0, 64, (n, 1))]
        about = tip + spread * rng.standard_normal((n, 3))
        kind = rng.random((n, 1))
        new = np.where(kind < self._share / 2, about, old[rng.permutation(n)])
        new = np.where(kind < self._share, new, old)
        observation, next_observation = batch.observation.copy(), batch.next_observation.copy()
        observation[:, self._goal] += new - old
        next_observation[:, self._goal] = new
        gain = self._worth(tip - new) - self._worth(tip - old)
        return batch._replace(
            observation=observation,
            next_observation=next_observation,
            reward=(batch.reward + gain).astype(np.float32),
        )

    def _worth(self, error: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._task.reward_from_distance(np.linalg.norm(error, axis=1))
