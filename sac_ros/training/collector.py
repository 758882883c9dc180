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

"""The collecting side of a run: act, step the environment, store every transition."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from sac_ros.config.training import TrainConfig
from sac_ros.replay import ReplayWriter
from sac_ros.replay.resumable import ResumableReplay
from sac_ros.seeds import training_seed
from sac_ros.spec import PolicySpec
from sac_ros.training.open_episode import OpenEpisode, retrace
from sac_ros.training.rollout import PolicyFn
from sac_ros.types import Transition

MAX_RETRACED = 100_000  # actions of an episode that can be continued; a longer one is not
logger = logging.getLogger(__name__)


class EndedEpisode(NamedTuple):
    """Figures of an episode that has ended."""

    total: float  # return
    success: float  # 1, 0, or NaN where the task has no notion of it


def open_replay(config: TrainConfig, spec: PolicySpec) -> ReplayWriter:
    """Open the replay of a run for writing.

    Raises:
        ReplayError: another process writes it, it is not a replay directory, or the disk fails.
        SpecMismatch: it belongs to another robot or task.
    """
    return ReplayWriter(
        Path(config.run_dir) / 'replay',
        spec,
        capacity=config.replay_capacity,
        archive=config.replay_archive,
        sync_every=config.sync_every,
    )


def continues(seed: int, fraction: float) -> bool:
    """Return whether the episode of a seed begins as the last one ended: a `fraction` of them.

    The generator is independent of those that the environment makes from the seed.
    """
    return bool(np.random.default_rng((seed, 1)).random() < fraction)


class Collector:
    """Act in an environment and store the transitions, one step per call.

    Actions come from a callable, so that no learner and no torch are needed.

    Attributes:
        env: the environment; observations (n_obs,), actions (n_act,) in [-1, 1].
        steps: environment steps in all.
        episodes: episodes that have ended or were given up; the number of the next one.
        in_episode: whether an episode is under way in the environment.
        observation: newest observation (n_obs,), None before the first.
        final_observation: last one of the latest ended episode, None without `continue_fraction`.
        resumed: episode to return to before the next step, None to begin a new one.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        policy: PolicyFn,
        seed: int,
        continue_fraction: float = 0.0,
    ) -> None:
        """Take no step yet.

        Args:
            env: an `ArmEnv` or `GymEnv`.
            policy: gives an action for an observation; its method `reset`, if it has one, is
                called before each new episode.
            seed: of the run; with the number of an episode it decides how the episode begins.
            continue_fraction: share of episodes that begin as the last one ended, for an ArmEnv.
        """
        self.env = env
        self.steps = self.episodes = 0
        self.in_episode = False
        self.observation: NDArray[np.float32] | None = None
        self.final_observation: NDArray[np.float32] | None = None
        self.resumed: OpenEpisode | None = None
        self._policy, self._seed, self._continue_fraction = policy, seed, continue_fraction
        self._actions: list[NDArray[np.float32]] = []  # of the episode under way
        self._total = 0.0  # rewards of it

    def step(
        self, replay: ResumableReplay, before_retraced: Callable[[], None] = lambda: None
    ) -> EndedEpisode | None:
        """Take one step and store it, in a new episode where none is under way.

        Args:
            replay: takes the transition.
            before_retraced: called before each step of a resumed episode that is repeated; the
                episode is kept when it raises.

        Returns:
            The episode if it has ended with this step.

        Raises:
            EnvError: the environment fails.
            ReplayError: the transition cannot be stored.
        """
        if not self.in_episode and not self._continue(replay, before_retraced):
            self._begin()
        observation = self.observation
        assert observation is not None
        action = self._policy(observation)
        if not self.is_too_long:
            self._actions.append(action)
        next_observation, reward, terminated, truncated, info = self.env.step(action)
        if info.get('invalid'):
            replay.break_episode()
        else:
            executed = info.get('executed_action', action)
            transition = Transition(observation, executed, reward, terminated, next_observation)
            replay.store(transition, truncated)
        self.steps += 1
        self._total += float(reward)
        self.observation = np.asarray(next_observation, np.float32)
        if not (terminated or truncated):
            return None
        self.in_episode = False
        self.episodes += 1
        if self._continue_fraction:
            self.final_observation = self.observation
        return EndedEpisode(self._total, float(info.get('is_success', np.nan)))

    @property
    def is_too_long(self) -> bool:
        """Whether the episode under way has too many actions to be continued later."""
        return self.in_episode and len(self._actions) > MAX_RETRACED

    @property
    def open_episode(self) -> OpenEpisode | None:
        """The episode to continue after a restart, None if there is none or it is too long."""
        if not self.in_episode:
            return self.resumed
        return None if self.is_too_long else OpenEpisode(self._actions, self._total)

    def suspend(self) -> None:
        """Leave the environment; the next step returns to the episode under way."""
        self.resumed = self.open_episode
        self.episodes += self.is_too_long
        self.in_episode = False

    def _continue(self, replay: ResumableReplay, before_retraced: Callable[[], None]) -> bool:
        """Return to the episode that was left; return whether there is one and it repeats."""
        if self.resumed is None:
            return False
        actions, total = self.resumed.actions, self.resumed.total
        stored = replay.last(len(actions))
        observation = retrace(self.env, self._reset(), actions, stored, before_retraced)
        self.resumed = None
        if observation is None:
            logger.info('the episode that was stopped cannot be continued; a new one begins')
            self.episodes += 1
            return False
        self.observation, self.in_episode = observation, True
        self._actions, self._total = list(actions), total
        replay.continue_episode()
        return True

    def _begin(self) -> None:
        getattr(self._policy, 'reset', lambda: None)()
        self.observation, self.in_episode = self._reset(), True
        self._actions, self._total = [], 0.0

    def _reset(self) -> NDArray[np.float32]:
        """Reset the environment and return its first observation.

        Seed and final observation alone decide how, so that a resumed run repeats its episodes.
        """
        seed, options = training_seed(self._seed, self.episodes), None
        if self.final_observation is not None and continues(seed, self._continue_fraction):
            options = {'observation': self.final_observation}
        observation, _ = self.env.reset(seed=seed, options=options)
        return np.asarray(observation, np.float32)
