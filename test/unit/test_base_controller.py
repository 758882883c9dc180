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

"""Base controllers: torque as in MuJoCo, spheres that detect contacts, a bounded residual."""

import numpy as np
import pytest
import torch
from real_arms import arm_config, real_arm

from sac_ros.config.robot import ControllerConfig, TaskConfig
from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.envs.arm_env import ArmEnv, make_env_bundle
from sac_ros.errors import ConfigError
from sac_ros.sac.base_controller import make_controller, with_base
from sac_ros.sac.clearance import Clearance
from sac_ros.sac.forward_kinematics import ForwardKinematics
from sac_ros.sac.sac import SAC
from sac_ros.sim.collision import with_collisions
from sac_ros.tasks.reach import ReachTask
from sac_ros.tasks.task import arm_spec
from sac_ros.training.export import probe_observations
from sac_ros.types import Transition

ARMS = ['default', 'panda-urdf', 'openarm-left', 'xarm7']


def simulated(name, **changes):
    """Return an arm that does not compensate gravity."""
    changes = {'gravity_compensation': False, **changes}
    return real_arm(name, **changes)


def base_law(spec, chain, config):
    """Return the function from observations (B, n_obs) to a base controller's output (float64)."""
    controller = make_controller(spec, chain, config).double()
    kinematics = ForwardKinematics(chain, spec.n_action).double()

    @torch.no_grad()
    def law(observations):
        observation = torch.tensor(observations, dtype=torch.float64)
        place = kinematics(observation[:, spec.slices()['joint_position']])
        return controller(observation, place)

    return law


def random_postures(arm, n, seed=0):
    lower, upper = arm.robot.joint_ranges()
    return np.random.default_rng(seed).uniform(lower, upper, (n, len(lower)))


@pytest.mark.parametrize('name', ['default', 'panda-urdf', 'openarm-left'])
def test_gravity_torque_is_mujocos_bias_at_rest(name):
    arm = simulated(name)
    spec = arm_spec(arm.robot, ReachTask.fields, 0.02, gravity_compensated=False)
    postures = random_postures(arm, 50)
    observations = np.zeros((50, spec.n_observation))
    observations[:, spec.slices()['joint_position']] = postures
    base = base_law(spec, arm.robot.chain, ControllerConfig('gravity'))(observations)
    limit = np.array(spec.torque_limit)
    dofs = [arm.model.joint(joint).dofadr[0] for joint in spec.joint_names]
    assert (base.authority == 1).all()
    for action, posture in zip(base.action.numpy(), postures, strict=True):
        arm.reset(posture)
        bias = arm.data.qfrc_bias[dofs] - arm.data.qfrc_passive[dofs]
        assert action * limit == pytest.approx(np.clip(bias, -limit, limit), abs=1e-3)


def test_gravity_that_the_robot_compensates_is_not_added():
    arm = simulated('default', gravity_compensation=True)
    spec = arm_spec(arm.robot, ReachTask.fields, 0.02, gravity_compensated=True)
    observations = np.zeros((10, spec.n_observation))
    observations[:, :6] = random_postures(arm, 10)
    base = base_law(spec, arm.robot.chain, ControllerConfig('gravity'))(observations)
    assert not base.action.any()


def spheres_of(arm):
    chain = with_collisions(arm)
    n = len(arm.robot.joint_names)
    return Clearance(chain, chain.collision, n).double(), ForwardKinematics(chain, n).double()


@pytest.mark.parametrize('name', ARMS)
def test_the_gradient_of_the_clearance_is_its_derivative(name):
    arm = simulated(name)
    clearance, kinematics = spheres_of(arm)
    position = torch.tensor(random_postures(arm, 100), requires_grad=True)
    gap, gradient = clearance(kinematics(position))
    (derivative,) = torch.autograd.grad(gap.sum(), position)
    assert torch.allclose(gradient, derivative, atol=1e-8)
    assert gradient.abs().max() > 0.1


@pytest.mark.parametrize('name', ARMS)
def test_spheres_detect_contacts(name):
    arm = simulated(name)
    clearance, kinematics = spheres_of(arm)
    postures = random_postures(arm, 2000, seed=5)  # others than those of the calibration
    touches = []
    for posture in postures:
        arm.place(posture)
        touches.append(arm.touches())
    gap = clearance(kinematics(torch.tensor(postures)))[0][:, 0].numpy()
    touches, near = np.array(touches), gap < ControllerConfig().clearance
    assert 20 < touches.sum() < 1980
    assert near[touches].mean() >= 0.95
    assert near[~touches].mean() < 0.6  # a free arm may move


