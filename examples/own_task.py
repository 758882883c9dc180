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

"""Train the default arm on a task of your own: hold the tip at a random height.

python examples/own_task.py --run_dir runs/height
"""

from __future__ import annotations

import argparse

import numpy as np

from sac_ros import ObservationField, StepResult, Task, TaskConfig, TrainConfig, Trainer, closeness


class HoldHeight(Task):
    """Hold the tip at a random height."""

    fields = (ObservationField('height', 1, 'm'),)

    def initialize_episode(self, rng: np.random.Generator) -> None:
        """Draw the height of a point that the tip can reach."""
        self.goal = self.sample_posture(rng).tip

    def observe(self) -> np.ndarray:
        """Return the height (1,) [m]."""
        return self.goal[2:]

    def reward(self, motion: StepResult) -> float:
        """Return how close the tip is to the height, from 0 to 1."""
        return float(closeness(self._error(motion)))

    def success(self, motion: StepResult) -> bool:
        """Whether the tip is within the success radius of the height."""
        return self._error(motion) <= self.config.success_radius

    def _error(self, motion: StepResult) -> np.ndarray:
        return abs(motion.tip[2] - self.goal[2])


def main() -> None:
    """Train and evaluate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--run_dir', default='runs/height')
    parser.add_argument('--steps', type=int, default=5_000)
    options = parser.parse_args()
    config = TrainConfig(
        run_dir=options.run_dir,
        steps=options.steps,
        task=TaskConfig(name=f'{__file__}:HoldHeight'),
        compile=options.steps > 1_000,
        eval_episodes=5,
        video=False,
    )
    trainer = Trainer(config)
    trainer.run(lambda t: t.step % 500 or print(f'step {t.step}'))
    result = trainer.evaluate(10)
    trainer.export()
    print(f'success {100 * result.success_rate:.0f} % of {result.episodes} episodes')
    print(f'policy {trainer.policy_path}')


if __name__ == '__main__':
    main()
