"""The networks: a squashed Gaussian actor, many critics, the policy that is exported."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sac_ros.features import Features
from sac_ros.spec import PolicySpec

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0


class Actor(nn.Module):
    """Two hidden layers, then the mean and the logarithm of the spread of a Gaussian."""

    def __init__(self, n_features: int, n_action: int, hidden: int) -> None:
        super().__init__()
        self.hidden1 = nn.Linear(n_features, hidden)
        self.hidden2 = nn.Linear(hidden, hidden)
        self.mean = nn.Linear(hidden, n_action)
        self.log_std = nn.Linear(hidden, n_action)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map features (B, n_features) to mean and log_std before the tanh, each (B, n_act)."""
        x = F.relu(self.hidden2(F.relu(self.hidden1(features))))
        return self.mean(x), self.log_std(x).clamp(LOG_STD_MIN, LOG_STD_MAX)


class Critics(nn.Module):
    """Independent critics of one shape, evaluated together as batched matrix products.

    With `layer_norm` each hidden layer is normalised before its ReLU, as in DroQ (Hiraoka et al.,
    2022): values then extrapolate less, which allows more updates per step.
    """

    def __init__(
        self, n_critics: int, n_features: int, n_action: int, hidden: int, layer_norm: bool = False
    ) -> None:
        super().__init__()
        self.scales = nn.ParameterList()
        self.shifts = nn.ParameterList()
        if layer_norm:
            for _ in range(2):
                self.scales.append(torch.ones(n_critics, 1, hidden))
                self.shifts.append(torch.zeros(n_critics, 1, hidden))
        sizes = (n_features + n_action, hidden, hidden, 1)
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for n_in, n_out in itertools.pairwise(sizes):
            bound = 1 / math.sqrt(n_in)  # the initialisation of nn.Linear
            self.weights.append(torch.empty(n_critics, n_in, n_out).uniform_(-bound, bound))
            self.biases.append(torch.empty(n_critics, 1, n_out).uniform_(-bound, bound))

    def forward(self, features: Tensor, action: Tensor) -> Tensor:
        """Map features (B, n_features) and actions (B, n_act) to values (n_critics, B)."""
        x = torch.cat((features, action), dim=1)
        x = x.expand(self.weights[0].shape[0], *x.shape)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if i < len(self.scales):
                x = F.layer_norm(x, x.shape[-1:]) * self.scales[i] + self.shifts[i]
            x = x if i == last else F.relu(x)
        return x.squeeze(-1)


class Policy(nn.Module):
    """The deterministic policy that is exported: raw observation in, torque out.

    torque = offset + limit * tanh(mean(features(observation)))

    It computes in float64 inside: sums of float32 in another order differ by up to 1e-5 of the
    limit, so that two runtimes would disagree.
    """

    limit: Tensor
    offset: Tensor

    def __init__(self, spec: PolicySpec, features: Features, actor: Actor) -> None:
        super().__init__()
        self.features, self.actor = features, actor
        self.register_buffer('limit', torch.tensor(spec.torque_limit))
        self.register_buffer('offset', torch.tensor(spec.torque_offset))
        self.double()

    def forward(self, observation: Tensor) -> Tensor:
        """Map raw observations (B, n_obs) to torques (B, n_act) [N·m], float32 both."""
        mean, _ = self.actor(self.features(observation.double()))
        return (self.offset + self.limit * torch.tanh(mean)).float()


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
