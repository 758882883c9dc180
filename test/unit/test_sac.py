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

"""The update is pure and reproducible, and each mechanism does what its equation says."""

import dataclasses
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from learner_inputs import PLAIN, SMALL, batch, noise, problem
from paths import PROGRAMS
from tensors import leaves, same
from torch.utils._python_dispatch import TorchDispatchMode

from sac_ros.accel.compiler import CACHE, Compiler
from sac_ros.accel.matmul import MatmulPass
from sac_ros.config.training import SACConfig
from sac_ros.sac.adam import adam_state, adam_step
from sac_ros.sac.base_controller import Base, entropy_weight
from sac_ros.sac.networks import sample_action
from sac_ros.sac.sac import SAC
from sac_ros.types import Transition


def test_update_is_pure_and_reproducible():
    sac = SAC(problem(), None, SMALL)
    state = sac.initialize(seed=1)
    kept = [leaf.clone() for leaf in leaves(state)]
    first, _ = sac.update(state, batch(), noise(sac))
    second, _ = sac.update(state, batch(), noise(sac))
    assert same(first, second)
    assert all(torch.equal(a, b) for a, b in zip(kept, leaves(state), strict=True))
    assert not same(first, state)
    assert same(sac.initialize(1), state)
    assert not same(sac.initialize(2), state)


on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason='torch finds no GPU')


@pytest.mark.parametrize('device', ['cpu', pytest.param('cuda', marks=on_gpu)])
def test_compiled_update_equals_the_eager_one(device):
    sac = SAC(problem(), None, SMALL)
    eager, fast = sac.initialize(0, device), sac.initialize(0, device)
    update = Compiler(device)(sac.update)
    for i in range(5):
        given = Transition(*(part.to(device) for part in batch(seed=i)))
        draws = noise(sac, seed=i).to(device)
        eager, eager_metrics = sac.update(eager, given, draws)
        fast, fast_metrics = update(fast, given, draws)
    for name in eager_metrics:
        assert fast_metrics[name].item() == pytest.approx(eager_metrics[name].item(), rel=1e-4)
    for a, b in zip(leaves(eager), leaves(fast), strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)


