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

"""The command line: complete help, resumable training, one clear line for every mistake."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from sac_ros.config.base import settings
from sac_ros.config.training import TrainConfig

SMALL = [
    '--steps', '60', '--learning_starts', '20', '--eval_every', '50', '--eval_episodes', '1',
    '--final_eval_episodes', '2', '--no-compile', '--sac.hidden', '16', '--sac.batch_size', '16',
    '--task.episode_steps', '10', '--controller.name', 'none',
]  # fmt: skip


def command(*arguments):
    return [sys.executable, '-m', 'sac_ros', *map(str, arguments)]


def run(*arguments):
    environment = {**os.environ, 'COLUMNS': '200'}
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, env=environment
    )


def test_help_names_every_setting_with_its_default():
    text = run('train', '--help').stdout
    for item in settings(TrainConfig):
        assert f'--{item.name} ' in text or f'--{item.name},' in text
        assert str(item.default) in text or item.default == ''
    for name in ('train', 'evaluate', 'export'):
        assert run(name, '--help').returncode == 0


def test_train_evaluates_exports_and_says_where_everything_is(tmp_path):
    done = run('train', '--run_dir', tmp_path, *SMALL)
    assert done.returncode == 0, done.stderr
    for word in ('FAULT', 'return', 'policy.onnx', 'checkpoint.npz', 'replay', 'evaluate'):
        assert word in done.stdout
    again = run('train', '--run_dir', tmp_path, *SMALL, '--steps', '80')
    assert 'resuming at step 60' in again.stdout
    assert 'all 80 of them' in again.stdout
    file = tmp_path / 'policy.onnx'
    measured = run('evaluate', file, '--episodes', '2')  # task.episode_steps is of the run
    of_network = re.findall(r'return +(\S+) ', again.stdout)[-1]
    of_file = re.findall(r'return +(\S+) .*from rest', measured.stdout)[-1]
    assert of_network == of_file
    kept = file.read_bytes()
    file.unlink()
    assert 'agrees with the network' in run('export', tmp_path).stdout
    assert file.read_bytes() == kept


def test_evaluate_tells_the_verdict_by_its_status(tmp_path):
    few = ['--episodes', '2', '--json', tmp_path / 'figures.json']
    good = run('evaluate', '--baseline', 'ik', *few)
    assert good.returncode == 0, good.stderr
    assert good.stdout.rstrip().endswith('\nACCEPTED')
    assert json.loads((tmp_path / 'figures.json').read_text())['accepted'] is True
    bad = run('evaluate', '--baseline', 'ik', *few, '--task.episode_steps', '5')
    assert bad.returncode == 1, bad.stderr
    assert 'NOT ACCEPTED: from rest: ' in bad.stdout
    assert json.loads((tmp_path / 'figures.json').read_text())['accepted'] is False


def test_a_run_directory_may_have_any_name(tmp_path):
    directory = tmp_path / 'x[/]y [bold]\n z'
    done = run('train', '--run_dir', directory, *SMALL)
    assert done.returncode == 0, done.stderr
    assert 'x[/]y [bold]' in done.stdout
    assert {path.name for path in directory.iterdir()} > {'policy.onnx', 'checkpoint.npz'}
    checkpoint = directory / 'checkpoint.npz'
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    refused = run('train', '--run_dir', directory, *SMALL)
    assert refused.returncode == 2
    assert refused.stderr.count('\n') == 1
    assert refused.stderr.startswith('sac_ros: CheckpointError: ')


@pytest.mark.parametrize('begun', [False, True])
def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path, begun):
    many = [*SMALL, '--steps', '100000', '--run_dir', str(tmp_path)]
    process = subprocess.Popen(command('train', *many), stdout=subprocess.PIPE, text=True)
    while 'Ctrl-C' not in process.stdout.readline():
        assert process.poll() is None
    while begun and not list((tmp_path / 'replay').glob('*.seg')):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    step = int(re.search(r'stopped at step ([\d,]+)', rest)[1].replace(',', ''))
    again = run('train', *many, '--steps', step + 10)
    assert again.returncode == 0, again.stderr
    assert step == 0 or f'resuming at step {step:,}' in again.stdout
    assert f'all {step + 10:,} of them' in again.stdout


MISTAKES = {
    'unknown env': (['train', '--env', 'NoSuch-v0'], 'NoSuch'),
    'discrete env': (['train', '--env', 'CartPole-v1'], 'Discrete'),
    'no model': (['train', '--arm.model', 'absent.urdf'], 'absent.urdf'),
    'not a model': (['train', '--arm.model', 'README.md'], 'README.md'),
    'out of range': (['train', '--sac.gamma', '1.5'], 'gamma is 1.5; it must lie in'),
    'not finite': (['train', '--sac.learning_rate', 'nan'], 'learning_rate is nan'),
    'unknown device': (['train', '--device', 'abacus'], 'choose one of cpu, cuda'),
    'no GPU': (['train', '--device', 'cuda'], 'device is cuda, but torch finds no GPU'),
    'no such policy': (['evaluate', 'absent.onnx'], 'absent.onnx'),
    'not a policy': (['evaluate', 'README.md'], 'README.md'),
    'nothing to evaluate': (['evaluate'], 'give a policy'),
    'no such baseline': (['evaluate', '--baseline', 'pid'], 'pid'),
    'baseline without arm': (
        ['evaluate', '--baseline', 'ik', '--env', 'Pendulum-v1'],
        '--baseline is for arms',
    ),
    'no such run': (['export', 'absent'], 'absent'),
}


@pytest.mark.parametrize(('arguments', 'names'), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_line_and_touches_nothing(tmp_path, arguments, names):
    (tmp_path / 'README.md').write_text('not what you think')
    environment = {**os.environ, 'PYTHONPATH': os.getcwd(), 'CUDA_VISIBLE_DEVICES': ''}
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, cwd=tmp_path,
        env=environment,
    )  # fmt: skip
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(('sac_ros: ', f'sac_ros {arguments[0]}: '))
    assert names in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ['README.md']


def test_replay_of_another_robot_is_refused_and_untouched(tmp_path):
    assert run('train', '--run_dir', tmp_path, *SMALL, '--env', 'Pendulum-v1').returncode == 0
    (tmp_path / 'checkpoint.npz').unlink()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')}
    done = run('train', '--run_dir', tmp_path, *SMALL)
    assert done.returncode == 2
    assert done.stderr.count('\n') == 1
    assert 'Pendulum-v1' in done.stderr
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*')} == before
