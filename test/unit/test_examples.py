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

"""Every example runs as a script, with small numbers."""

import runpy
import sys

import pytest
from paths import ROOT

from sac_ros import ControllerConfig, SACConfig, TaskConfig, TrainConfig, Trainer

FOLDER = ROOT / 'examples'


@pytest.fixture(scope='module')
def arm_run(tmp_path_factory):
    """A run of the default arm whose policy is its base controller, nearly."""
    config = TrainConfig(
        run_dir=str(tmp_path_factory.mktemp('run')), steps=30, learning_starts=20, eval_episodes=1,
        task=TaskConfig(episode_steps=10), sac=SACConfig(hidden=16), compile=False, video=False,
        controller=ControllerConfig(residual=0.01),
    )  # fmt: skip
    trainer = Trainer(config)
    trainer.run()
    trainer.export()
    return trainer.run_dir


def run(capsys, monkeypatch, name, *arguments):
    """Run an example and return what it prints."""
    monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
    runpy.run_path(str(FOLDER / name), run_name='__main__')
    return capsys.readouterr().out


def test_every_example_is_tested():
    source = (ROOT / 'test/unit/test_examples.py').read_text()
    assert all(f"'{path.name}'" in source for path in FOLDER.glob('*.py'))


def test_train_own_env(capsys, monkeypatch, tmp_path):
    options = ('--run_dir', tmp_path, '--steps', 300)
    out = run(capsys, monkeypatch, 'train_own_env.py', *options)
    returns = [float(line.split()[-1]) for line in out.splitlines()[:2]]
    assert returns[1] > returns[0]
    assert 'the exported policy ends' in out


def test_replay_with_torch(capsys, monkeypatch, tmp_path):
    options = ('--directory', tmp_path / 'replay', '--steps', 1_000, '--updates', 300)
    out = run(capsys, monkeypatch, 'replay_with_torch.py', *options)
    assert out.startswith('1000 transitions')
    assert float(out.split()[-1]) < 1e-4  # the variance of the change is above 1e-3


def test_own_task(capsys, monkeypatch, tmp_path):
    out = run(capsys, monkeypatch, 'own_task.py', '--run_dir', tmp_path, '--steps', 40)
    assert 'of 10 episodes' in out and (tmp_path / 'policy.onnx').exists()


def test_policy_loop(capsys, monkeypatch, arm_run):
    out = run(capsys, monkeypatch, 'policy_loop.py', arm_run)
    assert out.startswith('RUN')
    assert float(out.split('tip ')[1].split()[0]) < 20


def test_read_run(capsys, monkeypatch, arm_run, tmp_path):
    out = run(capsys, monkeypatch, 'read_run.py', arm_run, '--output', tmp_path / 'run.html')
    assert '1 evaluations and the learner of step 30' in out
    assert 'training episodes' in (tmp_path / 'run.html').read_text()
