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
    ],
)
def test_light_modules_load_nothing_heavy(module, absent):
    script = f'import sys, {module}; print(*sorted(sys.modules))'
    command = [sys.executable, '-c', script]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert not absent & set(result.stdout.split())


def test_training_works_without_accel(tmp_path):
    package = Path(sac_ros.__file__).parent
    ignored = shutil.ignore_patterns('accel', '__pycache__')
    shutil.copytree(package, tmp_path / 'sac_ros', ignore=ignored)
    options = ('--steps', '60', '--learning_starts', '50', '--gradient_steps', '1', '--no-video')
    options += ('--eval_episodes', '1', '--final_eval_episodes', '1', '--sac.hidden', '16')
    command = [sys.executable, '-m', 'sac_ros', 'train', '--run_dir', 'run', *options]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200,
        env={'PYTHONPATH': str(tmp_path), 'PATH': '/usr/bin:/bin', 'HOME': str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'sac_ros.accel' in done.stdout + done.stderr  # says why updates are not compiled
    assert (tmp_path / 'run/policy.onnx').exists()
