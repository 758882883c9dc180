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

"""How well a deterministic policy does, always on the same episodes."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from sac_ros.deploy.onnx_policy import OnnxPolicy
from sac_ros.seeds import evaluation_seed
from sac_ros.spec import PolicySpec
from sac_ros.training.rollout import PolicyFn, rollout

EVALUATION_STEPS = 1_000  # actions per episode where the environment says no limit
logger = logging.getLogger(__name__)


class Evaluation(NamedTuple):
    """Figures over some episodes. Success is NaN where the task has no notion of it."""

    mean_return: float
    std_return: float
    success_rate: float  # share of episodes that end in success
    episodes: int


def evaluate(
    env: gymnasium.Env[Any, Any], act: PolicyFn, episodes: int, continued: bool = False
) -> Evaluation:
    """Run episodes with the actions (n_act,) in [-1, 1] that `act` gives to observations.

    Episodes end after `env.episode_steps` actions at the latest; where that is 0 or absent, after
    EVALUATION_STEPS.

    Args:
        env: what the policy acts in.
        act: the policy.
        episodes: how many.
        continued: begin each as the one before ended unless that one faulted, from goal to goal
            as a robot does; for an ArmEnv.
    """
    returns, successes, cut_off = [], [], 0
    limit = getattr(env, 'episode_steps', 0) or EVALUATION_STEPS
    start: NDArray[np.float32] | None = None
    for episode in range(episodes):
        total = 0.0
        for step in rollout(env, act, evaluation_seed(episode), start, limit):
            total += step.reward
        cut_off += not (step.terminated or step.truncated)
        start = step.observation if continued and not step.terminated else None
        returns.append(total)
        successes.append(float(step.info.get('is_success', np.nan)))
    if cut_off:
        logger.warning(
            'evaluation: %d of %d episodes were cut off after %d actions; --episode_steps sets '
            'another limit',
            cut_off,
            episodes,
            limit,
        )
    return Evaluation(
        float(np.mean(returns)), float(np.std(returns)), float(np.mean(successes)), episodes
    )


def onnx_action(policy: OnnxPolicy, spec: PolicySpec) -> PolicyFn:
    """Return the normalised action of an exported policy, for environments that take those."""
    limit, offset = np.array(spec.torque_limit), np.array(spec.torque_offset)

    def act(observation: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray((policy(observation) - offset) / limit, np.float32)

    return act
