"""How well a deterministic policy does, always on the same episodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from sac_ros.policy import OnnxPolicy
from sac_ros.spec import PolicySpec

FIRST_SEED = 1_000_000  # apart from every seed of training

Act = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Evaluation(NamedTuple):
    """Figures over some episodes. Success is NaN where the task has no notion of it."""

    mean_return: float
    std_return: float
    success_rate: float  # share of episodes that end in success
    episodes: int


def evaluate(
    env: gymnasium.Env[Any, Any], act: Act, episodes: int, continued: bool = False
) -> Evaluation:
    """Run episodes with the actions (n_act,) in [-1, 1] that `act` gives to observations.

    Args:
        env: what the policy acts in.
        act: the policy.
        episodes: how many.
        continued: begin each as the one before ended unless that one faulted, from goal to goal
            as a robot does; for an ArmEnv.
    """
    returns, successes = [], []
    observation: NDArray[np.float32] | None = None
    for episode in range(episodes):
        options = {'observation': observation} if continued and observation is not None else None
        observation, _ = env.reset(seed=FIRST_SEED + episode, options=options)
        total, terminated, truncated = 0.0, False, False
        info: dict[str, Any] = {}
        while not (terminated or truncated):
            observation, reward, terminated, truncated, info = env.step(act(observation))
            total += float(reward)
        observation = None if terminated else observation
        returns.append(total)
        successes.append(float(info.get('is_success', np.nan)))
    return Evaluation(
        float(np.mean(returns)), float(np.std(returns)), float(np.mean(successes)), episodes
    )


def onnx_action(policy: OnnxPolicy, spec: PolicySpec) -> Act:
    """Return the normalised action of an exported policy, for environments that take those."""
    limit, offset = np.array(spec.torque_limit), np.array(spec.torque_offset)

    def act(observation: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray((policy(observation) - offset) / limit, np.float32)

    return act
