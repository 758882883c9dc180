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

"""The features agree with MuJoCo; the squashed Gaussian is a probability density."""

import mujoco
import numpy as np
import pytest
import torch

from sac_ros.config.robot import ArmConfig
from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.envs.arm_env import make_env_bundle
from sac_ros.sac.features import BOUND, Features
from sac_ros.sac.forward_kinematics import ForwardKinematics
from sac_ros.sac.layers import BatchRenorm, Normalizer, dropout_mask
from sac_ros.sac.networks import Actor, Critics, sample_action
from sac_ros.sim.arm import SimArm

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
    place = kinematics(torch.tensor(positions, dtype=torch.float32))
    wanted, wanted_turning = np.zeros((3, arm.model.nv)), np.zeros((3, arm.model.nv))
    body = arm.model.body(arm.robot.tip).id
    carriers = [arm.model.joint(name).bodyid[0] for name in arm.robot.joint_names]
    for i, position in enumerate(positions):
        arm.reset(position)
        mujoco.mj_jacBody(arm.model, arm.data, wanted, wanted_turning, body)
        assert np.abs(place.tip[i].numpy() - arm.tip_position).max() < 1e-6
        assert np.abs(place.jacobian_t[i].numpy().T - wanted).max() < 1e-5
        assert np.abs(place.rotation[i].numpy() - arm.tip_rotation).max() < 1e-6
        assert np.abs(place.turning_t[i].numpy().T - wanted_turning).max() < 1e-5
        frames = place.frames[i].numpy()
        carried = arm.data.xmat[carriers].reshape(-1, 3, 3)
        assert np.abs(frames[:, :3, :3] - carried).max() < 1e-5
        assert (frames[:, 3] == [0, 0, 0, 1]).all()
        turning, moving = np.split(place.screws[i].numpy(), 2, axis=1)
        at_tip = moving + np.cross(turning, arm.tip_position)
        assert np.abs(at_tip.T - wanted).max() < 1e-5


def test_features_of_an_arm_are_bounded_whatever_a_sensor_says():
    _, spec, chain = make_env_bundle(TrainConfig())
    features = Features(spec, chain)
    observation = torch.randn(100, spec.n_observation) * 10.0 ** torch.arange(-2, 8).repeat(
        10, 1
    ).T.reshape(-1, 1)
    result = features(observation)
    assert result.shape == (100, features.size)
    assert result.isfinite().all()
    assert result.abs().max() <= BOUND


def test_other_observations_pass_unchanged():
    _, spec, chain = make_env_bundle(TrainConfig(env='Pusher-v5'))
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


def critics(normalization, n=3, **settings):
    values = {'n_critics': n, 'hidden': 8, 'critic_loss': 'squared'}
    values['normalization'] = normalization
    return Critics(4, 2, SACConfig(**(values | settings)))


@pytest.mark.parametrize('normalization', ['none', 'layer', 'batch'])
def test_critics_are_independent_and_differently_initialised(normalization):
    torch.manual_seed(0)
    networks = critics(normalization)
    features, action = torch.randn(5, 4), torch.randn(5, 2)
    before = networks(features, action)
    assert before.shape == (3, 5)
    assert not torch.allclose(before[0], before[1])
    with torch.no_grad():
        networks.weights[1][1] *= -1
    after = networks(features, action)
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert not torch.allclose(after[1], before[1])


def test_normalized_layers_ignore_the_scale_of_their_weights():
    features, action = torch.randn(5, 4), torch.randn(5, 2)
    for normalization in ('none', 'layer'):
        networks = critics(normalization, hidden=32)
        before = networks(features, action)
        with torch.no_grad():
            networks.weights[0] *= 10
            networks.biases[0] *= 10
        same = torch.allclose(networks(features, action), before, atol=1e-3)
        assert same == (normalization == 'layer')


def test_batch_renorm_equals_batch_norm_once_the_moments_agree():
    """Ioffe, 2017: with running moments equal to the batch's, r = 1 and d = 0."""
    norm, x = BatchRenorm((1, 6)), 3 + 2 * torch.randn(64, 6)
    for _ in range(2_000):
        moments = {}
        trained = norm(x, 'n', moments)
        norm.mean, norm.variance = moments['n.mean'], moments['n.variance']
    wanted = torch.nn.functional.batch_norm(x, None, None, training=True, eps=1e-3)
    assert torch.allclose(trained, wanted, atol=1e-4)
    assert torch.allclose(norm(x, 'n', None), wanted, atol=1e-4)
    far = norm(x + 1e4, 'n', {})  # a jump of the batch's mean is passed on, bounded
    assert torch.allclose(far.mean(0), torch.full((6,), 5.0), atol=1e-3)


def test_dropout_masks_are_fair_and_pairwise_independent():
    rate, rows, columns = 0.2, 400, 300
    masks = dropout_mask(torch.rand(20, rows + columns), columns, rate)
    dropped = (masks == 0).float()
    assert masks.unique().tolist() == pytest.approx([0, 1 / (1 - rate)])
    assert dropped.mean().item() == pytest.approx(rate, abs=0.01)
    for other in (dropped.roll(1, 1), dropped.roll(1, 2), dropped.roll((1, 1), (1, 2))):
        assert (dropped * other).mean().item() == pytest.approx(rate**2, abs=0.01)


def test_dropout_touches_training_alone():
    networks, features, action = critics('none', dropout=0.3), torch.randn(5, 4), torch.rand(5, 2)
    uniform = torch.rand(2, 3, 5 + 8)
    assert torch.equal(networks(features, action), networks(features, action))
    assert not torch.equal(networks(features, action, uniform), networks(features, action))


def test_the_normalizer_holds_the_moments_of_all_it_saw():
    normalizer, seen = Normalizer(3), [5 * torch.randn(40 + i, 3) + 2 for i in range(20)]
    moments = dict(normalizer.named_buffers())
    for part in seen:
        moments = normalizer.updated(moments, part)
    everything = torch.cat(seen)
    assert torch.allclose(moments['mean'], everything.mean(0), atol=1e-4)
    assert torch.allclose(moments['variance'], everything.var(0, correction=0), rtol=1e-4)
    normalizer.load_state_dict(moments)
    assert torch.allclose(normalizer(everything).mean(0), torch.zeros(3), atol=1e-4)
    assert normalizer(torch.full((1, 3), 1e9)).max() == 10


def test_gsde_is_a_function_of_the_state_with_its_stated_spread():
    """Raffin et al., 2021, equation 6: the noise is Gaussian with the variance sum (z sigma)^2."""
    actor = Actor(4, 2, SACConfig(hidden=16, exploration='gsde'))
    features = torch.randn(3, 4)
    with torch.no_grad():
        mean, log_std = actor(features)
        moved = torch.stack([actor(features, torch.randn(16, 2))[0] for _ in range(4_000)])
        noise = torch.randn(16, 2)
        assert torch.equal(actor(features, noise)[0], actor(features, noise)[0])
    assert torch.allclose(moved.mean(0), mean, atol=0.02)
    assert torch.allclose(moved.std(0), log_std.exp(), rtol=0.1)
