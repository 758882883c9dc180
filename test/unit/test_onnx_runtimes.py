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

"""Exported policies give the same torques with the oldest ONNX Runtime that is supported."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from paths import ROOT
from policy_files import linear_policy, reach_spec, save

from sac_ros.config.robot import ControllerConfig, TaskConfig
from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.deploy.onnx_policy import OLDEST_RUNTIME, OnnxPolicy
from sac_ros.envs.arm_env import make_env_bundle
from sac_ros.sac.base_controller import make_controller
from sac_ros.sac.sac import SAC
from sac_ros.training.export import export_policy, probe_observations

# Made once, where the checkout is.
OLDEST = ROOT / f'.venv-onnxruntime-{OLDEST_RUNTIME}'
PACKAGES = [f'onnxruntime=={OLDEST_RUNTIME}.*', 'numpy<2']
RUN = """
import json, sys
import numpy as np
import onnxruntime
from sac_ros.deploy.onnx_policy import OnnxPolicy
policy, observations = OnnxPolicy(sys.argv[1]), np.load(sys.argv[2])
torques = [policy(observation).tolist() for observation in observations]
print(json.dumps({'version': onnxruntime.__version__, 'torques': torques}))
"""
LOAD = (
    'import sys; from sac_ros.deploy.policy_check import load_checked; load_checked(sys.argv[1])'
)
CASES = {
    'ik-pd': TrainConfig(sac=SACConfig(hidden=16)),
    'pose, batch norm': TrainConfig(
        task=TaskConfig(name='reach-pose'), sac=SACConfig(hidden=16, normalization='batch')
    ),
    'impedance, gsde': TrainConfig(
        controller=ControllerConfig('impedance'), sac=SACConfig(hidden=16, exploration='gsde')
    ),
    'Pusher-v5': TrainConfig(env='Pusher-v5', sac=SACConfig(hidden=16)),
}


@pytest.fixture(scope='session')
def oldest():
    """The folder that the oldest runtime is installed in."""
    complete = OLDEST / 'complete'
    if not complete.exists():
        install = [sys.executable, '-m', 'pip', 'install', '-q', '--disable-pip-version-check']
        install += ['--retries', '1', '--timeout', '15', '--no-deps', '--upgrade', '--target']
        done = subprocess.run(
            [*install, str(OLDEST), *PACKAGES], capture_output=True, text=True, check=False
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ['pip failed']
            pytest.skip(f'{" ".join(PACKAGES)} cannot be installed: {lines[-1]}')
        complete.touch()
    return OLDEST


def run_with(runtime, program, *arguments):
    """Run a program with these sources and this runtime."""
    environment = os.environ | {'PYTHONPATH': f'{runtime}:{ROOT}'}
    command = [sys.executable, '-c', program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize('case', CASES)
def test_the_oldest_runtime_gives_the_same_torques(case, oldest, tmp_path):
    config = CASES[case]
    problem = make_env_bundle(config)
    controller = make_controller(problem.spec, problem.chain, config.controller)
    sac = SAC(problem.spec, problem.chain, config.sac, controller)
    observations = probe_observations(problem.spec, np.random.default_rng(1))[::80]
    file = tmp_path / 'policy.onnx'
    export_policy(sac.policy(sac.initialize(0)), problem.spec, file, observations)
    np.save(tmp_path / 'observations.npy', observations)
    done = run_with(oldest, RUN, file, tmp_path / 'observations.npy')
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result['version'].startswith(OLDEST_RUNTIME + '.')
    policy, limit = OnnxPolicy(file), np.array(problem.spec.torque_limit)
    torques = np.array([policy(observation) for observation in observations])
    assert np.abs((np.array(result['torques']) - torques) / limit).max() < 1e-6
    assert np.abs(torques).max() > 0


def test_an_older_runtime_names_itself_and_the_file(oldest, tmp_path):
    path = save(linear_policy(reach_spec()), tmp_path / 'policy.onnx')  # its IR version is 10
    done = run_with(oldest, LOAD, path)
    last = done.stderr.strip().splitlines()[-1]
    assert f'ONNX Runtime {OLDEST_RUNTIME}.' in last
    assert 'IR version 10, opset 18' in last and 'export it again' in last
