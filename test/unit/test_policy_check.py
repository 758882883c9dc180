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

"""A policy file is checked in another process: what crashes or hangs there is a refusal."""

import subprocess
import sys

import numpy as np
import pytest
from onnx import helper, numpy_helper
from policy_files import linear_policy, reach_spec, save

from sac_ros.deploy import policy_check
from sac_ros.deploy.onnx_policy import OnnxPolicy
from sac_ros.deploy.policy_check import load_checked
from sac_ros.errors import PolicyError

SPEC = reach_spec()


@pytest.fixture
def path(tmp_path):
    return save(linear_policy(SPEC, bias=[0.1, -0.2]), tmp_path / 'p.onnx')


def refusal(path, **arguments):
    with pytest.raises(PolicyError) as error:
        load_checked(path, **arguments)
    assert str(path) in str(error.value) and '\n' not in str(error.value)
    return str(error.value)


def test_loads_the_same_policy(path):
    policy, plain = load_checked(path), OnnxPolicy(path)
    observation = np.random.default_rng(0).normal(size=SPEC.n_observation)
    assert policy.sha256 == plain.sha256
    assert (policy(observation) == plain(observation)).all()


def test_the_refusal_is_the_one_of_the_check(path):
    assert 'over max_torque' in refusal(path, max_torque=1.0)
    assert 'expected is another' in refusal(path, model_hash='another')


def test_a_graph_that_takes_all_memory_is_refused(tmp_path):
    model = linear_policy(SPEC)
    sizes = {'many': np.array([2, 10**10])}
    model.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in sizes.items())
    huge = helper.make_node('ConstantOfShape', ['many'], ['huge'])
    one = helper.make_node('ReduceMax', ['huge'], ['zero'], keepdims=0)
    last = model.graph.node.pop()
    model.graph.node.extend((huge, one, helper.make_node('Add', ['share', 'zero'], ['sum0'])))
    last.input[0] = 'sum0'
    model.graph.node.append(last)
    assert 'does not run' in refusal(save(model, tmp_path / 'p.onnx'))


def test_a_check_that_crashes_is_a_refusal(path, tmp_path, monkeypatch):
    crash = tmp_path / 'crash'
    crash.write_text('#!/bin/sh\nkill -SEGV $$\n')
    crash.chmod(0o755)
    monkeypatch.setattr(sys, 'executable', str(crash))
    assert 'was ended by SIGSEGV; the file is refused' in refusal(path)


def test_a_check_that_hangs_is_ended(path, tmp_path, monkeypatch):
    started = tmp_path / 'pid'
    hang = tmp_path / 'hang'
    hang.write_text(f'#!/bin/sh\necho $$ > {started}\nexec sleep 1000\n')
    hang.chmod(0o755)
    monkeypatch.setattr(sys, 'executable', str(hang))
    monkeypatch.setattr(policy_check, 'DEADLINE', 1.0)
    assert 'took more than 1 s' in refusal(path)
    if started.exists():
        left = subprocess.run(['kill', '-0', started.read_text().strip()], check=False)
        assert left.returncode


def test_a_check_that_cannot_run_says_why(path, monkeypatch):
    monkeypatch.setenv('PYTHONHOME', '/nowhere')
    assert 'failed: ' in refusal(path)
    monkeypatch.setattr(sys, 'executable', '/nowhere/python')
    assert 'cannot start the check' in refusal(path)
