"""The features agree with MuJoCo; the squashed Gaussian is a probability density."""

import mujoco
import numpy as np
import pytest
import torch

from sac_ros.config import ArmConfig, TrainConfig
from sac_ros.envs.arm import SimArm
from sac_ros.envs.env import make_problem
from sac_ros.features import BOUND, Features, ForwardKinematics
from sac_ros.networks import Critics, sample_action

SLIDING = """<mujoco><compiler angle="radian"/><worldbody>
  <body name="a" pos=".1 .2 .3" quat=".8 .2 .4 .4"><joint name="turn" axis="1 2 0" pos=".1 0 0"
    actuatorfrcrange="-5 5"/><geom size=".1" mass="1"/>
    <body name="b" pos="0 .1 .4" quat=".5 .5 -.5 .5"><geom size=".1" mass="1"/>
      <joint name="slide" type="slide" axis="0 1 1" actuatorfrcrange="-5 5"/>
      <body name="c" pos=".3 0 0"><joint name="last" axis="0 0 1" actuatorfrcrange="-5 5"/>
        <geom size=".1" pos=".1 0 0" mass="1"/></body></body></body></worldbody></mujoco>"""


@pytest.mark.parametrize('kind', ['default', 'sliding'])
def test_tip_and_jacobian_agree_with_mujoco(kind, tmp_path):
    model = ''
    if kind == 'sliding':
        model = str(tmp_path / 'sliding.xml')
        (tmp_path / 'sliding.xml').write_text(SLIDING)
    arm = SimArm(ArmConfig(model=model))
    n = len(arm.robot.joint_names)
    kinematics = ForwardKinematics(arm.robot.chain, n)
    positions = np.random.default_rng(0).uniform(-2, 2, (200, n))
    tip, jacobian, rotation, turning = kinematics(torch.tensor(positions, dtype=torch.float32))
    wanted, wanted_turning = np.zeros((3, arm.model.nv)), np.zeros((3, arm.model.nv))
    body = arm.model.body(arm.robot.tip).id
    for i, position in enumerate(positions):
        arm.reset(position)
        mujoco.mj_jacBody(arm.model, arm.data, wanted, wanted_turning, body)
        assert np.abs(tip[i].numpy() - arm.tip_position).max() < 1e-6
        assert np.abs(jacobian[i].numpy() - wanted).max() < 1e-5
        assert np.abs(rotation[i].numpy() - arm.tip_rotation).max() < 1e-6
        assert np.abs(turning[i].numpy() - wanted_turning).max() < 1e-5


def test_features_of_an_arm_are_bounded_whatever_a_sensor_says():
    _, spec, chain = make_problem(TrainConfig())
    features = Features(spec, chain)
    observation = torch.randn(100, spec.n_observation) * 10.0 ** torch.arange(-2, 8).repeat(
        10, 1
    ).T.reshape(-1, 1)
    result = features(observation)
    assert result.shape == (100, features.size)
    assert result.isfinite().all()
    assert result.abs().max() <= BOUND


def test_other_observations_pass_unchanged():
    _, spec, chain = make_problem(TrainConfig(env='Pusher-v5'))
    observation = torch.randn(5, 23)
    assert (Features(spec, chain)(observation) == observation).all()


@pytest.mark.parametrize('mean', [-3.0, 0.0, 2.0])
@pytest.mark.parametrize('log_std', [-2.0, 0.0, 1.0])
def test_density_over_the_action_box_integrates_to_one(mean, log_std):
    raw = torch.linspace(-30, 30, 400_001, dtype=torch.float64)
    noise = (raw - mean) * np.exp(-log_std)
    action, log_prob = sample_action(
        torch.full_like(raw, mean)[:, None], torch.full_like(raw, log_std)[:, None], noise[:, None]
    )
    mass = torch.trapezoid(log_prob.exp(), action[:, 0])
    assert mass == pytest.approx(1, abs=1e-4)


def test_log_probability_equals_torchs_own_far_into_the_tails():
    mean, log_std = torch.zeros(7, 3), torch.full((7, 3), 0.3)
    noise = torch.linspace(-40, 40, 7)[:, None].expand(7, 3)
    action, log_prob = sample_action(mean, log_std, noise)
    normal = torch.distributions.Normal(mean, log_std.exp())
    squash = torch.distributions.TanhTransform()
    raw = mean + log_std.exp() * noise
    wanted = normal.log_prob(raw) - squash.log_abs_det_jacobian(raw, torch.tanh(raw))
    assert log_prob.isfinite().all()
    assert torch.allclose(log_prob, wanted.sum(-1), rtol=1e-5)
    assert action.abs().max() <= 1


@pytest.mark.parametrize('layer_norm', [False, True])
def test_critics_are_independent_and_differently_initialised(layer_norm):
    critics = Critics(3, 4, 2, 8, layer_norm)
    features, action = torch.randn(5, 4), torch.randn(5, 2)
    before = critics(features, action)
    assert before.shape == (3, 5)
    assert not torch.allclose(before[0], before[1])
    with torch.no_grad():
        critics.weights[0][1, 0, 0] += 1
    after = critics(features, action)
    assert (after[[0, 2]] == before[[0, 2]]).all()
    assert not torch.allclose(after[1], before[1])


def test_normalised_layers_do_not_care_how_large_their_weights_are():
    features, action = torch.randn(5, 4), torch.randn(5, 2)
    for layer_norm in (False, True):
        critics = Critics(2, 4, 2, 32, layer_norm)
        before = critics(features, action)
        with torch.no_grad():
            critics.weights[0] *= 10
            critics.biases[0] *= 10
        assert torch.allclose(critics(features, action), before, atol=1e-3) == layer_norm
