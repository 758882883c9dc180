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

"""Values as probabilities of evenly spaced returns, the atoms, and how a backup moves them.

Bellemare et al., 2017, "A Distributional Perspective on Reinforcement Learning" (C51). Unlike
there nobody has to know the range of returns: it follows from the rewards.
"""

from __future__ import annotations

import torch
from torch import Tensor

# The least and the largest return that the rewards so far can add up to, low () and high (), and
# what entropy adds to that at present, bonus ().
Bounds = dict[str, Tensor]


def expand_support(bounds: Bounds, reward: Tensor, discount: Tensor, bonus: Tensor) -> Bounds:
    """Return bounds that no backup of these transitions leaves.

    v = r / (1 - d) is where r + d v = v, so that the least and the largest of those will do; a
    reward without a successor (d = 0) is a return itself. Where entropy adds b to every value it
    adds b d / (1 - d) in all. As the temperature falls, so does this; rewards are not forgotten.

    Args:
        bounds: so far.
        reward: r (B,).
        discount: d (B,) in [0, 1).
        bonus: b (), at present.
    """
    forever = reward / (1 - discount)
    return {
        'low': torch.minimum(bounds['low'], forever.min()),
        'high': torch.maximum(bounds['high'], forever.max()),
        'bonus': bonus * (discount / (1 - discount)).max(),
    }


def support_bounds(bounds: Bounds) -> tuple[Tensor, Tensor]:
    """Return the outermost atoms (), ()."""
    bonus = bounds['bonus']
    return bounds['low'] + bonus.clamp(max=0), bounds['high'] + bonus.clamp(min=0)


def atoms(bounds: Bounds, n: int) -> Tensor:
    """Return n evenly spaced returns (n,)."""
    low, high = support_bounds(bounds)
    return low + (high - low) * torch.linspace(0, 1, n, device=low.device)


def expectation(logits: Tensor, bounds: Bounds) -> Tensor:
    """Return the mean (...) of the distributions that logits (..., n) stand for."""
    mean: Tensor = (logits.softmax(-1) * atoms(bounds, logits.shape[-1])).sum(-1)
    return mean


def min_critic_logits(logits: Tensor, bounds: Bounds) -> Tensor:
    """Return, of critics' logits (n_critics, B, n), those of the least mean (B, n)."""
    which = expectation(logits, bounds).argmin(0)
    chosen: Tensor = logits.gather(0, which[None, :, None].expand(1, *logits.shape[1:]))[0]
    return chosen


def project_distribution(probability: Tensor, returns: Tensor, bounds: Bounds) -> Tensor:
    """Return probabilities (B, n) of the atoms for those of any returns (B, n).

    Each goes to the two atoms beside it, the nearer one taking more, which keeps the mean; returns
    out of bounds go to the outermost atom.
    """
    last = probability.shape[-1] - 1
    low, high = support_bounds(bounds)
    place = ((returns - low) / (high - low).clamp(min=1e-30) * last).clamp(0, last)
    left = place.floor().clamp(max=last - 1)
    share, index = place - left, left.long()
    target = torch.zeros_like(probability).scatter_add(-1, index, probability * (1 - share))
    return target.scatter_add(-1, index + 1, probability * share)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return -sum_k target_k log p_k (...) of logits and target probabilities (..., n)."""
    return -(target * logits.log_softmax(-1)).sum(-1)
