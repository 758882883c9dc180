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

"""A Gymnasium environment as the learner sees it: actions in [-1, 1], float32 observations.

Everything an environment returns is checked and copied here. Behind this wrapper no array is
shared with the environment, which may change its arrays in place.
"""

from __future__ import annotations

import functools
import logging
import math
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from sac_ros.errors import EnvError, SacRosError
from sac_ros.spec import ObservationField, PolicySpec

Array = NDArray[np.float32]
MAX_BOUND = 1e9  # an action range beyond this is taken as unbounded
MAX_VALUE = 1e15  # a value beyond this is taken as infinite: float32 cannot hold its square
UNKNOWN_PERIOD = 1.0  # [s] of an environment that has no `dt`
logger = logging.getLogger(__name__)


class GymEnv(gymnasium.Wrapper[Array, Array, Any, NDArray[Any]], RecordConstructorArgs):
    """Wrap an environment whose spaces are one-dimensional Boxes, that of the actions bounded.

    Each action has its own bounds: native = middle + half_range * normalized. `info` may have
    `is_success`, a number, and `executed_action` (n_act,), what the environment did in place of
    the action, which is given in its own units and normalized here.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, NDArray[Any]],
        name: str,
        episode_steps: int = 0,
        nan_ends_episode: bool = False,
    ) -> None:
        """Check the spaces.

        Args:
            env: any Gymnasium environment.
            name: of the environment, for errors and the specification.
            episode_steps: actions after which an episode is truncated; 0 leaves that to `env`.
            nan_ends_episode: truncate an episode at a value that is not finite, and say so as
                `info['invalid']`, in place of raising an error. That step is not a transition.

        Raises:
            EnvError: a space is not such a Box.
        """
        RecordConstructorArgs.__init__(
            self, name=name, episode_steps=episode_steps, nan_ends_episode=nan_ends_episode
        )
        gymnasium.Wrapper.__init__(self, env)
        self.name = name
        action = _check_actions(env.action_space, name)
        observation = _check_observations(env.observation_space, name)
        limit = env.spec.max_episode_steps if env.spec is not None else None
        self.episode_steps = episode_steps or limit or 0  # 0: no limit that is known
        self.low, self.high = action.low.astype(np.float64), action.high.astype(np.float64)
        self._middle, self._half_range = (self.high + self.low) / 2, (self.high - self.low) / 2
        self._action_type, self._shape = action.dtype, observation.shape
        self.action_space = Box(-1.0, 1.0, action.shape, np.float32)
        self.observation_space = Box(-np.inf, np.inf, observation.shape, np.float32)
        self._nan_ends_episode, self._has_warned = nan_ends_episode, False
        self._steps, self._observation = 0, np.zeros(self._shape, np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode.

        Raises:
            EnvError: the environment fails, or its observation is not finite.
        """
        with self._one_line('reset'):
            result = self.env.reset(seed=seed, options=options)
            if not (isinstance(result, tuple) and len(result) == 2):
                raise EnvError(f'{self.name}: reset must return (observation, info)')
            observation = self._read(result[0])
        if not np.isfinite(observation).all():
            raise EnvError(f'{self.name}: the first observation is NaN or beyond {MAX_VALUE:g}')
        self._steps, self._observation = 0, observation
        return observation.copy(), dict(result[1])

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Execute a normalized action (n_act,).

        Raises:
            EnvError: the environment fails, or gives something that is no number.
        """
        scaled = self._middle + self._half_range * np.clip(np.asarray(action, np.float64), -1, 1)
        native: NDArray[Any] = np.clip(scaled, self.low, self.high).astype(self._action_type)
        self._steps += 1
        with self._one_line('step'):
            result = self.env.step(native)
            if len(result) != 5:
                raise EnvError(
                    f'{self.name}: step must return (observation, reward, terminated, truncated, '
                    f'info), it returned {len(result)} values'
                )
            observation, reward = self._read(result[0]), self._number(result[1], 'reward')
            terminated, truncated = bool(result[2]), bool(result[3])
            info = self._read_info(result[4])
        finite = np.isfinite(observation).all()
        if not (finite and math.isfinite(reward)):
            return self._give_up('reward' if finite else 'observation')
        self._observation = observation
        truncated |= 0 < self.episode_steps <= self._steps
        return observation.copy(), reward, terminated, truncated, info

    def _read(self, observation: Any) -> Array:
        """Return a flat float32 copy of an observation."""
        array = np.array(observation, np.float64)
        if array.size != self._shape[0]:
            raise EnvError(
                f'{self.name}: an observation has shape {array.shape}, '
                f'the observation space has {self._shape}'
            )
        return _bounded(array).reshape(self._shape).astype(np.float32)

    def _number(self, value: Any, meaning: str) -> float:
        array = np.array(np.nan if value is None else value, np.float64)
        if value is None or array.size != 1:
            raise EnvError(f'{self.name}: {meaning} must be a number, is {value!r}')
        return float(_bounded(array).item())

    def _read_info(self, info: dict[str, Any]) -> dict[str, Any]:
        """Return a copy with the success as a number and the executed action normalized."""
        info = dict(info)
        success = info.pop('is_success', None)
        if success is not None:
            info['is_success'] = self._number(success, 'is_success')
        executed = info.pop('executed_action', None)
        if executed is not None:
            native = np.array(executed, np.float64)
            if native.shape != self.low.shape or not np.isfinite(native).all():
                raise EnvError(
                    f'{self.name}: executed_action must be {len(self.low)} finite numbers, is '
                    f'{executed!r}'
                )
            normalized = np.clip((native - self._middle) / self._half_range, -1, 1)
            info['executed_action'] = normalized.astype(np.float32)
        return info

    def _give_up(self, part: str) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """End an episode at an observation or reward that is no usable number."""
        cause = f'{self.name}: {part} of step {self._steps} is NaN or beyond {MAX_VALUE:g}'
        if not self._nan_ends_episode:
            raise EnvError(f'{cause}; correct it, or end such episodes with --nan_ends_episode')
        if not self._has_warned:
            self._has_warned = True
            logger.warning('%s; such episodes end there, and the step is not stored', cause)
        return self._observation.copy(), 0.0, False, True, {'invalid': True}

    @contextmanager
    def _one_line(self, call: str) -> Iterator[None]:
        try:
            yield
        except SacRosError:
            raise
        except Exception as error:  # the environment may fail in any way
            raise EnvError(f'{self.name}: {call} failed: {describe(error)}') from error


def gym_spec(env: GymEnv, identity: str) -> PolicySpec:
    """Return what a policy of an environment sees and gives.

    Args:
        env: the environment.
        identity: names the environment and its arguments.
    """
    n = len(env.low)
    space = env.observation_space
    assert space.shape is not None
    return PolicySpec(
        joint_names=tuple(f'action{i}' for i in range(n)),
        observation=(ObservationField('observation', space.shape[0], ''),),
        torque_limit=tuple(((env.high - env.low) / 2).tolist()),
        torque_offset=tuple(((env.high + env.low) / 2).tolist()),
        position_lower=(-np.inf,) * n,
        position_upper=(np.inf,) * n,
        velocity_limit=(np.inf,) * n,
        control_period=_control_period(env),
        model_hash=identity,
        gravity_compensated=False,
    )


def describe(error: Exception) -> str:
    """Return kind, text and place of an error of foreign code in one line."""
    text = ' '.join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    place = f' ({frames[-1].filename}:{frames[-1].lineno})' if frames else ''
    return f'{type(error).__name__}: {text}{place}'


def _control_period(env: GymEnv) -> float:
    """Return the `dt` of an environment [s]; UNKNOWN_PERIOD where it has none."""
    dt = getattr(env.unwrapped, 'dt', None)
    if isinstance(dt, int | float | np.number) and math.isfinite(dt) and dt > 0:
        return float(dt)
    if dt is not None:
        _warn_about_period(env.name)
    return UNKNOWN_PERIOD


@functools.cache
def _warn_about_period(name: str) -> None:
    logger.warning('%s: its dt is no time in s; %g s is taken', name, UNKNOWN_PERIOD)


def _bounded(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values with NaN in place of those beyond MAX_VALUE."""
    return np.where(np.abs(array) <= MAX_VALUE, array, np.nan)


