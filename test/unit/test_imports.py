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

"""What import-linter (make check) cannot see: modules that are loaded, and a missing package."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sac_ros


@pytest.mark.parametrize(
    ('module', 'absent'),
    [
        ('sac_ros.ros.policy_node', {'torch', 'mujoco', 'gymnasium', 'onnx'}),
        ('sac_ros.ros.guard_node', {'torch', 'mujoco', 'gymnasium', 'onnx', 'onnxruntime'}),
        ('sac_ros.ros.sim_node', {'torch', 'onnx'}),
        ('sac_ros.replay', {'torch', 'mujoco', 'gymnasium', 'onnx', 'onnxruntime'}),
        ('sac_ros', {'numpy', 'torch', 'mujoco', 'gymnasium', 'onnx', 'onnxruntime'}),
        ('sac_ros.deploy.policy_controller', {'torch', 'mujoco', 'gymnasium', 'onnx'}),
        ('sac_ros.training.collector', {'torch', 'onnx'}),
    ],
)
def test_light_modules_load_nothing_heavy(module, absent):
    script = f'import sys, {module}; print(*sorted(sys.modules))'
    command = [sys.executable, '-c', script]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert not absent & set(result.stdout.split())


def test_every_public_name_can_be_imported():
    names = {name: getattr(sac_ros, name) for name in sac_ros.__all__}
    assert set(names) == set(sac_ros._MODULE_OF) <= set(dir(sac_ros))
    assert all(thing.__doc__ for name, thing in names.items())
    with pytest.raises(AttributeError, match='nothing'):
        _ = sac_ros.nothing


def test_a_missing_dependency_names_the_extra():
    script = "import sys; sys.modules['torch'] = None; from sac_ros import Trainer"
    result = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, check=False, timeout=60
    )
    last = result.stderr.splitlines()[-1]
    assert last == (
        "ImportError: sac_ros.Trainer: torch is not installed; pip install 'sac_ros[train]'"
    )


# The finder of an editable installation would find the folder that is left out.
WITHOUT_FINDER = """
import sys
sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in getattr(f, '__module__', '')]
from sac_ros.__main__ import main
sys.exit(main())
"""


def test_training_works_without_accel(tmp_path):
    package = Path(sac_ros.__file__).parent
    ignored = shutil.ignore_patterns('accel', '__pycache__')
    shutil.copytree(package, tmp_path / 'sac_ros', ignore=ignored)
    options = ('--steps', '60', '--learning_starts', '50', '--gradient_steps', '1', '--no-video')
    options += ('--eval_episodes', '1', '--final_eval_episodes', '1', '--sac.hidden', '16')
    command = [sys.executable, '-c', WITHOUT_FINDER, 'train', '--run_dir', 'run', *options]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200,
        env={'PYTHONPATH': str(tmp_path), 'PATH': '/usr/bin:/bin', 'HOME': str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'sac_ros.accel' in done.stdout + done.stderr  # says why updates are not compiled
    assert (tmp_path / 'run/policy.onnx').exists()
