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

"""The soft-optimal policy of a run's own critics along one action dimension.

Along the residual r of one joint, with the others at the actor's mean, the page shows the
landscape Q(r) = min_i Q_i(s, a(r)), the Boltzmann policy exp(Q(r) / alpha) / Z that it induces
(Haarnoja et al., 2018, "Soft Actor-Critic Algorithms and Applications", equation 4) and the
actor's own density. The residual is what the actor draws and what the entropy is of; the critics
see the executed action a(r) = clip(base + authority r, -1, 1). Without a base controller a = r.
The temperature at a state is that of the learner times the share of authority there.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sac_ros.envs.arm_env import ArmEnv
from sac_ros.errors import ReplayError
from sac_ros.replay import ReplayReader
from sac_ros.report.data import links_of, packed, rounded
from sac_ros.report.run import Learner, Run
from sac_ros.sac.base_controller import Base, entropy_weight, with_base

GRID = np.linspace(-1, 1, 121, dtype=np.float32)  # residuals at which Q is computed
EPISODES, STATES = 6, 8  # episodes of the replay, and states of each
PROMINENCE = 0.02  # share of Q's range below which a peak is no basin of its own


def boltzmann(run: Run) -> dict[str, Any]:
    """Return landscapes, basins and the actor at recorded states.

    Raises:
        CheckpointError: the run has no checkpoint that can be used.
        ReplayError: there is no recorded state.
    """
    learner = run.need_learner()
    if run.replay is None or not len(run.replay):
        raise ReplayError('this needs the states in the replay, and there are none')
    places, observations = recorded_states(run.replay)
    spec = learner.spec
    base, mean, log_std = _actor(learner, observations)
    q = landscapes(learner, observations, base, mean)  # (S, n, G)
    alpha = learner.state.temperature['log_alpha'].exp()
    valleys = [[basins(line) for line in state] for state in q]
    top = q.max(axis=2)
    return {
        'step': run.step,
        'learner': run.learner_file,
        'alpha': (alpha * entropy_weight(base, mean[:, 0])).tolist(),  # at each state
        'joints': list(spec.joint_names),
        'torque_limit': list(spec.torque_limit),
        'unit': 'N·m' if run.config is not None and run.config.env == 'arm-reach' else '',
        'residual': base is not None,
        'states': [{'episode': e, 'step': k} for e, k in places],
        'q_max': packed(top),
        'q': packed(q - top[:, :, None]),  # as differences, so that float32 keeps small ones
        'basins': valleys,
        'base': None if base is None else rounded(base.action.numpy(), 4),
        'authority': None if base is None else rounded(base.authority[:, 0].numpy(), 4),
        'mean': rounded(mean.numpy(), 5),
        'log_std': rounded(log_std.numpy(), 5),
        'first': list(_first_choice(q, valleys)),
        'links': _postures(learner, observations),
    }


def recorded_states(replay: ReplayReader) -> tuple[list[tuple[int, int]], NDArray[np.float32]]:
    """Return (episode, step) of states spread over the replay, and their observations (S, n_obs).

    The episodes are spread from the oldest to the newest, the states over each of them.
    """
    sequences = replay.sequences()
    rows = replay.rows(sequences)
    numbers = replay.layout.episode(rows).astype(np.int64)
    episodes, first, count = np.unique(numbers, return_index=True, return_counts=True)
    places, chosen = [], []
    for i in np.unique(np.linspace(0, len(episodes) - 1, EPISODES).round().astype(int)):
        for step in np.unique(np.linspace(0, count[i] - 1, STATES).round().astype(int)):
            places.append((int(episodes[i]), int(step)))
            chosen.append(first[i] + step)
    return places, np.array(replay.layout.split(rows[chosen]).observation)


@torch.no_grad()
def _actor(
    learner: Learner, observations: NDArray[np.float32]
) -> tuple[Base | None, torch.Tensor, torch.Tensor]:
    """Return the base controller's output, and mean and log_std (S, n) before the tanh."""
    observed = torch.from_numpy(observations)
    mean, log_std = learner.sac.distribution(learner.state, observed)
    return learner.sac.base(observed), mean, log_std


@torch.no_grad()
def landscapes(
    learner: Learner,
    observations: NDArray[np.float32],
    base: Base | None,
    mean: torch.Tensor,
    grid: NDArray[np.float32] = GRID,
) -> NDArray[np.float64]:
    """Return Q (S, n, G) along the residual of each joint, the others at the actor's mean.

    Args:
        learner: of the run.
        observations: raw (S, n_obs).
        base: output of the base controller at them.
        mean: of the actor before the tanh (S, n).
        grid: residuals (G,) in [-1, 1].
    """
    n, size = mean.shape[1], len(grid)
    values = torch.from_numpy(grid)
    rows = []
    for i, observation in enumerate(torch.from_numpy(observations)):
        residual = torch.tanh(mean[i]).expand(n, size, n).clone()
        residual[range(n), :, range(n)] = values
        residual = residual.reshape(n * size, n)
        here = None
        if base is not None:
            here = Base(*(value[i].expand(n * size, -1) for value in base))
        observed = observation.expand(n * size, -1)
        q = learner.sac.value(learner.state, observed, with_base(here, residual))
        rows.append(q.amin(dim=0).reshape(n, size).numpy())
    return np.array(rows, np.float64)


def basins(q: NDArray[np.float64]) -> list[list[int]]:
    """Return the basins of the best and the second best peak of a curve (G,), if there are two.

    A basin is the first and the last grid point between the valleys around its peak. Peaks that
    rise above their valley by less than `PROMINENCE` of the range of Q belong to their neighbor.
    """
    inner = q[1:-1]
    valleys = (np.flatnonzero((inner < q[:-2]) & (inner <= q[2:])) + 1).tolist()
    edges = [0, *valleys, len(q) - 1]
    least = PROMINENCE * float(q.max() - q.min())
    while len(edges) > 2:
        peaks = [q[a : b + 1].max() for a, b in pairwise(edges)]
        rise = [min(peaks[i - 1], peaks[i]) - q[edges[i]] for i in range(1, len(edges) - 1)]
        i = int(np.argmin(rise))
        if rise[i] >= least:
            break
        del edges[i + 1]
    parts = [[a, b] for a, b in pairwise(edges)]
    parts.sort(key=lambda part: -float(q[part[0] : part[1] + 1].max()))
    return parts[:2]


def _first_choice(q: NDArray[np.float64], valleys: list[list[list[list[int]]]]) -> tuple[int, int]:
    """Return state and joint to show first: a curve with two basins, else the least flat one."""
    ranges = q.max(axis=2) - q.min(axis=2)
    two = np.array([[len(parts) == 2 for parts in state] for state in valleys])
    score = ranges + (ranges.max() + 1) * two
    state, joint = np.unravel_index(int(score.argmax()), score.shape)
    return int(state), int(joint)


def _postures(learner: Learner, observations: NDArray[np.float32]) -> list[Any] | None:
    """Return the arm's joints and tip, and the goal, of each state for its thumbnail."""
    env, fields = learner.env, learner.spec.slices()
    if not isinstance(env, ArmEnv):
        return None
    postures = []
    for observation in observations:
        env.arm.place(observation[fields['joint_position']].astype(np.float64))
        points = rounded(links_of(env.arm), 4)
        goal = rounded(observation[fields['goal']], 4) if 'goal' in fields else None
        postures.append({'points': points, 'goal': goal})
    return postures
