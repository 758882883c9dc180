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

"""Train an environment of your own and use the exported policy.

python examples/train_own_env.py --run_dir runs/point
"""

from __future__ import annotations

import argparse
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from sac_ros import OnnxPolicy, SACConfig, TrainConfig, Trainer


class PointMass(gymnasium.Env[np.ndarray, np.ndarray]):
    """Push a point mass on a line to the origin."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float32)  # position [m], velocity [m/s]
    action_space = Box(-2.0, 2.0, (1,), np.float32)  # force [N]
    dt = 0.05  # [s]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start at rest within 1 m of the origin."""
        super().reset(seed=seed)
        self.position, self.velocity, self.steps = self.np_random.uniform(-1, 1), 0.0, 0
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Apply a force for one control period."""
        self.velocity += self.dt * float(action[0])
        self.position += self.dt * self.velocity
        self.steps += 1
        reward = -abs(self.position) - 0.1 * abs(self.velocity)
        return self._observe(), reward, False, self.steps >= 60, {}

    def _observe(self) -> np.ndarray:
        return np.array([self.position, self.velocity], np.float32)


def main() -> None:
    """Train, export, and run one episode with the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--run_dir', default='runs/point')
    parser.add_argument('--steps', type=int, default=2_000)
    options = parser.parse_args()

    config = TrainConfig(
        run_dir=options.run_dir,
        steps=options.steps,
        learning_starts=100,
        gradient_steps=2,
        compile=False,  # compiling pays from a few thousand updates on
        sac=SACConfig(hidden=64, batch_size=64, gamma=0.95),
    )
    trainer = Trainer(config, env=PointMass(), eval_env=PointMass())
    print(f'return before training {trainer.evaluate(10).mean_return:.1f}')
    trainer.run()  # Ctrl-C is safe: the next start resumes bit for bit
    print(f'return after {trainer.step} steps {trainer.evaluate(10).mean_return:.1f}')
    trainer.export()

    policy, env = OnnxPolicy(trainer.policy_path), PointMass()
    observation, _ = env.reset(seed=0)
    ended = False
    while not ended:
        observation, _, _, ended, _ = env.step(policy(observation))
    print(f'the exported policy ends {abs(env.position):.3f} m from the origin')


if __name__ == '__main__':
    main()
