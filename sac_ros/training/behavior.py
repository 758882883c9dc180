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

"""The policy that collects transitions in training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sac_ros.config.training import SACConfig
from sac_ros.sac.exploration import Exploration
from sac_ros.training.learner import Learner


class BehaviorPolicy:
    """Draw uniform actions during the warm-up, then actions of the current actor.

    Exploration shares the generators of the learner, so that one seed decides a run.
    """

    def __init__(
        self, learner: Learner, config: SACConfig, in_warm_up: Callable[[], bool]
    ) -> None:
        self.exploration = Exploration(
            config, learner.sac.spec.n_action, learner.numpy_rng, learner.torch_rng
        )
        self._learner, self._in_warm_up = learner, in_warm_up

    def __call__(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the action (n_act,) in [-1, 1] for a raw observation (n_obs,)."""
        if self._in_warm_up():
            return self._learner.random_action(observation)
        return self._learner.act(observation, self.exploration())

    def reset(self) -> None:
        """Begin an episode."""
        self.exploration.begin_episode()
