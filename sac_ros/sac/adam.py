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

"""Adam (Kingma and Ba, 2015) as tensor expressions, for use inside one compiled graph."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8

Parameters = dict[str, Tensor]


class AdamState(NamedTuple):
    """Running means of the gradient and of its square."""

    first: Parameters
    second: Parameters
    steps: Tensor  # () so far, int64: torch 2.13 does not write a float64 () in place


def adam_state(parameters: Parameters) -> AdamState:
    """Return the state before the first step."""
    device = next(iter(parameters.values())).device
    return AdamState(
        {name: torch.zeros_like(value) for name, value in parameters.items()},
        {name: torch.zeros_like(value) for name, value in parameters.items()},
        torch.zeros((), dtype=torch.int64, device=device),
    )


def adam_step(
    parameters: Parameters,
    gradient: Parameters,
    state: AdamState,
    learning_rate: float,
    beta1: float = BETA1,
) -> tuple[Parameters, AdamState]:
    """Take one step of algorithm 1 against the gradient; nothing is changed in place."""
    steps = state.steps + 1
    first = {k: torch.lerp(m, gradient[k], 1 - beta1) for k, m in state.first.items()}
    second = {k: torch.lerp(v, gradient[k].square(), 1 - BETA2) for k, v in state.second.items()}
    # As exponentials, whose results the compiler keeps: other scalar arithmetic it puts inside the
    # loop over the parameters, where two powers took half the time of the step.
    exact = steps.double()
    rate = (learning_rate * (-torch.log1p(-(beta1**exact))).exp()).float()
    root = (0.5 * torch.log1p(-(BETA2**exact))).exp().float()
    new = {
        k: p - rate * first[k] / (second[k].sqrt() / root + EPSILON) for k, p in parameters.items()
    }
    return new, AdamState(first, second, steps)
