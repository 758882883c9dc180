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

"""Short training runs, and what they leave on disk."""

from pathlib import Path

from sac_ros.config.robot import ControllerConfig, TaskConfig
from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.replay import ReplayReader
from sac_ros.training.trainer import Trainer

HIDDEN = SACConfig(hidden=8, batch_size=16)


def config(run_dir, **changes):
    values = dict(
        run_dir=str(run_dir), steps=200, gradient_steps=1, learning_starts=20, eval_every=50,
        eval_episodes=1, compile=False, video=False, task=TaskConfig(episode_steps=10), sac=HIDDEN,
        controller=ControllerConfig('none'),
    )  # fmt: skip
    if changes.get('sac', HIDDEN).n_step > 1:
        values['her_fraction'] = 0.0
    return TrainConfig(**{**values, **changes})


def rows(run_dir):
    replay = ReplayReader(Path(run_dir) / 'replay')
    packed = replay.rows(replay.sequences())
    return packed, replay.layout


def transitions(run_dir):
    packed, layout = rows(run_dir)
    return packed[:, : layout.trailer].copy()


def stop_at(run_dir, at, **changes):
    """Run until a step and stop as Ctrl-C does; return the trainer."""
    trainer = Trainer(config(run_dir, **changes))

    def stop(running):
        if running.step == at:
            running.request_stop()

    assert trainer.run(stop) is False
    assert trainer.step == at
    return trainer


def episodes(run_dir):
    packed, layout = rows(run_dir)
    return layout.episode(packed).tolist()
