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

"""What a run tells TensorBoard, under the names that the field uses."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path

from sac_ros.config.training import ARM_ENV, TrainConfig
from sac_ros.envs.arm_env import ArmEnv
from sac_ros.errors import EnvError
from sac_ros.seeds import evaluation_seed
from sac_ros.training.evaluation import Evaluation
from sac_ros.training.rollout import PolicyFn
from sac_ros.training.tensorboard import EventLog
from sac_ros.training.video import film, gif

WIDTH, HEIGHT = 320, 240  # pixels of a video
NAMES = {
    'mean_return': 'rollout/ep_rew_mean',
    'success_rate': 'rollout/success_rate',
    'alpha': 'train/ent_coef',
    'alpha_loss': 'train/ent_coef_loss',
    'entropy': 'train/entropy',
    'updates_per_second': 'time/updates_per_second',
    'critic_loss': 'train/critic_loss',
    'actor_loss': 'train/actor_loss',
    'q': 'train/q_mean',
}
logger = logging.getLogger(__name__)


class TrainingLog:
    """The event files in the directory `log` of a run; begun with the first figure."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._log: EventLog | None = None
        self._draws = config.video and config.env == ARM_ENV
        self._env: ArmEnv | None = None

    def progress(self, step: int, figures: Mapping[str, float]) -> None:
        """Write what is known of `NAMES`."""
        values = {
            tag: figures[name]
            for name, tag in NAMES.items()
            if name in figures and not math.isnan(figures[name])
        }
        if self._config.tensorboard and values:
            self._events().scalars(step, values)

    def evaluation(self, step: int, result: Evaluation, act: PolicyFn) -> None:
        """Write the figures of an evaluation and a video of its first episode."""
        if not self._config.tensorboard:
            return
        values = {'eval/mean_reward': result.mean_return, 'eval/std_reward': result.std_return}
        if not math.isnan(result.success_rate):
            values['eval/success_rate'] = result.success_rate
        self._events().scalars(step, values)
        if self._draws:
            self._film(step, act)

    def close(self) -> None:
        """End the file, and let the drawing surface go."""
        if self._log is not None:
            self._log.close()
        if self._env is not None:
            self._env.close()
        self._log = self._env = None

    def _events(self) -> EventLog:
        if self._log is None:
            self._log = EventLog(Path(self._config.run_dir) / 'log')
        return self._log

    def _film(self, step: int, act: PolicyFn) -> None:
        try:
            if self._env is None:
                self._env = ArmEnv(self._config, render_mode='rgb_array', size=(WIDTH, HEIGHT))
            frames = film(self._env, act, evaluation_seed(0))
        except EnvError as error:
            self._draws = False
            logger.warning('no videos in the log: %s', error)
            return
        content = gif(frames, self._config.arm.control_period)
        self._events().picture(step, 'eval/video', content, WIDTH, HEIGHT)
