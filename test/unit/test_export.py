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

"""The exported file is the network: same torques, its specification inside, never half written."""

import numpy as np
import onnx
import pytest
import torch

from sac_ros.config.robot import ArmConfig, TaskConfig
from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.deploy.onnx_policy import MAX_PARITY, OnnxPolicy
from sac_ros.envs.arm_env import make_env_bundle
from sac_ros.errors import ExportError
from sac_ros.sac.sac import SAC
from sac_ros.sim.arm import SimArm
from sac_ros.sim.geometry import arm_geometry
from sac_ros.training.export import export_policy, probe_observations


def learner(env='arm-reach', hidden=64, scale=1.0):
    _, spec, chain = make_env_bundle(TrainConfig(env=env))
    sac = SAC(spec, chain, SACConfig(hidden=hidden))
    state = sac.initialize(0)
    actor = {name: scale * value for name, value in state.actor.items()}
    return sac, state._replace(actor=actor)


@pytest.mark.parametrize('env', ['arm-reach', 'Pusher-v5'])
def test_exported_torque_is_the_limit_times_tanh_of_the_mean(env, tmp_path):
    sac, state = learner(env)
    observations = probe_observations(sac.spec, np.random.default_rng(7))
    file = tmp_path / 'policy.onnx'
    parity = export_policy(sac.policy(state), sac.spec, file, observations[:10])
    policy = OnnxPolicy(file)
    assert policy.spec == sac.spec
    assert policy.parity == pytest.approx(parity, rel=1e-2, abs=1e-9)
    assert parity <= MAX_PARITY
    limit = np.array(sac.spec.torque_limit)
    for observation in observations[::100]:
        action = sac.act(state, torch.from_numpy(observation)[None], None)[0].numpy()
        assert np.abs(policy(observation) - action * limit).max() <= 1e-5 * limit.max()
        assert (np.abs(policy(observation)) <= limit * (1 + 1e-6)).all()


def test_one_file_without_external_data_and_with_a_free_batch(tmp_path):
    sac, state = learner()
    file = tmp_path / 'deep' / 'policy.onnx'
    export_policy(sac.policy(state), sac.spec, file, np.zeros((0, 21), np.float32))
    assert [path.name for path in file.parent.iterdir()] == ['policy.onnx']
    model = onnx.load(file, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    assert model.graph.input[0].type.tensor_type.shape.dim[1].dim_value == 21


class Shifted(torch.nn.Module):
    """A network whose exported graph is off by a share of the torque limit."""

    def __init__(self, spec, shift):
        super().__init__()
        self.layer = torch.nn.Linear(spec.n_observation, spec.n_action)
        self.limit = torch.tensor(spec.torque_limit)
        self.shift = shift

    def forward(self, observation):
        shift = self.shift if len(observation) == 1 else 0.0  # the graph is recorded with one row
        return self.limit * (torch.tanh(self.layer(observation)) + shift)


def test_export_writes_nothing_when_onnxruntime_disagrees(tmp_path):
    _, spec, _ = make_env_bundle(TrainConfig())
    file = tmp_path / 'policy.onnx'
    file.write_bytes(b'the old one')
    with pytest.raises(ExportError, match='of the torque limit'):
        export_policy(Shifted(spec, 3 * MAX_PARITY), spec, file, np.zeros((0, 21), np.float32))
    assert file.read_bytes() == b'the old one'
    assert list(tmp_path.iterdir()) == [file]
    parity = export_policy(Shifted(spec, 0.0), spec, file, np.zeros((0, 21), np.float32))
    assert parity <= MAX_PARITY
    assert file.read_bytes() != b'the old one'


def test_trials_reach_every_limit():
    _, spec, _ = make_env_bundle(TrainConfig())
    trials, where = probe_observations(spec, np.random.default_rng(0)), spec.slices()
    assert trials.dtype == np.float32
    fastest = np.abs(trials[:, where['joint_velocity']]).max(axis=0)
    assert (fastest >= spec.velocity_limit).all()
    assert np.abs(trials[:, where['goal']]).max() == 10


def test_the_file_carries_the_geometry_for_displays(tmp_path):
    sac, state = learner()
    arm = SimArm(ArmConfig())
    geometry, file = arm_geometry(arm, TaskConfig(success_radius=0.03)), tmp_path / 'policy.onnx'
    nothing = np.zeros((0, sac.spec.n_observation), np.float32)
    export_policy(sac.policy(state), sac.spec, file, nothing, geometry)
    read = OnnxPolicy(file).geometry
    assert read.to_json() == geometry.to_json()
    assert read.success_radius == 0.03 and read.frames[0] == 'link1'
    assert np.array_equal(read.tip_pose(arm.position)[0], geometry.tip_pose(arm.position)[0])
    export_policy(sac.policy(state), sac.spec, file, nothing)
    assert OnnxPolicy(file).geometry is None
