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

"""Arms of other people load, hold, stay stable, export, and are where the network thinks."""

import numpy as np
import pytest
import torch
from real_arms import MJCF, arm_config, real_arm, some_of

from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.deploy.onnx_policy import OnnxPolicy
from sac_ros.envs.arm_env import make_env_bundle
from sac_ros.sac.forward_kinematics import ForwardKinematics
from sac_ros.sac.sac import SAC
from sac_ros.training.export import export_policy
from sac_ros.training.trainer import Trainer

QUICK = ('jaco', 'panda-urdf', 'so101')
NAMES = (*MJCF, 'panda-urdf', 'ur5', 'xarm7', 'so101')


@pytest.fixture(params=some_of(NAMES, QUICK), scope='module')
def arm(request):
    return real_arm(request.param)


def ranges(robot):
    lower, upper = np.array(robot.position_lower), np.array(robot.position_upper)
    return np.where(np.isfinite(lower), lower, -np.pi), np.where(np.isfinite(upper), upper, np.pi)


def test_joints_limits_and_chain_are_complete(arm):
    robot = arm.robot
    assert len(robot.joint_names) in (5, 6, 7)
    assert (np.array(robot.torque_limit) >= 5).all()
    assert robot.chain.joint.tolist() == list(range(len(robot.joint_names)))
    assert arm.model.nu == len(robot.joint_names)


def test_tip_of_the_network_is_that_of_mujoco(arm):
    kinematics = ForwardKinematics(arm.robot.chain, len(arm.robot.joint_names)).double()
    rng = np.random.default_rng(0)
    positions = rng.uniform(*ranges(arm.robot), (100, len(arm.robot.joint_names)))
    place = kinematics(torch.tensor(positions))
    single = ForwardKinematics(arm.robot.chain, len(arm.robot.joint_names))
    rough = single(torch.tensor(positions, dtype=torch.float32)).tip
    for i, position in enumerate(positions):
        arm.reset(position)
        assert np.abs(place.tip[i].numpy() - arm.tip_position).max() < 1e-6
        assert np.abs(rough[i].numpy() - arm.tip_position).max() < 2e-6
        assert np.abs(place.rotation[i].numpy() - arm.tip_rotation).max() < 1e-6


def test_it_holds_under_gravity_compensation(arm):
    lower, upper = ranges(arm.robot)
    rng = np.random.default_rng(1)
    for _ in range(5):
        posture = (lower + upper) / 2 + (upper - lower) * rng.uniform(-0.3, 0.3, len(lower))
        arm.reset(posture)
        if arm.in_contact:
            continue
        arm.step(np.zeros(len(lower)), 500)
        assert np.abs(arm.position - posture).max() < 1e-3


def test_a_minute_of_random_torques_stays_stable(arm):
    rng, limit = np.random.default_rng(2), np.array(arm.robot.torque_limit)
    arm.reset(np.mean(ranges(arm.robot), axis=0))
    fastest = 0.0
    for _ in range(1200):
        arm.step(rng.uniform(-1, 1, len(limit)) * limit, 25)
        fastest = max(fastest, np.abs(arm.velocity).max())
    assert np.isfinite(arm.position).all()
    assert all(warning.number == 0 for warning in arm.data.warning)
    assert fastest < 60
    lower, upper = np.array(arm.robot.position_lower), np.array(arm.robot.position_upper)
    assert (arm.position > lower - 0.2).all() and (arm.position < upper + 0.2).all()


@pytest.mark.parametrize('name', some_of(NAMES, ['panda-urdf']))
def test_a_policy_for_it_exports(name, tmp_path):
    problem = make_env_bundle(TrainConfig(arm=arm_config(name)))
    sac = SAC(problem.spec, problem.chain, SACConfig(hidden=32))
    state = sac.initialize(0, 'cpu')
    observation, _ = problem.env.reset(seed=0)
    path = tmp_path / 'policy.onnx'
    export_policy(sac.policy(state), problem.spec, path, observation[None])
    torque = OnnxPolicy(path)(observation)
    assert (np.abs(torque) <= problem.spec.torque_limit).all()


@pytest.mark.long
def test_a_short_training_keeps_what_the_base_controller_has(tmp_path):
    config = TrainConfig(
        arm=arm_config('openarm-left'),
        run_dir=str(tmp_path / 'run'),
        steps=1_000,
        eval_every=100_000,
        compile=False,
        sac=SACConfig(hidden=64, batch_size=128),
    )
    trainer = Trainer(config)
    before = trainer.evaluate(10).mean_return
    trainer.run()
    after = trainer.evaluate(10).mean_return
    assert before > 60 and after > 0.95 * before, (before, after)
