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

"""Videos of a policy, in files and in the log of a run, and the viewer."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from event_files import records
from PIL import Image
from policy_files import linear_policy, save

from sac_ros.cli.main import main
from sac_ros.config.robot import ArmConfig, ControllerConfig, TaskConfig
from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.errors import ConfigError, EnvError
from sac_ros.robot.loader import load_robot
from sac_ros.sim.arm import SimArm
from sac_ros.sim.rendering import OffscreenRenderer
from sac_ros.tasks.reach import reach_spec
from sac_ros.training.trainer import Trainer
from sac_ros.training.training_log import NAMES
from sac_ros.training.video import write_video


@pytest.fixture(scope='module')
def drawing():
    """Skip where MuJoCo has nothing to draw with."""
    try:
        OffscreenRenderer(SimArm(ArmConfig())).close()
    except EnvError as error:
        pytest.skip(str(error))


def test_a_run_logs_usual_names_and_films_its_evaluations(tmp_path, drawing):
    config = TrainConfig(
        run_dir=str(tmp_path / 'run'),
        steps=300,
        learning_starts=100,
        eval_every=300,
        eval_episodes=1,
        compile=False,
        sac=SACConfig(hidden=16, batch_size=16),
        task=TaskConfig(episode_steps=20),
        controller=ControllerConfig('none'),
    )
    Trainer(config).run()
    (file,) = (tmp_path / 'run/log').iterdir()
    content = b''.join(records(file))
    for name in (*NAMES.values(), 'eval/mean_reward', 'eval/success_rate'):
        assert name.encode() in content, name
    start = content.index(b'GIF89a')
    (tmp_path / 'video.gif').write_bytes(content[start:])
    assert Image.open(tmp_path / 'video.gif').n_frames > 5


def test_watch_writes_a_video_where_there_is_no_screen(tmp_path, monkeypatch, capsys, drawing):
    monkeypatch.delenv('DISPLAY', raising=False)
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    monkeypatch.chdir(tmp_path)
    moves = linear_policy(reach_spec(load_robot(), 0.02, True), bias=[2, 2, 1, 0.5, 0.5, 0.5])
    policy = save(moves, tmp_path / 'policy.onnx')
    settings = ['--task.episode_steps', '15', '--episodes', '2']
    assert main(['watch', str(policy), *settings, '--output', 'a.gif']) == 0
    assert Image.open('a.gif').n_frames > 15
    assert Image.open('a.gif').size == (640, 480)
    assert main(['watch', str(policy), *settings, '--episodes', '1']) == 0
    made = 'policy.mp4' if shutil.which('ffmpeg') else 'policy.gif'
    assert (tmp_path / made).stat().st_size > 1000
    assert made in capsys.readouterr().out
    assert main(['watch', str(policy), '--episodes', '0']) == 2


def watch_on(display, policy):
    """Run `sac_ros watch` with a screen, in a process of its own as MuJoCo's viewer wants it."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ('WAYLAND_DISPLAY', 'MUJOCO_GL')
    }
    command = [sys.executable, '-m', 'sac_ros', 'watch', str(policy), '--task.episode_steps', '9']
    return subprocess.run(
        command,
        env={**environment, 'DISPLAY': display},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def policy(tmp_path):
    return save(linear_policy(reach_spec(load_robot(), 0.02, True)), tmp_path / 'policy.onnx')


def test_watch_opens_a_window_and_ends_in_peace(policy):
    if shutil.which('Xvfb') is None:
        pytest.skip('Xvfb is not installed: apt install xvfb libgl1-mesa-dri')
    readable, writable = os.pipe()
    options = ['-displayfd', str(writable), '-screen', '0', '800x600x24', '+extension', 'GLX']
    with subprocess.Popen(
        ['Xvfb', *options], pass_fds=[writable], stderr=subprocess.DEVNULL
    ) as screen:
        os.close(writable)
        with open(readable) as number:
            result = watch_on(f':{number.readline().strip()}', policy)
        screen.terminate()
    assert (result.returncode, result.stdout) == (0, ''), result.stderr


def test_a_screen_that_is_not_there_is_one_line(policy):
    result = watch_on(':4711', policy)
    assert result.returncode == 2
    assert result.stderr.count('\n') == 1 and 'no window can be opened here' in result.stderr


def test_a_video_of_another_kind_is_refused(tmp_path):
    frames = [np.zeros((8, 8, 3), np.uint8)]
    with pytest.raises(ConfigError, match='written as'):
        write_video(tmp_path / 'a.avi', frames, 0.05)
    if shutil.which('ffmpeg') is None:
        with pytest.raises(ConfigError, match='needs the program ffmpeg'):
            write_video(tmp_path / 'a.mp4', frames, 0.05)
