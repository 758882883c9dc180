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

"""Use the replay alone: record transitions on disk and fit a model to them with PyTorch.

pip install 'sac_ros[replay]' torch
python examples/replay_with_torch.py --directory pendulum_replay
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from sac_ros import ReplayReader, ReplayWriter, Transition


def record(directory: str, steps: int) -> None:
    """Append transitions of a pendulum under random torque, in episodes of 100 steps."""
    rng = np.random.default_rng(0)
    with ReplayWriter(directory, n_observation=2, n_action=1) as writer:
        for step in range(steps):
            if step % 100 == 0:
                state = rng.uniform(-1, 1, 2)  # angle [rad], velocity [rad/s]
            action = rng.uniform(-1, 1, 1)
            velocity = state[1] + 0.05 * (action[0] - np.sin(state[0]))
            following = np.array([state[0] + 0.05 * velocity, velocity])
            transition = Transition(state, action, -abs(state[0]), False, following)
            writer.append(transition, truncated=step % 100 == 99)
            state = following


def fit(directory: str, updates: int) -> float:
    """Fit a network to the change of state; return its mean squared error."""
    reader, rng = ReplayReader(directory), np.random.default_rng(1)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 64), torch.nn.Tanh(), torch.nn.Linear(64, 2))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    rows = torch.empty(256, reader.words)  # used again for every batch
    for _ in range(updates):
        reader.sample(256, rng, out=rows.numpy())
        batch = reader.layout.split(rows)  # views of shape (256, ...)
        change = model(torch.cat((batch.observation, batch.action), dim=1))
        loss = (change - (batch.next_observation - batch.observation)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss.detach())


def main() -> None:
    """Record and fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--directory', default='pendulum_replay')
    parser.add_argument('--steps', type=int, default=5_000)
    parser.add_argument('--updates', type=int, default=500)
    options = parser.parse_args()
    record(options.directory, options.steps)
    print(f'{len(ReplayReader(options.directory))} transitions in {options.directory}')
    error = fit(options.directory, options.updates)
    print(f'mean squared error of the predicted change {error:.2e}')


if __name__ == '__main__':
    main()
