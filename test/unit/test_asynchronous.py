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

"""A learner and a collector survive any end of the other one."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sac_ros.errors import ReplayError
from sac_ros.replay import ReplayReader
from sac_ros.training.checkpoint import load_notes

OPTIONS = (
    '--env', 'Pendulum-v1', '--learning_starts', '50', '--gradient_steps', '2', '--no-compile',
    '--sac.hidden', '16', '--sac.batch_size', '16', '--eval_episodes', '1', '--no-video',
    '--final_eval_episodes', '1', '--no-tensorboard',
)  # fmt: skip


@pytest.fixture
def start(tmp_path):
    """Start an asynchronous run; its processes end with the test."""
    begun = []

    def begin(steps):
        command = (sys.executable, '-m', 'sac_ros', 'train', '--async', '--run_dir', 'run')
        output = open(tmp_path / 'output', 'ab')  # noqa: SIM115
        options = ('--steps', str(steps), *OPTIONS)
        begun.append(
            subprocess.Popen(
                [*command, *options],
                cwd=tmp_path,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        )
        return begun[-1]

    yield begin
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def children(process):
    """Return the numbers of the learner and the collector by role."""
    listed = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
    found = {}
    for number in listed:
        words = Path(f'/proc/{number}/cmdline').read_bytes().split(b'\0')
        if b'sac_ros.cli.asynchronous' in words:
            found[words[words.index(b'sac_ros.cli.asynchronous') + 1].decode()] = int(number)
    return found


def count(run):
    try:
        return len(ReplayReader(run / 'replay'))
    except ReplayError:  # not there yet
        return 0


def wait(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'it did not come'
        time.sleep(0.02)


def assert_whole(run, steps):
    """Every transition is there once, and the updates keep the ratio."""
    reader = ReplayReader(run / 'replay')
    assert len(reader) == steps and not len(reader.holes)
    rows = reader.layout.split(reader.rows(np.arange(steps)))
    assert len(np.unique(np.column_stack((rows.observation, rows.action)), axis=0)) == steps
    notes = load_notes(run / 'checkpoint.npz')
    assert notes['step'] == steps
    assert notes['updates'] == 2 * (steps - 50 + 1)


@pytest.mark.parametrize('kills', [2, pytest.param(20, marks=pytest.mark.long)])
def test_either_process_may_be_killed_at_any_time(start, tmp_path, kills):
    chance, steps = random.Random(kills), 60 + 40 * kills
    process = start(steps)
    for i in range(kills):
        wait(lambda least=50 + 30 * i: count(tmp_path / 'run') > least)
        time.sleep(chance.random())
        roles = children(process)
        role = ('learner', 'collector')[i % 2]
        if role in roles:
            os.kill(roles[role], signal.SIGKILL)
    assert process.wait(280) == 0, (tmp_path / 'output').read_text()
    assert_whole(tmp_path / 'run', steps)
    output = (tmp_path / 'output').read_text()
    assert 'was killed by signal 9 and starts again' in output


def test_ctrl_c_ends_both_and_the_same_command_goes_on(start, tmp_path):
    process = start(800)
    wait(lambda: count(tmp_path / 'run') > 60)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130, (tmp_path / 'output').read_text()
    stored = count(tmp_path / 'run')
    assert 60 < stored < 800
    assert start(800).wait(200) == 0, (tmp_path / 'output').read_text()
    assert_whole(tmp_path / 'run', 800)


def test_many_arms_collect_into_one_replay(tmp_path):
    chosen = ('--n_envs', '5', '--steps', '123', '--learning_starts', '60', '--sac.hidden', '16')
    chosen += ('--gradient_steps', '1', '--no-compile', '--task.episode_steps', '9')
    chosen += ('--eval_episodes', '1', '--final_eval_episodes', '1', '--no-video')
    command = [sys.executable, '-m', 'sac_ros', 'train', '--async', '--run_dir', 'run', *chosen]
    options = {'cwd': tmp_path, 'capture_output': True, 'text': True}
    done = subprocess.run(command, check=False, timeout=250, **options)
    assert done.returncode == 0, done.stderr
    reader = ReplayReader(tmp_path / 'run/replay')
    rows = reader.layout.split(reader.rows(np.arange(123)))
    assert len(reader) == 123
    assert (rows.observation[5:45] == rows.next_observation[:40]).all()  # arm by arm, 9 steps
    assert (rows.observation[45:50] != rows.next_observation[40:45]).any(1).all()  # new goals
    alone = [part for part in command if part != '--async']
    refused = subprocess.run(alone, check=False, timeout=60, **options)
    assert (refused.returncode, 'needs --async' in refused.stderr) == (2, True)


def test_both_end_with_the_process_that_started_them(start, tmp_path):
    process = start(100_000)
    wait(lambda: count(tmp_path / 'run') > 60)
    numbers = children(process).values()
    process.kill()
    wait(lambda: not any(Path(f'/proc/{number}').exists() for number in numbers))


def test_an_error_of_either_ends_the_run_with_its_line(start, tmp_path):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run/replay').write_text('in the way')
    assert start(100).wait(120) == 2
    assert re.search(r'sac_ros: \w+: .*replay', (tmp_path / 'output').read_text())


def test_the_collector_loads_no_torch():
    script = 'import json, sys, sac_ros.cli.asynchronous, sac_ros.training.async_collector'
    command = [
        sys.executable,
        '-c',
        f'{script}; print(json.dumps(list(sys.modules)))',
    ]
    loaded = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert not {'torch', 'onnx'} & set(loaded)
