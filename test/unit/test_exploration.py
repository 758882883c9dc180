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

"""Noise of every colour is standard normal at each step and follows the generators alone."""

import numpy as np
import pytest
import torch

from sac_ros.config.training import SACConfig
from sac_ros.sac.exploration import GSDE_STEPS, Exploration, coloured_noise


def exploration(kind, seed=0):
    rng, draw = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    return Exploration(SACConfig(exploration=kind, hidden=16), 3, rng, draw)


@pytest.mark.parametrize('exponent', [0.0, 1.0, 2.0])
def test_the_spectrum_falls_with_frequency_to_the_exponent(exponent):
    steps, n = 1024, 400
    series = coloured_noise(exponent, steps, n, np.random.default_rng(0))
    power = (np.abs(np.fft.rfft(series, axis=0)) ** 2).mean(1)[1:-1]
    frequency = np.fft.rfftfreq(steps)[1:-1]
    slope = np.polyfit(np.log(frequency), np.log(power), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.05)


@pytest.mark.parametrize('steps', [255, 256])
def test_coloured_noise_has_variance_one_at_every_step(steps):
    series = coloured_noise(1.0, steps, 20_000, np.random.default_rng(0))
    assert series.mean() == pytest.approx(0, abs=0.02)
    assert series.var(axis=1) == pytest.approx(np.ones(steps), abs=0.06)


@pytest.mark.parametrize('kind', ['white', 'pink', 'gsde'])
def test_equal_generators_give_equal_noise_and_episodes_differ(kind):
    one, other = exploration(kind), exploration(kind)
    for noise in (one, other):
        noise.begin_episode()
    first = [one().clone() for _ in range(2_000)]
    assert all(torch.equal(a, other()) for a in first)
    assert first[0].shape == ((16, 3) if kind == 'gsde' else (1, 3))
    one.begin_episode()
    assert not torch.equal(one(), first[0])


def test_gsde_keeps_its_function_for_some_steps():
    noise = exploration('gsde')
    drawn = [noise().clone() for _ in range(2 * GSDE_STEPS)]
    assert all(torch.equal(drawn[0], later) for later in drawn[:GSDE_STEPS])
    assert not torch.equal(drawn[0], drawn[GSDE_STEPS])


def test_pink_noise_lasts_longer_than_white():
    def persistence(kind):
        noise = exploration(kind)
        drawn = torch.cat([noise() for _ in range(1_000)])
        return (drawn[1:] * drawn[:-1]).mean().item()

    assert persistence('pink') > 0.4 > 0.1 > abs(persistence('white'))