class Devices(TorchDispatchMode):
    """Remembers where tensors were that anything was done with."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        given = leaves((args, kwargs, out))
        self.seen |= {part.device.type for part in given if isinstance(part, torch.Tensor)}
        return out


@pytest.mark.parametrize(
    'settings',
    [
        {'normalization': 'none', 'critic_loss': 'squared'},
        {'normalization': 'layer', 'n_critics': 4, 'target_critics': 2, 'dropout': 0.1},
        {'normalization': 'layer', 'critic_loss': 'squared', 'exploration': 'gsde'},
        {'normalization': 'batch', 'n_atoms': 11},
    ],
)
def test_an_update_is_whole_on_the_device_of_its_state(settings):
    # Or it could not be captured as one graph. This device has shapes only, and every machine it.
    sac = SAC(problem(), None, SACConfig(hidden=16, batch_size=32, **settings))
    state, draws = sac.initialize(0, 'meta'), noise(sac).to('meta')
    given = Transition(*(part.to('meta') for part in batch()))
    with Devices() as devices:
        for update in (sac.update, sac.update_critics):
            state, metrics = update(state, given, draws)
    assert devices.seen == {'meta'}
    assert {leaf.device.type for leaf in leaves((state, metrics))} == {'meta'}


def test_an_uncompilable_update_runs_eagerly_with_one_warning(caplog):
    sac = SAC(problem(), None, SMALL)

    def stubborn(state, transitions, draws):
        torch._dynamo.graph_break()
        return sac.update(state, transitions, draws)

    update = Compiler()(stubborn)
    state = sac.initialize(0)
    wanted, _ = sac.update(state, batch(), noise(sac))
    for _ in range(2):
        assert same(update(state, batch(), noise(sac))[0], wanted)
    warned = [record for record in caplog.records if record.name == 'sac_ros.accel.compiler']
    assert [record.message[:25] for record in warned] == ['cannot compile the update']


@pytest.mark.parametrize('missing', ['compiler', 'product'])
def test_a_failed_build_leaves_updates_eager_with_one_warning(tmp_path, missing):
    if missing == 'product' and not MatmulPass.for_device('cpu', bf16=False).own:
        pytest.skip('this processor needs no operator of ours')
    broken = tmp_path / 'matmul.cpp'
    broken.write_text('not C++')
    source = [broken] if missing == 'product' else []
    environment = {k: v for k, v in os.environ.items() if k not in ('CXX', CACHE)}
    environment['XDG_CACHE_HOME'] = str(tmp_path)
    if missing == 'compiler':
        environment['PATH'] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, PROGRAMS / 'update_without_build.py', *source],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ['True', 'True']
    assert (tmp_path / 'sac_ros' / 'inductor').is_dir()  # where it will be after a restart too
    reason = {'compiler': 'No working C++ compiler', 'product': ' error: '}[missing]
    (warning,) = (line for line in done.stderr.splitlines() if 'cannot compile' in line)
    assert reason in warning


@pytest.mark.parametrize('beta1', [0.0, 0.5, 0.9])
def test_adam_matches_torchs(beta1):
    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    torchs = torch.optim.Adam([parameter], lr=1e-3, betas=(beta1, 0.999))
    ours = {'p': parameter.detach().clone()}
    state = adam_state(ours)
    for i in range(20):
        gradient = torch.tensor([math.sin(i), 10.0 * math.cos(i)])
        ours, state = adam_step(ours, {'p': gradient}, state, 1e-3, beta1)
        parameter.grad = gradient
        torchs.step()
        assert torch.allclose(ours['p'], parameter.detach(), atol=1e-6)


def test_the_target_is_the_minimum_and_stops_at_termination():
    sac = SAC(problem(), None, SMALL)
    state, transitions = sac.initialize(0), batch()
    state = state._replace(temperature={'log_alpha': torch.tensor(math.log(0.3))})
    _, step = sac._prepare_batch(state, transitions, noise(sac), None)
    critic = (state.target_critic, {})
    q = sac._q(critic, step.next_features, step.next_action)
    target = sac.soft_target(q, step, torch.tensor(0.3))
    assert not torch.allclose(q[0], q[1])
    soft = torch.minimum(q[0], q[1]) - 0.3 * step.next_log_prob
    ended = transitions.terminated == 1
    assert ended.any()
    assert not ended.all()
    assert torch.equal(target[ended], transitions.reward[ended])
    assert torch.allclose(target[~ended], (transitions.reward + sac.config.gamma * soft)[~ended])


def test_a_given_discount_takes_the_place_of_gamma():
    sac = SAC(problem(), None, SMALL)
    state, transitions, draws = sac.initialize(0), batch(), noise(sac)
    discount = torch.linspace(0.1, 0.9, 32)
    _, step = sac._prepare_batch(state, transitions, draws, discount)
    assert torch.equal(step.discount, discount * (1 - transitions.terminated))
    usual, _ = sac.update(state, transitions, draws)
    constant, _ = sac.update(state, transitions, draws, torch.full((32,), sac.config.gamma))
    other, _ = sac.update(state, transitions, draws, discount)
    assert same(usual, constant)
    assert not same(usual, other)


def test_a_subset_makes_the_target_and_all_critics_the_actor():
    sac = SAC(problem(), None, dataclasses.replace(SMALL, n_critics=5, target_critics=2))
    state, transitions, draws = sac.initialize(0), batch(), noise(sac)
    assert len(set(draws.chosen.tolist())) == 2
    assert len({tuple(noise(sac, seed).chosen.tolist()) for seed in range(40)}) > 10
    _, step = sac._prepare_batch(state, transitions, draws, None)
    loss, (q, _) = sac.critic_loss(state.critic, state, step, draws)
    next_q = sac._q((state.target_critic, {}), step.next_features, step.next_action)
    alpha = state.temperature['log_alpha'].exp()
    target = sac.soft_target(next_q[draws.chosen], step, alpha)
    assert q.shape == (5, 32)
    assert loss.item() == pytest.approx((0.5 * (q - target) ** 2).mean(1).sum().item())
    loss, _ = sac.actor_loss(state.actor, state, step, alpha, draws)
    mean, log_std = sac.distribution(state, transitions.observation)
    action, log_prob = sample_action(mean, log_std, draws.action)
    mean_q = sac._q((state.critic, {}), step.features, action).mean(0)
    assert loss.item() == pytest.approx((alpha * log_prob - mean_q).mean().item(), abs=1e-6)


def test_critics_alone_are_what_the_whole_update_makes_of_them():
    sac = SAC(problem(), None, SMALL)
    state = sac.initialize(0)
    whole, _ = sac.update(state, batch(), noise(sac))
    alone, _ = sac.update_critics(state, batch(), noise(sac))
    assert same(alone.critic, whole.critic)
    assert same(alone.target_critic, whole.target_critic)
    assert same(alone.actor, state.actor)
    assert same(alone.temperature, state.temperature)


def test_the_deployed_actor_is_the_running_mean():
    sac = SAC(problem(), None, dataclasses.replace(SMALL, actor_ema_rate=0.25))
    state, observation = sac.initialize(0), torch.randn(9, 2)
    new, _ = sac.update(state, batch(), noise(sac))
    for name, value in new.average_actor.items():
        wanted = torch.lerp(state.actor[name], new.actor[name], 0.25)
        assert torch.allclose(value, wanted, atol=1e-7)
    mean, _ = sac.distribution(new._replace(actor=new.average_actor), observation)
    assert torch.equal(sac.act(new, observation, None), torch.tanh(mean))
    assert torch.allclose(sac.policy(new)(observation), torch.tanh(mean), atol=1e-6)


def test_without_a_running_mean_the_actor_itself_is_deployed():
    sac = SAC(problem(), None, SMALL)
    new, _ = sac.update(sac.initialize(0), batch(), noise(sac))
    observation = torch.randn(9, 2)
    mean, _ = sac.distribution(new, observation)
    assert not new.average_actor
    assert torch.equal(sac.act(new, observation, None), torch.tanh(mean))
    assert torch.allclose(sac.policy(new)(observation), torch.tanh(mean), atol=1e-6)


def test_batch_renorm_needs_no_target_and_carries_its_moments():
    sac = SAC(problem(), None, dataclasses.replace(SMALL, normalization='batch'))
    state = sac.initialize(0)
    kept = [leaf.clone() for leaf in leaves(state)]
    new, _ = sac.update(state, batch(), noise(sac))
    assert state.target_critic == {}
    assert all(torch.equal(a, b) for a, b in zip(kept, leaves(state), strict=True))
    for part in ('actor', 'critic'):
        before, after = getattr(state.running, part), getattr(new.running, part)
        assert before.keys() == after.keys()
        assert not same(before, after)


def test_target_critic_follows_by_tau():
    sac = SAC(problem(), None, dataclasses.replace(SMALL, tau=0.25))
    state = sac.initialize(0)
    new, _ = sac.update(state, batch(), noise(sac))
    for name, value in new.target_critic.items():
        wanted = 0.75 * state.target_critic[name] + 0.25 * new.critic[name]
        assert torch.allclose(value, wanted, atol=1e-7)


@pytest.mark.parametrize('scale', [0.5, 1.0])
def test_temperature_brings_the_entropy_to_its_target(scale):
    """On a bandit with a peak, alpha falls from above and the entropy ends at the target."""
    config = dataclasses.replace(PLAIN, learning_rate=5e-3, target_entropy_scale=scale, gamma=0.0)
    sac = SAC(problem(), None, config)
    state, draw = sac.initialize(0), torch.Generator().manual_seed(0)
    alphas, entropies = [], []
    for _ in range(2500):
        action = torch.rand(64, 1, generator=draw) * 2 - 1
        zeros = torch.zeros(64, 2)
        reward = -((action[:, 0] - 0.3) ** 2)
        transitions = Transition(zeros, action, reward, torch.ones(64), zeros)
        state, metrics = sac.update(state, transitions, sac.noise(draw))
        alphas.append(metrics['alpha'].item())
        entropies.append(metrics['entropy'].item())
    assert alphas[50] < alphas[0]  # the entropy starts above the target
    assert np.mean(entropies[-300:]) == pytest.approx(-scale, rel=0.05)
    action = sac.act(state, torch.zeros(1, 2), None)
    assert action.item() == pytest.approx(0.3, abs=0.05)


def test_alpha_rises_when_the_entropy_is_under_the_target():
    sac = SAC(problem(), None, SMALL)
    for entropy, sign in ((-5.0, -1), (5.0, 1)):
        gradient = torch.func.grad(sac.temperature_loss)(
            {'log_alpha': torch.tensor(0.0)}, torch.tensor(entropy)
        )
        assert math.copysign(1, gradient['log_alpha'].item()) == sign


@pytest.mark.parametrize(('terminated', 'value'), [(1.0, 1.0), (0.0, 10.0)])
def test_a_self_loop_has_the_value_of_its_geometric_series(terminated, value):
    config = dataclasses.replace(
        PLAIN, learning_rate=5e-3, gamma=0.9, tau=0.1, initial_alpha=1e-6, target_entropy_scale=10
    )
    sac = SAC(problem(), None, config)
    state, draw = sac.initialize(0), torch.Generator().manual_seed(0)
    here = torch.ones(64, 2)
    for _ in range(1200):
        action = torch.rand(64, 1, generator=draw) * 2 - 1
        transitions = Transition(here, action, torch.ones(64), torch.full((64,), terminated), here)
        state, metrics = sac.update(state, transitions, sac.noise(draw))
        state = state._replace(temperature={'log_alpha': torch.tensor(math.log(1e-6))})
    assert metrics['q'].item() == pytest.approx(value, rel=0.01)


def test_two_learners_of_one_compiler_do_not_share_a_graph():
    """Checks of the compiler are off, so each function needs a place of its own."""
    compiler = Compiler()
    for hidden, gamma in ((16, 0.5), (24, 0.9)):
        sac = SAC(problem(), None, dataclasses.replace(SMALL, hidden=hidden, gamma=gamma))
        state = sac.initialize(0)
        eager, _ = sac.update_critics(state, batch(), noise(sac))
        fast, _ = compiler(sac.update_critics)(state, batch(), noise(sac))
        for a, b in zip(leaves(eager), leaves(fast), strict=True):
            assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)
    assert compiler.ready
    assert not compiler.failed


def test_entropy_counts_by_the_share_of_authority():
    """Half of the batch has none: its randomness is neither rewarded nor counted."""
    sac = SAC(problem(), None, SMALL)
    state, draws = sac.initialize(0), noise(sac)
    _, step = sac._prepare_batch(state, batch(), draws, None)
    share = torch.arange(32).fmod(2).float()[:, None]
    base = Base(torch.zeros(32, 1), 0.5 * share, share)
    alpha = torch.tensor(0.7)
    loss, (entropy, _) = sac.actor_loss(state.actor, state, step._replace(base=base), alpha, draws)
    mean, log_std = sac.distribution(state, batch().observation)
    sample, log_prob = sample_action(mean, log_std, draws.action)
    q = sac._q((state.critic, {}), step.features, base.authority * sample).amin(0)
    counted = share[:, 0] * log_prob
    assert entropy.item() == pytest.approx(-log_prob[1::2].mean().item(), abs=1e-5)
    assert loss.item() == pytest.approx((alpha * counted - q).mean().item(), abs=1e-5)
    assert torch.equal(entropy_weight(base, log_prob), share[:, 0])
    assert torch.equal(entropy_weight(None, log_prob), torch.ones(32))
