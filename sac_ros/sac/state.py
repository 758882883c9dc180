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

"""What an update of Soft Actor-Critic reads and writes."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from sac_ros.sac.adam import AdamState, Parameters
from sac_ros.sac.base_controller import Base
from sac_ros.sac.layers import Moments


class RunningStats(NamedTuple):
    """Running moments of what is normalised; empty where nothing is."""

    observation: Moments
    actor: Moments
    critic: Moments


class LearnerState(NamedTuple):
    """Everything that an update reads and writes."""

    actor: Parameters
    average_actor: Parameters  # its running mean (Polyak), which is deployed; empty if it is the
    # actor itself
    critic: Parameters
    target_critic: Parameters  # empty with batch renormalisation
    temperature: Parameters  # one entry, log_alpha ()
    actor_adam: AdamState
    critic_adam: AdamState
    temperature_adam: AdamState
    running: RunningStats


class Noise(NamedTuple):
    """All that is random in one update; None where its setting is off."""

    next_action: Tensor  # standard normal (B, n_act)
    action: Tensor  # standard normal (B, n_act)
    chosen: Tensor | None = None  # indices of the critics of the target (target_critics,)
    uniform: Tensor | None = None  # for dropout in [0, 1), (3, 2, n_critics, B + hidden)

    def to(self, device: str) -> Noise:
        """Return it on another device."""
        return Noise(*(None if part is None else part.to(device) for part in self))  # type: ignore[arg-type]


class CriticInputs(NamedTuple):
    """A batch as the networks see it."""

    features: Tensor  # (B, n_features)
    action: Tensor  # (B, n_act)
    reward: Tensor  # (B,)
    discount: Tensor  # (B,), 0 where the episode terminated
    next_features: Tensor  # (B, n_features)
    next_action: Tensor  # (B, n_act), drawn from the policy
    next_log_prob: Tensor  # (B,), weighted as `base_controller.entropy_weight` says
    base: Base | None = None  # of the observation, where there is a base controller
