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

"""No training episode has the seed of an evaluation episode, or of another run's training."""

import itertools

import pytest

from sac_ros.errors import ConfigError
from sac_ros.seeds import SEED_STRIDE, evaluation_seed, report_seed, training_seed

RUNS = [0, 1, 2, 3, 999_999, 10**6, 10**6 + 1, 2**31 - 1]
EPISODES = [0, 1, SEED_STRIDE - 1, SEED_STRIDE, 7 * SEED_STRIDE + 3, 10**9]


def test_seeds_of_runs_and_of_evaluation_are_disjoint():
    """A block is an interval, so its ends decide."""
    evaluation = (evaluation_seed(0), evaluation_seed(SEED_STRIDE - 1))
    blocks = [evaluation, (report_seed(0), report_seed(SEED_STRIDE - 1))]
    for run in RUNS:
        seeds = [training_seed(run, episode) for episode in EPISODES]
        blocks.append((training_seed(run, 0), training_seed(run, SEED_STRIDE - 1)))
        assert all(blocks[-1][0] <= seed <= blocks[-1][1] for seed in seeds)
    for (low, high), (other_low, other_high) in itertools.combinations(blocks, 2):
        assert high < other_low or other_high < low
    assert min(low for low, _ in blocks) >= 0


def test_episodes_of_a_run_and_of_an_evaluation_differ():
    assert len({training_seed(1, episode) for episode in range(1000)}) == 1000
    assert len({evaluation_seed(episode) for episode in range(1000)}) == 1000


@pytest.mark.parametrize('episode', [-1, SEED_STRIDE])
def test_an_evaluation_stays_in_its_block(episode):
    with pytest.raises(ConfigError, match='at most 1,000,000 episodes'):
        evaluation_seed(episode)
    with pytest.raises(ConfigError, match='at most 1,000,000 episodes'):
        report_seed(episode)
