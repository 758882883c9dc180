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

"""The episode that a run is in, saved so that a resumed run continues it bit for bit.

A simulator has no state that could be saved in general, but it repeats: reset with the same seed
and given the same actions, it comes to the same place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from sac_ros.types import Transition

Array = NDArray[np.float32]


class OpenEpisode(NamedTuple):
    """An episode that has begun and not ended."""

    actions: Sequence[Array]  # k of (n_act,), as the environment got them
    total: float  # sum of the rewards
    noise: Mapping[str, Any] = {}  # state of the exploration

    def to_notes(self) -> dict[str, Any]:
        """Return it as JSON."""
        actions = [action.tolist() for action in self.actions]
        return {'actions': actions, 'total': self.total, 'noise': dict(self.noise)}

    @classmethod
    def from_notes(cls, notes: Any, n_action: int) -> OpenEpisode:
        """Read what `to_notes` returned.

        Raises:
            ValueError, TypeError, KeyError: the notes are something else.
        """
        actions = np.array(notes['actions'], np.float32).reshape(-1, n_action)
        total = float(notes['total'])
        if not np.isfinite(actions).all() or not math.isfinite(total):
            raise ValueError('episode with a number that is not finite')
        return cls(list(actions), total, notes['noise'])


def retrace(
    env: gymnasium.Env[Any, Any],
    observation: Array,
    actions: Sequence[Array],
    stored: Transition,
    before_step: Callable[[], None] = lambda: None,
) -> Array | None:
    """Repeat the steps of an episode and return the last observation.

    No action is given to an environment that does not show exactly what it showed before that
    action: a real robot, which never does, is not moved.

    Args:
        env: just reset.
        observation: what it shows, (n_obs,).
        actions: k of (n_act,).
        stored: the transitions of these steps, (k, ...) each.
        before_step: called before each of them; what it raises is passed on.

    Returns:
        None if the steps turn out otherwise.
    """
    if len(stored.observation) != len(actions):
        return None
    for action, before, after in zip(
        actions, stored.observation, stored.next_observation, strict=True
    ):
        if not np.array_equal(observation, before):
            return None
        before_step()
        next_observation, _, terminated, truncated, _ = env.step(action)
        observation = np.asarray(next_observation, np.float32)
        if terminated or truncated or not np.array_equal(observation, after):
            return None
    return observation