def _check_actions(space: gymnasium.Space[Any], name: str) -> Box:
    needed = 'a bounded one-dimensional Box of floating-point numbers is needed'
    if not (
        isinstance(space, Box)
        and np.issubdtype(space.dtype, np.floating)
        and len(space.shape) == 1
        and space.shape[0] > 0
    ):
        raise EnvError(f'{name} has actions {_one_line_text(space)}; {needed}')
    if not (np.abs([space.low, space.high]) <= MAX_BOUND).all():  # infinite or NaN too
        raise EnvError(
            f'{name} has actions {_one_line_text(space)}, which are unbounded; {needed}: wrap it '
            f'in gymnasium.wrappers.RescaleAction or set the bounds of its action_space'
        )
    empty = np.flatnonzero(space.low >= space.high)
    if len(empty):
        raise EnvError(
            f'{name}: the lower bound of action {empty[0]} is not below its upper bound; leave '
            f'out actions that cannot vary'
        )
    return space


def _check_observations(space: gymnasium.Space[Any], name: str) -> Box:
    if not (isinstance(space, Box) and len(space.shape) == 1 and space.shape[0] > 0):
        raise EnvError(
            f'{name} has observations {_one_line_text(space)}; a one-dimensional Box that is not '
            f'empty is needed: wrap it in gymnasium.wrappers.FlattenObservation'
        )
    return space


def _one_line_text(space: gymnasium.Space[Any]) -> str:
    return ' '.join(str(space).split())
