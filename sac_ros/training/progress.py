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

"""Training progress: running figures of a run, for display and for its checkpoint."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

import numpy as np

from sac_ros.config.training import TrainConfig
from sac_ros.training.collector import EndedEpisode
from sac_ros.training.evaluation import Evaluation

EPISODE_WINDOW = 20  # episodes that the running figures average over
RATE_SECONDS = 20.0  # [s] that rates are taken over


class TrainingProgress(NamedTuple):
    """Training progress for display. NaN where a figure is not known yet."""

    step: int
    steps: int
    mean_return: float  # over the last EPISODE_WINDOW episodes of training
    success_rate: float
    alpha: float
    entropy: float  # [nat]
    updates_per_second: float
    seconds_left: float
    evaluation: Evaluation | None


class ProgressMeter:
    """Average the last episodes and measure rates.

    Attributes:
        returns: of the last EPISODE_WINDOW episodes.
        successes: of the same.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.returns: deque[float] = deque(maxlen=EPISODE_WINDOW)
        self.successes: deque[float] = deque(maxlen=EPISODE_WINDOW)
        self._config = config
        self._rate_samples: deque[tuple[float, int]] = deque()  # time [s], step

    def start(self, step: int) -> None:
        """Measure rates from here on."""
        self._rate_samples = deque([(time.monotonic(), step)])

    def add(self, episode: EndedEpisode) -> None:
        """Take in an episode that has ended."""
        self.returns.append(episode.total)
        self.successes.append(episode.success)

    def report(
        self, step: int, figures: dict[str, float], evaluation: Evaluation | None
    ) -> TrainingProgress:
        """Return the progress at a step; rates are those of the last RATE_SECONDS.

        Args:
            step: environment steps so far.
            figures: of the learner.
            evaluation: the newest one.
        """
        config, now = self._config, time.monotonic()
        samples = self._rate_samples
        samples.append((now, step))
        while len(samples) > 2 and now - samples[0][0] > RATE_SECONDS:
            samples.popleft()
        start, start_step = samples[0]
        rate = (step - start_step) / (now - start) if now > start else 0.0
        return TrainingProgress(
            step,
            config.steps,
            float(np.mean(self.returns)) if self.returns else np.nan,
            float(np.mean(self.successes)) if self.successes else np.nan,
            figures.get('alpha', config.sac.initial_alpha),
            figures.get('entropy', np.nan),
            rate * config.gradient_steps if step > config.learning_starts else 0.0,
            (config.steps - step) / rate if rate > 0 else np.nan,
            evaluation,
        )
