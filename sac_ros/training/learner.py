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

"""The learning side of a run: draw batches, update the networks, give actions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from sac_ros.config.training import TrainConfig
from sac_ros.errors import ConfigError
from sac_ros.replay import Sampler
from sac_ros.replay.format import Layout
from sac_ros.sac.hindsight import Hindsight
from sac_ros.sac.sac import SAC, Metrics
from sac_ros.sac.state import LearnerState
from sac_ros.types import Transition

if TYPE_CHECKING:
    from sac_ros.accel.compiler import Compiler

logger = logging.getLogger(__name__)
Update = Callable[..., tuple[LearnerState, Metrics]]


class Learner:
    """Soft Actor-Critic with its state and random generators. It needs no environment.

    Attributes:
        sac: the algorithm.
        state: networks, optimizers, temperature.
        updates: critic updates so far.
        metrics: newest value of each metric, scalar tensors.
        compiler: of the updates, None where they run eagerly.
        numpy_rng: draws batches; exploration may share it.
        torch_rng: draws the noise of updates; exploration may share it.
    """

    def __init__(self, sac: SAC, config: TrainConfig, hindsight: Hindsight | None = None) -> None:
        """Draw new parameters.

        Args:
            sac: the algorithm, for one specification.
            config: of the run; seed, device, compile and `sac` are used.
            hindsight: relabels a share of each batch.

        Raises:
            ConfigError: settings exclude each other, or there is no GPU for device cuda.
        """
        if config.device == 'cuda' and not torch.cuda.is_available():
            raise ConfigError(
                'device is cuda, but torch finds no GPU; leave it out, or install CUDA'
            )
        if hindsight is not None and config.sac.n_step > 1:
            raise ConfigError('n_step above 1 needs --her_fraction 0: rewards are summed already')
        self.sac, self.state = sac, sac.initialize(config.seed, config.device)
        self.updates, self.metrics = 0, Metrics()
        self.compiler = make_compiler(config)
        self.numpy_rng = np.random.default_rng(config.seed)
        self.torch_rng = torch.Generator().manual_seed(config.seed)
        self._config, self._device, self._hindsight = config.sac, config.device, hindsight
        self._update: Update = sac.update
        self._update_critics: Update = sac.update_critics
        if self.compiler is not None:
            self._update, self._update_critics = map(
                self.compiler, (self._update, self._update_critics)
            )
        self._rows = torch.empty(config.sac.batch_size, Layout.of(sac.spec).words)
        # Separate generator: display must not affect training.
        self._display_noise = torch.randn(
            (64, sac.spec.n_action), generator=torch.Generator().manual_seed(0)
        ).to(config.device)

    def update(self, sampler: Sampler) -> None:
        """Draw a batch and update once; the actor takes part in every `policy_delay`-th update.

        Raises:
            ReplayError: there is nothing to draw from.
        """
        config, discount = self._config, None
        rows = self._rows.numpy()
        if config.n_step > 1:
            batch, discounts = sampler.sample_n_step(
                config.batch_size, self.numpy_rng, config.n_step, config.gamma, rows
            )
            discount = torch.from_numpy(discounts).to(self._device)
        else:
            batch = sampler.sample(config.batch_size, self.numpy_rng, rows)
            if self._hindsight is not None:
                batch = self._hindsight(batch, self.numpy_rng)
        tensors = Transition(*(torch.from_numpy(part).to(self._device) for part in batch))
        noise = self.sac.noise(self.torch_rng).to(self._device)
        self.updates += 1
        update = self._update_critics if self.updates % config.policy_delay else self._update
        self.state, metrics = update(self.state, tensors, noise, discount)
        self.metrics |= metrics

    @torch.no_grad()
    def act(
        self, observation: NDArray[np.float32], noise: torch.Tensor | None
    ) -> NDArray[np.float32]:
        """Return the action (n_act,) in [-1, 1] for a raw observation (n_obs,).

        Args:
            observation: raw.
            noise: as for `SAC.act`; None for the mean action.
        """
        noise = noise.to(self._device) if noise is not None else None
        action: NDArray[np.float32] = (
            self.sac.act(self.state, self._row(observation), noise)[0].cpu().numpy()
        )
        return action

    def mean_action(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the action (n_act,) of the mean policy, which is evaluated and exported."""
        return self.act(observation, None)

    @torch.no_grad()
    def random_action(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return an action (n_act,) whose residual is uniform.

        Without a base controller the residual is the action.
        """
        residual = self.numpy_rng.uniform(-1, 1, (1, self.sac.spec.n_action)).astype(np.float32)
        on_device = torch.from_numpy(residual).to(self._device)
        action: NDArray[np.float32] = (
            self.sac.to_action(self._row(observation), on_device)[0].cpu().numpy()
        )
        return action

    @torch.no_grad()
    def evaluate_state(self, observation: NDArray[np.float32]) -> tuple[float, float]:
        """Return Q-value and entropy [nat] at a raw observation (n_obs,), for display."""
        row = self._row(observation)
        q, entropy = self.sac.evaluate_state(self.state, row, self._display_noise)
        return float(q), float(entropy)

    @torch.no_grad()
    def values(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the Q-values (B,) of the mean action at raw observations (B, n_obs).

        Each is the minimum over the critics.
        """
        rows = torch.from_numpy(observations).to(self._device)
        action = self.sac.act(self.state, rows, None)
        values: NDArray[np.float32] = (
            self.sac.value(self.state, rows, action).min(0).values.cpu().numpy()
        )
        return values

    def figures(self) -> dict[str, float]:
        """Return the newest metrics as numbers."""
        return {name: float(value) for name, value in self.metrics.items()}

    def _row(self, observation: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(observation).to(self._device).unsqueeze(0)


def make_compiler(config: TrainConfig) -> Compiler | None:
    """Return the compiler of updates, None where it is not wanted or not installed."""
    if not config.compile:
        return None
    try:
        from sac_ros.accel.compiler import Compiler
    except ModuleNotFoundError as error:
        logger.warning('updates are not compiled: %s', error)
        return None
    return Compiler(config.device, config.sac.bf16)
