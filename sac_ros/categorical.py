"""Values as probabilities of evenly spaced returns, the atoms, and how a backup moves them.

Bellemare et al., 2017, "A Distributional Perspective on Reinforcement Learning" (C51). Unlike
there nobody has to know the range of returns: it follows from the rewards.
"""

from __future__ import annotations

import torch
from torch import Tensor

Bounds = dict[str, Tensor]  # the least and the largest atom: low (), high ()


def widened(bounds: Bounds, reward: Tensor, discount: Tensor) -> Bounds:
    """Return bounds (low <= v <= high) that hold r + d v for every v that they hold.

    v = r / (1 - d) is where r + d v = v, so that the least and the largest of those will do. A
    reward without a successor (d = 0) is a return itself.

    Args:
        bounds: so far; never left.
        reward: r (B,), with what entropy adds.
        discount: d (B,) in [0, 1).
    """
    forever = reward / (1 - discount)
    return {
        'low': torch.minimum(bounds['low'], forever.min()),
        'high': torch.maximum(bounds['high'], forever.max()),
    }


def atoms(bounds: Bounds, n: int) -> Tensor:
    """Return n evenly spaced returns (n,)."""
    low, high = bounds['low'], bounds['high']
    return low + (high - low) * torch.linspace(0, 1, n, device=low.device)


def expectation(logits: Tensor, bounds: Bounds) -> Tensor:
    """Return the mean (...) of the distributions that logits (..., n) stand for."""
    mean: Tensor = (logits.softmax(-1) * atoms(bounds, logits.shape[-1])).sum(-1)
    return mean


def least(logits: Tensor, bounds: Bounds) -> Tensor:
    """Return, of critics' logits (n_critics, B, n), those of the least mean (B, n)."""
    which = expectation(logits, bounds).argmin(0)
    chosen: Tensor = logits.gather(0, which[None, :, None].expand(1, *logits.shape[1:]))[0]
    return chosen


def projected(probability: Tensor, returns: Tensor, bounds: Bounds) -> Tensor:
    """Return probabilities (B, n) of the atoms for those of any returns (B, n).

    Each goes to the two atoms beside it, the nearer one taking more, which keeps the mean; returns
    out of bounds go to the outermost atom.
    """
    last = probability.shape[-1] - 1
    low, high = bounds['low'], bounds['high']
    place = ((returns - low) / (high - low).clamp(min=1e-30) * last).clamp(0, last)
    left = place.floor().clamp(max=last - 1)
    share, index = place - left, left.long()
    target = torch.zeros_like(probability).scatter_add(-1, index, probability * (1 - share))
    return target.scatter_add(-1, index + 1, probability * share)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return -sum_k target_k log p_k (...) of logits and target probabilities (..., n)."""
    return -(target * logits.log_softmax(-1)).sum(-1)
