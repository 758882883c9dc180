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

"""The networks: a squashed Gaussian actor, many critics, the policy that is exported."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sac_ros.config.training import SACConfig
from sac_ros.sac.base_controller import BaseController, with_base
from sac_ros.sac.features import Features
from sac_ros.sac.layers import BatchRenorm, LayerNorm, Moments, Normalizer, dropout_mask
from sac_ros.spec import PolicySpec

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0
GSDE_LOG_STD = -3.0  # at the start, as in Stable-Baselines3


class Actor(nn.Module):
    """Two hidden layers, then the mean and the logarithm of the spread of a Gaussian.

    With `exploration` gsde the spread is that of a random linear function of the last hidden
    layer, so that exploration can be smooth in time (Raffin et al., 2021).
    """

    def __init__(self, n_features: int, n_action: int, config: SACConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.gsde = config.exploration == 'gsde'
        batch_norm = config.normalization == 'batch'
        self.norms = nn.ModuleList(
            BatchRenorm((1, size)) for size in (n_features, hidden, hidden) if batch_norm
        )
        self.hidden1 = nn.Linear(n_features, hidden)
        self.hidden2 = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, n_action if self.gsde else 2 * n_action)
        if self.gsde:
            self.log_std_matrix = nn.Parameter(torch.full((hidden, n_action), GSDE_LOG_STD))

    def forward(
        self, features: Tensor, noise: Tensor | None = None, moments: Moments | None = None
    ) -> tuple[Tensor, Tensor]:
        """Map features (B, n_features) to mean and log_std before the tanh, each (B, n_act).

        Args:
            features: what the observation was made into.
            noise: standard normal (hidden, n_act), which moves the mean along gSDE's function.
            moments: given in training, takes the new running moments of batch renormalisation.
        """
        x = self._normalized(features, 0, moments)
        for i, layer in enumerate((self.hidden1, self.hidden2), 1):
            x = F.relu(x @ layer.weight.T + layer.bias)
            x = self._normalized(x, i, moments)
        if not self.gsde:
            # The few rows of the head on the left: twice as fast as its few columns on the right.
            both = (self.head.weight @ x.T).T + self.head.bias
            mean, log_std = both.chunk(2, dim=-1)
            return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)
        mean = self.head(x)
        std = self.log_std_matrix.clamp(LOG_STD_MIN, LOG_STD_MAX).exp()
        if noise is not None:
            mean = mean + x @ (std * noise)
        # The spread is not to be learned through the features (Raffin et al., section 3.2).
        variance = x.detach().square() @ std.square()
        return mean, 0.5 * (variance + 1e-6).log()

    def _normalized(self, x: Tensor, i: int, moments: Moments | None) -> Tensor:
        return self.norms[i](x, f'norms.{i}', moments) if len(self.norms) else x


class Critics(nn.Module):
    """Independent critics of one shape, evaluated together as batched matrix products.

    Layer normalisation and dropout come before the ReLU, as in DroQ (Hiraoka et al., 2022); batch
    renormalisation of the input and after each ReLU, as in CrossQ (Bhatt et al., 2024). With
    atoms the output is their logits, and three numbers say where they lie (`categorical.Bounds`).
    """

    def __init__(self, n_features: int, n_action: int, config: SACConfig) -> None:
        super().__init__()
        n, hidden = config.n_critics, config.hidden
        self.dropout = config.dropout
        sizes = (n_features + n_action, hidden, hidden, config.atoms or 1)
        self.n_atoms = config.atoms
        if config.atoms:
            for name in ('low', 'high', 'bonus'):
                self.register_buffer(name, torch.zeros(()))
        self.layer_norms, self.batch_norms = nn.ModuleList(), nn.ModuleList()
        if config.normalization == 'layer':
            self.layer_norms.extend(LayerNorm((n, 1, hidden)) for _ in range(2))
        elif config.normalization == 'batch':
            self.batch_norms.extend(BatchRenorm((n, 1, size)) for size in sizes[:-1])
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for n_in, n_out in itertools.pairwise(sizes):
            bound = 1 / math.sqrt(n_in)  # the initialisation of nn.Linear
            self.weights.append(torch.empty(n, n_in, n_out).uniform_(-bound, bound))
            self.biases.append(torch.empty(n, 1, n_out).uniform_(-bound, bound))

    def forward(
        self,
        features: Tensor,
        action: Tensor,
        uniform: Tensor | None = None,
        moments: Moments | None = None,
    ) -> Tensor:
        """Map features (B, n_features) and actions (B, n_act) to values (n_critics, B).

        With atoms it gives their logits (n_critics, B, n_atoms) instead.

        Args:
            features: what the observation was made into.
            action: in [-1, 1].
            uniform: in [0, 1), (2, n_critics, B + hidden), for the masks of dropout; without it
                nothing is dropped.
            moments: given in training, takes the new running moments of batch renormalisation.
        """
        x = torch.cat((features, action), dim=1)
        x = x.expand(self.weights[0].shape[0], *x.shape)
        for i in range(2):
            x = self._batch_normalized(x, i, moments)
            x = x @ self.weights[i] + self.biases[i]
            if self.dropout and uniform is not None:
                x = x * dropout_mask(uniform[i], x.shape[-1], self.dropout)
            if len(self.layer_norms):
                x = self.layer_norms[i](x)
            x = F.relu(x)
        x = self._batch_normalized(x, 2, moments)
        q: Tensor
        if self.n_atoms:
            q = x @ self.weights[2] + self.biases[2]
            return q
        # One output: a weighted sum is faster than a matrix product with one column.
        q = (x * self.weights[2].transpose(1, 2)).sum(-1) + self.biases[2].squeeze(-1)
        return q

    def _batch_normalized(self, x: Tensor, i: int, moments: Moments | None) -> Tensor:
        norms = self.batch_norms
        return norms[i](x, f'batch_norms.{i}', moments) if len(norms) else x


class Policy(nn.Module):
    """The deterministic policy that is exported: raw observation in, torque out.

    torque = offset + limit * clip(base + authority * tanh(mean(features(observation))), -1, 1)

    with the output of the base controller; without one, base is 0 and authority 1.

    It computes in float64 inside: sums of float32 in another order differ by up to 1e-5 of the
    limit, so that two runtimes would disagree.
    """

    limit: Tensor
    offset: Tensor

    def __init__(
        self,
        spec: PolicySpec,
        features: Features,
        normalizer: Normalizer | None,
        actor: Actor,
        controller: BaseController | None = None,
    ) -> None:
        super().__init__()
        self.controller = controller
        self.features, self.normalizer, self.actor = features, normalizer, actor
        self.register_buffer('limit', torch.tensor(spec.torque_limit))
        self.register_buffer('offset', torch.tensor(spec.torque_offset))
        self.double()

    def forward(self, observation: Tensor) -> Tensor:
        """Map raw observations (B, n_obs) to torques (B, n_act) [N·m], float32 both."""
        observation = observation.double()
        place = self.features.place(observation)
        features = self.features(observation, place)
        if self.normalizer is not None:
            features = self.normalizer(features)
        mean, _ = self.actor(features)
        base = None
        if self.controller is not None and place is not None:
            base = self.controller(observation, place)
        return (self.offset + self.limit * with_base(base, torch.tanh(mean))).float()


def sample_action(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return a = tanh(mean + std * noise) (B, n_act) and its log-probability (B,).

    log pi(a) = log N(u; mean, std) - sum log(1 - tanh(u)^2), with the last term written as
    2 (log 2 - u - softplus(-2u)), which stays finite however far u lies in the tails
    (Haarnoja et al., 2018, "Soft Actor-Critic Algorithms and Applications", appendix C).
    """
    raw = mean + log_std.exp() * noise
    log_normal = -0.5 * (noise.square() + math.log(2 * math.pi)) - log_std
    squash = 2 * (math.log(2) - raw - F.softplus(-2 * raw))
    return torch.tanh(raw), (log_normal - squash).sum(dim=-1)