def test_a_joint_that_alone_causes_contact_has_barred_intervals():
    """The wrist of a UR5 meets the forearm in one interval per turn, whatever its other joints."""
    arm = simulated('ur5')
    chain = with_collisions(arm)
    wrist = arm.robot.joint_names.index('wrist_1_joint')
    own = [interval for interval in chain.barred if interval.joint == wrist]
    assert len(own) == 2  # its range is two turns
    assert own[1].lower - own[0].lower == pytest.approx(2 * np.pi)
    spec = arm_spec(arm.robot, ReachTask.fields, 0.02, gravity_compensated=False)
    controller = make_controller(spec, chain, ControllerConfig())
    inside, outside = 0.7 * own[0].lower + 0.3 * own[0].upper, own[0].lower - 0.5
    position = torch.zeros(2, len(arm.robot.joint_names))
    position[0, wrist], position[1, wrist] = inside, outside
    low, high = controller._rate_limits(position)
    braking = ControllerConfig().braking
    assert high[0, wrist].item() == pytest.approx(braking * (own[0].lower - inside), rel=1e-4)
    assert high[1, wrist].item() == pytest.approx(braking * 0.5, rel=1e-4)
    assert (low <= high).all()


@pytest.mark.parametrize('name', ['gravity', 'impedance', 'ik-pd'])
@pytest.mark.parametrize('task', ['reach-point', 'reach-pose', 'track-point'])
def test_the_residual_is_bounded_by_its_authority(name, task):
    config = TrainConfig(task=TaskConfig(name=task), controller=ControllerConfig(name))
    _, spec, chain = make_env_bundle(config)
    observations = probe_observations(spec, np.random.default_rng(0))
    base = base_law(spec, chain, config.controller)(observations)
    assert (base.action.abs() <= 1).all() and (base.authority >= 0).all()
    largest = config.controller.residual if name != 'gravity' else 1.0
    assert (base.authority <= largest + 1e-6).all()
    draw = torch.Generator().manual_seed(0)
    residual = torch.rand(base.action.shape, generator=draw, dtype=torch.float64) * 2 - 1
    for share in (residual, residual.sign()):
        action = with_base(base, share)
        assert (action.abs() <= 1).all()
        assert ((action - base.action).abs() <= base.authority + 1e-12).all()


def test_the_residual_shrinks_towards_the_goal():
    env = ArmEnv(TrainConfig())
    _, spec, chain = make_env_bundle(TrainConfig())
    start, _ = env.reset(seed=0)
    rows = np.tile(start.astype(float), (4, 1))
    for row, distance in zip(rows, (0.0, 0.05, 0.2, 5.0), strict=True):
        row[spec.slices()['goal']] = env.arm.tip_position + distance * np.eye(3)[0]
    config = ControllerConfig()
    authority = base_law(spec, chain, config)(rows).authority[:, 0].numpy()
    assert (np.diff(authority) > 0).all()
    assert authority[0] == pytest.approx(config.residual_at_goal, abs=5e-3)
    assert authority[-1] == pytest.approx(config.residual, abs=1e-4)


def test_without_an_arm_or_a_name_there_is_no_base_controller():
    _, spec, chain = make_env_bundle(TrainConfig())
    assert make_controller(spec, chain, ControllerConfig('none')) is None
    assert make_controller(spec, None, ControllerConfig()) is None
    with pytest.raises(ConfigError, match='needs the dynamics of the arm'):
        make_controller(spec, chain._replace(dynamics=None), ControllerConfig())
    residual = torch.randn(3, 6)
    assert with_base(None, residual) is residual


def test_inverse_kinematics_alone_reaches_goals():
    config = TrainConfig()
    env, spec, chain = make_env_bundle(config)
    law, distances = base_law(spec, chain, config.controller), []
    for seed in range(6):
        observation, _ = env.reset(seed=seed)
        for _ in range(config.task.episode_steps):
            action = law(observation[None]).action[0].numpy()
            observation, _, terminated, _, info = env.step(action)
            assert not terminated and not info['period'].contact, info['period']
        distances.append(np.linalg.norm(env.arm.tip_position - env.goal))
    assert np.mean(distances) < config.task.success_radius


@pytest.mark.parametrize('arm', ['default', 'ur5'])
def test_the_update_of_an_arm_is_one_graph(arm):
    """Without a graph break; which code the graph becomes is tested with the compiler."""
    config = TrainConfig(arm=arm_config(arm), sac=SACConfig(hidden=8, batch_size=4))
    _, spec, chain = make_env_bundle(config)
    sac = SAC(spec, chain, config.sac, make_controller(spec, chain, config.controller))
    observation = torch.zeros(4, spec.n_observation)
    action, number = torch.zeros(4, spec.n_action), torch.zeros(4)
    batch = Transition(observation, action, number, number, observation)
    noise = sac.noise(torch.Generator().manual_seed(0))
    update = torch.compile(sac.update, backend='eager', fullgraph=True)
    update(sac.initialize(0, 'cpu'), batch, noise, None)
