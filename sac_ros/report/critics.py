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

"""Values of each critic and of their minimum against what the same policy then earned.

The soft return of a step is r_t + gamma (soft_{t+1} - alpha log pi(a_{t+1} | s_{t+1})): the
discounted rewards and, from the next step on, the entropy bonus, as the critics are trained on.
Episodes of the stochastic policy go on beyond their usual end until what follows weighs less
than `TAIL_WEIGHT`; that rest is the value of the last step.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from gymnasium.wrappers import TimeLimit
from numpy.typing import NDArray

from sac_ros.envs.arm_env import make_env
from sac_ros.errors import SacRosError
from sac_ros.report.data import rounded
from sac_ros.report.run import Learner, Run
from sac_ros.sac.base_controller import entropy_weight, with_base
from sac_ros.sac.networks import sample_action
from sac_ros.seeds import report_seed
from sac_ros.training.best_checkpoint import BestCheckpoint

TAIL_WEIGHT = 0.01
EPISODES = 6
COUNTED = 80  # states of an episode that are compared, at most
MAX_TAIL = 500  # steps
SHOWN = 300  # points of the scatter


class Comparison(NamedTuple):
    """Values and soft returns at the states of some episodes."""

    q: NDArray[np.float64]  # (n_critics, N)
    returns: NDArray[np.float64]  # (N,)
    episode: NDArray[np.int64]  # (N,)

    def bias(self) -> tuple[float, float]:
        """Return the mean of min_i Q_i - return, and its standard error over the episodes."""
        off = self.q.min(axis=0) - self.returns
        means = [float(off[self.episode == e].mean()) for e in np.unique(self.episode)]
        spread = float(np.std(means, ddof=1)) if len(means) > 1 else math.nan
        return float(np.mean(means)), spread / math.sqrt(len(means))


def critics(run: Run) -> dict[str, Any]:
    """Return the comparison for the newest learner, and the bias of each learner that is kept.

    Raises:
        CheckpointError: the run has no checkpoint that can be used.
    """
    learner = run.need_learner()
    newest = compare(learner)
    learners = {run.step: (run.learner_file, newest)}
    missing = []
    try:
        best = BestCheckpoint(run.path, learner.spec, learner.config)
        if best.step is not None and best.step < run.step:
            older = learner._replace(state=best.load(learner.state))
            learners[best.step] = ('best.npz', compare(older))
    except SacRosError as error:
        missing.append(f'best.npz: {error}')
    over_training = []
    for step in sorted(learners):
        file, found = learners[step]
        mean, deviation = found.bias()
        over_training.append(
            {'step': step, 'file': file, 'bias': mean, 'error': rounded(deviation, 5),
             'single': rounded((found.q - found.returns).mean(axis=1), 5)}
        )  # fmt: skip
    some = np.linspace(0, len(newest.returns) - 1, min(SHOWN, len(newest.returns))).astype(int)
    return {
        'step': run.step,
        'gamma': learner.config.sac.gamma,
        'alpha': learner.state.temperature['log_alpha'].exp().item(),
        'episodes': EPISODES,
        'states': len(newest.returns),
        'q': rounded(newest.q[:, some], 4),
        'returns': rounded(newest.returns[some], 4),
        'return_size': float(np.abs(newest.returns).mean()),
        'over_training': over_training,
        'missing': missing,
    }


def compare(learner: Learner, episodes: int = EPISODES, counted: int = COUNTED) -> Comparison:
    """Run the stochastic policy of a learner and compare its critics with what followed.

    Args:
        learner: whose policy and critics they are.
        episodes: how many, each in an environment of its own.
        counted: states of each that are compared, at most.
    """
    gamma = learner.config.sac.gamma
    tail = min(MAX_TAIL, math.ceil(math.log(TAIL_WEIGHT) / math.log(gamma)))
    envs = [_endless_env(learner, counted + tail) for _ in range(episodes)]
    alpha = learner.state.temperature['log_alpha'].exp().item()
    try:
        recorded = _roll_out(learner, envs, counted + tail)
    finally:
        for env in envs:
            env.close()
    parts = []
    for number, steps in enumerate(recorded):
        values = _values(learner, steps)  # (n_critics, T)
        rest = None if steps[-1].terminated else float(values[:, -1].min())
        returns = soft_returns(
            np.array([step.reward for step in steps]),
            np.array([step.log_prob for step in steps]), gamma, alpha, rest,
        )  # fmt: skip
        last = len(steps) if steps[-1].terminated else max(len(steps) - tail, 1)
        last = min(last, counted)
        parts.append((values[:, :last], returns[:last], np.full(last, number)))
    q, found, numbers = zip(*parts, strict=True)
    return Comparison(np.concatenate(q, axis=1), np.concatenate(found), np.concatenate(numbers))


def soft_returns(
    rewards: NDArray[np.float64],
    log_probs: NDArray[np.float64],
    gamma: float,
    alpha: float,
    rest: float | None,
) -> NDArray[np.float64]:
    """Return the soft return (T,) of each step.

    Args:
        rewards: (T,).
        log_probs: log pi of each step's action (T,).
        gamma: discount.
        alpha: temperature.
        rest: value of the last step in place of its return; None where the episode terminated.
    """
    returns = np.empty(len(rewards))
    returns[-1] = rewards[-1] if rest is None else rest
    for t in range(len(rewards) - 2, -1, -1):
        returns[t] = rewards[t] + gamma * (returns[t + 1] - alpha * log_probs[t + 1])
    return returns


class _Step(NamedTuple):
    observation: NDArray[np.float32]
    action: NDArray[np.float32]  # executed
    reward: float
    log_prob: float  # weighted by the share of authority
    terminated: bool


@torch.no_grad()
def _roll_out(
    learner: Learner, envs: list[gymnasium.Env[Any, Any]], steps: int
) -> list[list[_Step]]:
    """Run an episode in each environment, all in step, so that the networks see batches."""
    sac, draw = learner.sac, torch.Generator().manual_seed(0)
    seen = [env.reset(seed=report_seed(i))[0] for i, env in enumerate(envs)]
    recorded: list[list[_Step]] = [[] for _ in envs]
    running = list(range(len(envs)))
    for _ in range(steps):
        observed = torch.from_numpy(np.array([seen[i] for i in running], np.float32))
        noise = torch.randn((len(running), sac.spec.n_action), generator=draw)
        residual, log_prob = sample_action(*sac.distribution(learner.state, observed), noise)
        base = sac.base(observed)
        log_prob = entropy_weight(base, log_prob) * log_prob
        actions = with_base(base, residual).numpy()
        going = []
        for row, i in enumerate(running):
            next_observation, reward, terminated, truncated, info = envs[i].step(actions[row])
            executed = info.get('executed_action', actions[row])
            recorded[i].append(
                _Step(seen[i], executed, float(reward), float(log_prob[row]), bool(terminated))
            )
            seen[i] = next_observation
            if not (terminated or truncated):
                going.append(i)
        running = going
        if not running:
            break
    return recorded


@torch.no_grad()
def _values(learner: Learner, steps: list[_Step]) -> NDArray[np.float64]:
    """Return each critic's value (n_critics, T) of the executed actions."""
    observations = torch.from_numpy(np.array([step.observation for step in steps], np.float32))
    actions = torch.from_numpy(np.array([step.action for step in steps], np.float32))
    return learner.sac.value(learner.state, observations, actions).numpy().astype(np.float64)


def _endless_env(learner: Learner, steps: int) -> gymnasium.Env[Any, Any]:
    """Return the environment of a run with episodes of `steps` steps."""
    config = learner.config
    env, _ = make_env(
        dataclasses.replace(config, task=dataclasses.replace(config.task, episode_steps=steps))
    )
    inner: Any = env
    while isinstance(inner, gymnasium.Wrapper):
        if isinstance(inner, TimeLimit):
            inner._max_episode_steps = steps
        inner = inner.env
    return env
