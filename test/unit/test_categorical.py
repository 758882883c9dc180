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

"""Distributions over returns: what a backup keeps, where the atoms lie, what is learnt."""

import dataclasses
import math

import pytest
import torch
from learner_inputs import PLAIN, SMALL, batch, noise, problem
from tensors import leaves

from sac_ros.accel.compiler import Compiler
from sac_ros.sac.sac import SAC, categorical
from sac_ros.types import Transition


def bounds_of(low, high, bonus=0.0):
    return {'low': torch.tensor(low), 'high': torch.tensor(high), 'bonus': torch.tensor(bonus)}


BOUNDS = bounds_of(-2.0, 4.0)
ATOMS = dataclasses.replace(PLAIN, critic_loss='categorical', n_atoms=61)


def some(n=7, rows=50):
    draw = torch.Generator().manual_seed(0)
    probability = torch.randn(rows, n, generator=draw).softmax(-1)
    returns = torch.rand(rows, n, generator=draw) * 6 - 2
    return probability, returns


def test_a_projection_keeps_mass_mean_and_existing_atoms():
    probability, returns = some()
    target = categorical.project_distribution(probability, returns, BOUNDS)
    atoms = categorical.atoms(BOUNDS, 7)
    assert atoms.tolist() == pytest.approx([-2, -1, 0, 1, 2, 3, 4], abs=1e-5)
    assert target.min() >= 0
    assert torch.allclose(target.sum(-1), torch.ones(50))
    assert torch.allclose((target * atoms).sum(-1), (probability * returns).sum(-1), atol=1e-5)
    unmoved = categorical.project_distribution(probability, atoms.expand(50, 7), BOUNDS)
    assert torch.allclose(unmoved, probability, atol=1e-6)


def test_a_projection_is_that_of_the_paper():
    """Bellemare et al., 2017, equation 7: sum_j [1 - |clip(y_j) - z_k| / dz]_0^1 p_j."""
    probability, returns = some()
    far = returns * 3
    atoms = categorical.atoms(BOUNDS, 7)
    nearness = 1 - (far.clamp(-2, 4)[:, :, None] - atoms).abs() / 1.0
    wanted = (probability[:, :, None] * nearness.clamp(0, 1)).sum(1)
    assert torch.allclose(
        categorical.project_distribution(probability, far, BOUNDS), wanted, atol=1e-5
    )


@pytest.mark.parametrize('bonus', [0.0, 0.3, -0.3])
def test_atoms_span_an_interval_that_no_backup_leaves(bonus):
    """Without entropy it is the least such interval."""
    draw = torch.Generator().manual_seed(0)
    reward = torch.randn(1000, generator=draw)
    discount = torch.rand(1000, generator=draw) * 0.95
    discount[::3] = 0
    bounds = categorical.expand_support(bounds_of(0.0, 0.0), reward, discount, torch.tensor(bonus))
    low, high = categorical.support_bounds(bounds)
    backed = torch.stack([reward + discount * (v + bonus) for v in torch.linspace(low, high, 11)])
    assert backed.min() >= low - 1e-4
    assert backed.max() <= high + 1e-4
    if not bonus:
        assert (reward + discount * low * 0.99).min() < low * 0.99
        assert (reward + discount * high * 0.99).max() > high * 0.99
    later = categorical.expand_support(bounds, reward * 0.5, discount, torch.tensor(0.0))
    assert later == bounds | {'bonus': torch.tensor(0.0)}


def test_the_least_critic_is_the_one_of_the_least_mean():
    logits = torch.randn(3, 20, 7)
    means = categorical.expectation(logits, BOUNDS)
    chosen = categorical.min_critic_logits(logits, BOUNDS)
    assert torch.equal(categorical.expectation(chosen, BOUNDS), means.amin(0))
    assert len(set(means.argmin(0).tolist())) == 3


@pytest.mark.parametrize('options', [{}, {'n_critics': 4, 'target_critics': 2}], ids=['', 'REDQ'])
def test_the_target_has_the_mean_of_the_soft_target(options):
    config = dataclasses.replace(ATOMS, batch_size=32, **options)
    sac = SAC(problem(), None, config)
    state, draws, seen = sac.initialize(0), noise(sac), {}
    wide = bounds_of(-300.0, 300.0)  # nothing is cut off
    state = state._replace(running=state.running._replace(critic=wide))
    _, step = sac._prepare_batch(state, batch(), draws, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            categorical, 'cross_entropy', lambda z, target: seen.update(y=target) or z.sum(-1)
        )
        _, (q, running) = sac.critic_loss(state.critic, state, step, draws)
    next_q = sac._q((state.target_critic, running), step.next_features, step.next_action)
    if draws.chosen is not None:
        next_q = next_q[draws.chosen]
    wanted = sac.soft_target(next_q, step, state.temperature['log_alpha'].exp())
    mean = (seen['y'] * categorical.atoms(running, 61)).sum(-1)
    assert (running['low'], running['high']) == (-300, 300)
    assert torch.allclose(mean, wanted, atol=1e-3)
    assert q.shape == (config.n_critics, 32)


def test_critics_learn_how_returns_are_spread():
    """A reward of -1 or 1 by chance, three to one, and the end: the mean alone would be -0.5."""
    config = dataclasses.replace(ATOMS, n_atoms=21, learning_rate=5e-3)
    sac = SAC(problem(), None, config)
    state, draw = sac.initialize(0), torch.Generator().manual_seed(0)
    zeros, ones = torch.zeros(64, 2), torch.ones(64)
    for _ in range(600):
        reward = torch.where(torch.rand(64, generator=draw) < 0.25, 1.0, -1.0)
        action = torch.rand(64, 1, generator=draw) * 2 - 1
        state, _ = sac.update(state, Transition(zeros, action, reward, ones, zeros), noise(sac))
    assert (state.running.critic['low'], state.running.critic['high']) == (-1, 1)
    there = (state.critic, state.running.critic)
    features = sac.features(zeros[:1])
    probability = sac._outputs(there, features, torch.zeros(1, 1)).softmax(-1)[:, 0]
    assert probability[:, 0].tolist() == pytest.approx([0.75, 0.75], abs=0.06)
    assert probability[:, -1].tolist() == pytest.approx([0.25, 0.25], abs=0.06)
    q = sac.value(state, zeros[:1], torch.zeros(1, 1))
    assert q.flatten().tolist() == pytest.approx([-0.5, -0.5], abs=0.1)


def test_the_compiled_update_is_the_eager_one():
    config = dataclasses.replace(SMALL, critic_loss='categorical', normalization='layer')
    sac = SAC(problem(), None, config)
    eager, fast = sac.initialize(0), sac.initialize(0)
    update = Compiler()(sac.update)
    for i in range(3):
        eager, metrics = sac.update(eager, batch(seed=i), noise(sac, seed=i))
        fast, _ = update(fast, batch(seed=i), noise(sac, seed=i))
    assert all(math.isfinite(value) for value in metrics.values())
    for a, b in zip(leaves(eager), leaves(fast), strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-5)
