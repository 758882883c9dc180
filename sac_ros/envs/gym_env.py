"""Any Gymnasium environment with a bounded Box action, its actions mapped from [-1, 1]."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.wrappers import RescaleAction, TransformObservation

from sac_ros.errors import EnvError
from sac_ros.spec import ObservationField, PolicySpec


def make_gym_env(env_id: str) -> tuple[gymnasium.Env[Any, Any], PolicySpec]:
    """Return the environment, with actions in [-1, 1] and float32 observations, and its spec.

    Each action has its own bounds: a = middle + half_range * normalised.

    Raises:
        EnvError: the id is unknown, or a space is not a bounded one-dimensional Box.
    """
    try:
        env = gymnasium.make(env_id)
    except (gymnasium.error.Error, ImportError) as error:
        reason = ' '.join(str(error).split())
        raise EnvError(f'cannot make environment {env_id!r}: {reason}') from error
    action, observation = env.action_space, env.observation_space
    if not (isinstance(action, Box) and action.is_bounded() and len(action.shape) == 1):
        raise EnvError(f'{env_id} has actions {action}; a bounded one-dimensional Box is needed')
    if not (isinstance(observation, Box) and len(observation.shape) == 1):
        raise EnvError(f'{env_id} has observations {observation}; a 1-dimensional Box is needed')
    low, high = action.low.astype(np.float64), action.high.astype(np.float64)
    n = action.shape[0]
    spec = PolicySpec(
        joint_names=tuple(f'action{i}' for i in range(n)),
        observation=(ObservationField('observation', observation.shape[0], ''),),
        torque_limit=tuple(((high - low) / 2).tolist()),
        torque_offset=tuple(((high + low) / 2).tolist()),
        position_lower=(-np.inf,) * n,
        position_upper=(np.inf,) * n,
        velocity_limit=(np.inf,) * n,
        control_period=float(getattr(env.unwrapped, 'dt', 0.0)) or 1.0,
        model_hash=env_id,
        gravity_compensated=False,
    )
    rescaled = RescaleAction(env, np.float32(-1), np.float32(1))
    space = Box(-np.inf, np.inf, observation.shape, np.float32)
    return TransformObservation(rescaled, lambda o: np.asarray(o, np.float32), space), spec
