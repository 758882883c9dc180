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

"""Seeds of episodes: training, evaluation and report never share one.

Seeds are divided into blocks of `SEED_STRIDE`. Blocks 1 and 2 belong to evaluation and report; the
seed of a run selects another block, in which the run stays however many episodes it takes.
"""

from __future__ import annotations

from sac_ros.errors import ConfigError

SEED_STRIDE = 10**6  # seeds in a block
_EVALUATION, _REPORT = 1, 2  # blocks


def training_seed(seed: int, episode: int) -> int:
    """Return the seed of a training episode.

    Args:
        seed: of the run, at least 0.
        episode: number of the episode in the run, from 0; after SEED_STRIDE episodes they recur.
    """
    block = seed if seed < _EVALUATION else seed + _REPORT
    return block * SEED_STRIDE + episode % SEED_STRIDE


def evaluation_seed(episode: int) -> int:
    """Return the seed of an evaluation episode, the same in every run.

    Raises:
        ConfigError: there are no such episodes, only SEED_STRIDE.
    """
    return _seed_in(_EVALUATION, episode)


def report_seed(episode: int) -> int:
    """Return the seed of an episode from which the report judges the critics.

    Raises:
        ConfigError: there are no such episodes, only SEED_STRIDE.
    """
    return _seed_in(_REPORT, episode)


def _seed_in(block: int, episode: int) -> int:
    if not 0 <= episode < SEED_STRIDE:
        raise ConfigError(f'an evaluation has at most {SEED_STRIDE:,} episodes')
    return block * SEED_STRIDE + episode
