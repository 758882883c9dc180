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

"""Specifications, batches and settings of small learners."""

import dataclasses

import torch

from sac_ros.config.training import SACConfig
from sac_ros.spec import ObservationField, PolicySpec
from sac_ros.types import Transition


def problem(n_observation=2, n_action=1):
    return PolicySpec(
        joint_names=tuple(f'j{i}' for i in range(n_action)),
        observation=(ObservationField('observation', n_observation, ''),),
        torque_limit=(1.0,) * n_action,
        position_lower=(-1.0,) * n_action,
        position_upper=(1.0,) * n_action,
        velocity_limit=(1.0,) * n_action,
        control_period=0.05,
        model_hash='test',
    )


def batch(n=32, n_observation=2, n_action=1, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return Transition(
        torch.randn(n, n_observation, generator=draw),
        torch.rand(n, n_action, generator=draw) * 2 - 1,
        torch.randn(n, generator=draw),
        (torch.rand(n, generator=draw) < 0.5).float(),
        torch.randn(n, n_observation, generator=draw),
    )


def noise(sac, seed=0):
    return sac.noise(torch.Generator().manual_seed(seed))


PLAIN = SACConfig(
    hidden=16, batch_size=64, normalization='none', normalize_observation=False,
    critic_loss='squared', actor_ema_rate=1.0,
)  # fmt: skip


SMALL = dataclasses.replace(PLAIN, batch_size=32)
