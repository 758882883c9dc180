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

"""One episode of a policy in an environment, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

PolicyFn = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class RolloutStep(NamedTuple):
    """The start of an episode, or one step of it."""

    observation: NDArray[np.float32]  # (n_obs,) that the step led to
    reward: float  # 0 at the start, as with the next two
    terminated: bool
    truncated: bool
    info: dict[str, Any]


def rollout(
    env: gymnasium.Env[Any, Any],
    act: PolicyFn,
    seed: int,
    start: NDArray[np.float32] | None = None,
    limit: int = 0,
) -> Iterator[RolloutStep]:
    """Reset an environment and yield the start, then each step to the end of the episode.

    The environment is in the state that was yielded until the next one is asked for.

    Args:
        env: the environment.
        act: gives an action (n_act,) in [-1, 1] for an observation (n_obs,); its method `reset`,
            if it has one, is called first.
        seed: of the episode.
        start: observation (n_obs,) to begin in, for an ArmEnv; None for a start of its own.
        limit: steps after which the episode is left; 0 for none.
    """
    getattr(act, 'reset', lambda: None)()
    options = None if start is None else {'observation': start}
    observation, info = env.reset(seed=seed, options=options)
    step = RolloutStep(observation, 0.0, terminated=False, truncated=False, info=info)
    yield step
    count = 0
    while not (step.terminated or step.truncated) and (not limit or count < limit):
        observation, reward, terminated, truncated, info = env.step(act(step.observation))
        step = RolloutStep(observation, float(reward), terminated, truncated, info)
        count += 1
        yield step
