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

"""The best policy of a run so far, by acceptance from rest, as a checkpoint of its own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from sac_ros.config.base import flatten
from sac_ros.config.training import TrainConfig
from sac_ros.errors import CheckpointError
from sac_ros.sac.state import LearnerState
from sac_ros.spec import PolicySpec
from sac_ros.training.acceptance_figures import PassFigures
from sac_ros.training.checkpoint import config_of, load_checkpoint, load_notes, save_checkpoint

# Settings that decide whether two evaluations can be compared and their learners loaded.
COMPARED = (
    'arm.',
    'task.',
    'randomization.',
    'controller.',
    'sac.',
    'eval_episodes',
    'episode_steps',
)


class BestCheckpoint:
    """The file `best.npz` of a run directory; it carries its own rank, so a resumed run knows it.

    A file of other settings is ignored, and replaced by the first candidate.
    """

    def __init__(self, run_dir: Path, spec: PolicySpec, config: TrainConfig) -> None:
        """Read what is known of the best so far.

        Raises:
            CheckpointError: the file is damaged.
        """
        self.path = run_dir / 'best.npz'
        self._spec, self._config = spec.to_json(), flatten(config)
        self.step: int | None = None  # environment step of the best, None without one
        self._rank: tuple[float, ...] = (math.inf,)
        if self.path.exists():
            self._read(load_notes(self.path))

    def offer(self, state: LearnerState, step: int, figures: PassFigures) -> bool:
        """Keep a learner if it is better than the best so far; whether it was.

        Raises:
            CheckpointError: the disk fails; the best so far is still there.
        """
        rank = figures.rank()
        if not rank < self._rank:
            return False
        notes = {'spec': self._spec, 'config': self._config, 'step': step, 'rank': list(rank)}
        save_checkpoint(self.path, state, notes)
        self.step, self._rank = step, rank
        return True

    def load(self, like: LearnerState) -> LearnerState:
        """Return the best learner.

        Args:
            like: a learner of the same shapes.

        Raises:
            CheckpointError: the file is damaged or missing.
        """
        return load_checkpoint(self.path, like)[0]

    def _read(self, notes: dict[str, Any]) -> None:
        try:
            same = notes['spec'] == self._spec and _compared(
                flatten(config_of(notes))
            ) == _compared(self._config)
            if same:
                self.step, self._rank = int(notes['step']), tuple(map(float, notes['rank']))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f'{self.path} lacks or has a wrong {error}; remove it to begin anew with the best'
            ) from error


def _compared(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name.startswith(COMPARED)}
