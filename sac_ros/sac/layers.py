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

"""Parts of networks: normalisation, dropout's masks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# CrossQ's constants of batch renormalisation.
RENORM_R, RENORM_D, RENORM_MOMENTUM, RENORM_EPSILON = 3.0, 5.0, 0.01, 1e-3
NORMALIZER_EPSILON, NORMALIZER_BOUND = 1e-6, 10.0

Moments = dict[str, Tensor]  # running moments by the names of the modules' buffers


class LayerNorm(nn.Module):
    """Layer normalisation with a scale and a shift per critic (Ba et al., 2016)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        return F.layer_norm(x, x.shape[-1:]) * self.scale + self.shift


class BatchRenorm(nn.Module):
    """Batch renormalisation (Ioffe, 2017) with running moments that are handed over, not changed.

    Training normalises by the batch, corrected towards the running moments by a bounded affine
    map through which no gradient flows; otherwise the running moments alone are used.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))
        self.register_buffer('mean', torch.zeros(shape))
        self.register_buffer('variance', torch.ones(shape))

    def forward(self, x: Tensor, name: str, moments: Moments | None) -> Tensor:
        """Normalise x (..., B, width) over B; `moments[name + ...]` takes the new moments."""
        running = (self.variance + RENORM_EPSILON).sqrt()
        if moments is None:
            return (x - self.mean) / running * self.scale + self.shift
        mean = x.mean(-2, keepdim=True)
        variance = (x - mean).square().mean(-2, keepdim=True)
        std = (variance + RENORM_EPSILON).sqrt()
        r = (std / running).detach().clamp(1 / RENORM_R, RENORM_R)
        d = ((mean - self.mean) / running).detach().clamp(-RENORM_D, RENORM_D)
        moments[f'{name}.mean'] = torch.lerp(self.mean, mean.detach(), RENORM_MOMENTUM)
        moments[f'{name}.variance'] = torch.lerp(self.variance, variance.detach(), RENORM_MOMENTUM)
        return ((x - mean) / std * r + d) * self.scale + self.shift


class Normalizer(nn.Module):
    """Features with mean 0 and variance 1 over what was drawn from the replay so far."""

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer('mean', torch.zeros(n_features))
        self.register_buffer('variance', torch.ones(n_features))
        self.register_buffer('count', torch.zeros((), dtype=torch.int64))

    def forward(self, features: Tensor) -> Tensor:
        """Normalise (B, n_features); nothing leaves [-10, 10]."""
        spread = (self.variance + NORMALIZER_EPSILON).sqrt()
        return ((features - self.mean) / spread).clamp(-NORMALIZER_BOUND, NORMALIZER_BOUND)

    def updated(self, moments: Moments, features: Tensor) -> Moments:
        """Return the moments with a batch taken in (Chan et al., 1979, pairwise update)."""
        count = moments['count'] + len(features)
        share = (len(features) / count).float()
        mean = features.mean(0)
        spread = (features - mean).square().mean(0)
        jump = mean - moments['mean']
        variance = torch.lerp(moments['variance'], spread, share)
        return {
            'mean': torch.lerp(moments['mean'], mean, share),
            'variance': variance + share * (1 - share) * jump.square(),
            'count': count,
        }


def dropout_mask(uniform: Tensor, width: int, rate: float) -> Tensor:
    """Return dropout's mask (n_critics, B, width) with 1 / (1 - rate) where a unit is kept.

    Args:
        uniform: in [0, 1), (n_critics, B + width).
        width: units of the layer.
        rate: share of units that are dropped.

    Sums of a number per row and one per column, modulo one, are uniform and independent in pairs:
    B + width random numbers do for B * width, and drawing them was what dropout costs on a CPU.
    """
    rows, columns = uniform[:, :-width, None], uniform[:, None, -width:]
    keep: Tensor = ((rows + columns).frac() >= rate) / (1 - rate)
    return keep
