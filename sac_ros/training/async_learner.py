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

"""The learning side of an asynchronous run: follow the replay, update, publish snapshots."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sac_ros.config.training import ARM_ENV, TrainConfig
from sac_ros.errors import ConfigError, ReplayError
from sac_ros.filesystem import write_atomically
from sac_ros.replay import ReplayReader
from sac_ros.sac.layers import NORMALIZER_BOUND, NORMALIZER_EPSILON, RENORM_EPSILON
from sac_ros.sac.networks import LOG_STD_MAX, LOG_STD_MIN
from sac_ros.sac.sac import SAC
from sac_ros.sac.state import LearnerState
from sac_ros.training.actor_snapshot import GRAPH, INPUT, OUTPUT, write_snapshot
from sac_ros.training.onnx_graph import to_onnx
from sac_ros.training.trainer import StopRequested, Trainer

PUBLISH_SECONDS = 0.25  # [s] between two snapshots
IDLE_SECONDS = 0.002  # [s] between two looks at the replay while no update is due
MAX_BEHIND = 20_000  # updates that are made up for; more are left out


class AsyncLearner(Trainer):
    """A run whose transitions come from a collector in another process.

    The replay directory is the channel: what the collector has appended is drawn from. There are
    `gradient_steps` updates per transition, never more; while no transitions come, the learner
    catches up, by MAX_BEHIND updates at most. Killed at any time, it resumes from its checkpoint.
    """

    def __init__(self, config: TrainConfig) -> None:
        """Prepare everything and check it.

        Raises:
            SacRosError: a setting, the robot or what the run directory holds does not fit.
        """
        if config.sac.exploration != 'white':
            raise ConfigError('an asynchronous run explores with white noise: sac.exploration')
        if config.n_envs > 1 and (config.env != ARM_ENV or config.sac.n_step > 1):
            raise ConfigError('n_envs above 1 is for arms, with sac.n_step 1')
        super().__init__(config)

    def run(
        self,
        on_step: Callable[[Trainer], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Learn until the updates of `config.steps` transitions are done.

        Args:
            on_step: called after every update, and while waiting.
            should_stop: an alternative to `request_stop`.

        Returns:
            True when all is done, False when it was asked to stop before.

        Raises:
            SacRosError: the disk fails.
        """
        self._prepare(should_stop)
        write_atomically(self.run_dir / GRAPH, behavior_graph(self.sac, self.spec.n_observation))
        self._publish()
        with contextlib.closing(self._log), contextlib.suppress(StopRequested):
            reader = self._wait_for_replay(on_step)
            sampler = self._make_sampler(reader)
            while not self._is_done and not self._is_stopping:
                self._evaluate_if_due()
                self._follow(reader)
                if self.updates_due > 0 and not self._pause:
                    self.learner.update(sampler)
                else:
                    time.sleep(IDLE_SECONDS)
                if time.monotonic() - self._published > PUBLISH_SECONDS:
                    self._publish()
                self._save_if_due()
                on_step(self)
        self._publish()
        self.save()
        return self._is_done

    @property
    def updates_due(self) -> int:
        """Updates that the transitions so far allow and that have not been made."""
        config = self.config
        steps = self.step - config.learning_starts + 1
        return config.gradient_steps * max(steps, 0) - self.updates - self._skipped

    @property
    def _is_done(self) -> bool:
        return self.step >= self.config.steps and self.updates_due <= 0

    def _wait_for_replay(self, on_step: Callable[[Trainer], None]) -> ReplayReader:
        while True:
            self._raise_if_stopped()
            try:
                return ReplayReader(self.run_dir / 'replay', self.spec)
            except ReplayError:
                if (self.run_dir / 'replay' / 'spec.json').exists():
                    raise
            time.sleep(IDLE_SECONDS)
            on_step(self)

    def _follow(self, reader: ReplayReader) -> None:
        """Take in new transitions and do what is due at their number."""
        before = self.step
        reader.refresh()
        self.collector.steps = self._cursor = max(before, min(reader.end, self.config.steps))
        self._skipped += max(0, self.updates_due - MAX_BEHIND)
        self._note_steps(before)

    def _sync_replay(self) -> int:
        return self._cursor  # the collector syncs

    def _publish(self) -> None:
        write_snapshot(self.run_dir, actor_weights(self.state), self.updates + self._skipped)
        self._published = time.monotonic()


class _BehaviorInputs(nn.Module):
    """Base action, authority and features of an observation: nothing that is learned."""

    def __init__(self, sac: SAC) -> None:
        super().__init__()
        self._sac = sac

    def forward(self, observation: Tensor) -> Tensor:
        """Map (B, n_obs) to (B, n_act + 1 + n_features)."""
        features = self._sac.features(observation)
        base = self._sac.base(observation)
        if base is None:
            none = observation[:, : self._sac.spec.n_action + 1] * 0
            one = torch.zeros(self._sac.spec.n_action + 1)
            one[-1] = 1
            return torch.cat((none + one, features), dim=1)
        return torch.cat((base.action, base.authority, features), dim=1)


def behavior_graph(sac: SAC, n_observation: int) -> bytes:
    """Return the ONNX graph from an observation to base action, authority and features.

    Raises:
        ExportError: a function has no translation.
    """
    graph: bytes = to_onnx(_BehaviorInputs(sac), n_observation, INPUT, OUTPUT).SerializeToString()
    return graph


def actor_weights(state: LearnerState) -> dict[str, NDArray[np.float32]]:
    """Return the actor of a learner as `ActorSnapshot` reads it; normalizations as affine maps."""
    weights = {'log_std.bounds': torch.tensor([LOG_STD_MIN, LOG_STD_MAX])}
    actor = {name: value.detach().cpu() for name, value in state.actor.items()}
    for name in ('hidden1', 'hidden2', 'head'):
        for part in ('weight', 'bias'):
            weights[f'{name}.{part}'] = actor[f'{name}.{part}']
    observed = state.running.observation
    if observed:
        scale = (observed['variance'].cpu() + NORMALIZER_EPSILON).rsqrt()
        weights['normalizer.scale'] = scale
        weights['normalizer.shift'] = -observed['mean'].cpu() * scale
        weights['normalizer.bounds'] = torch.tensor([-NORMALIZER_BOUND, NORMALIZER_BOUND])
    for i in range(3):
        if f'norms.{i}.scale' in actor:
            moments = state.running.actor
            spread = (moments[f'norms.{i}.variance'].cpu() + RENORM_EPSILON).sqrt()
            scale = actor[f'norms.{i}.scale'] / spread
            mean = moments[f'norms.{i}.mean'].cpu()
            weights[f'norm{i}.scale'] = scale.flatten()
            weights[f'norm{i}.shift'] = (actor[f'norms.{i}.shift'] - mean * scale).flatten()
    return {name: value.float().numpy() for name, value in weights.items()}
