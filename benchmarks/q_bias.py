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

"""How far the critics are off in a real run: one critic against the minimum of two.

Trains the default arm and compares Q(s, a) along episodes of the stochastic policy with what then
followed: discounted rewards and, from the next step on, the entropy bonus -alpha log pi. Episodes
go on far beyond the usual end, so that what is cut off is discounted away.

    pip install -e '.[train]'
    python benchmarks/q_bias.py [--quick]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile

os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np
import torch

from sac_ros.config.base import build
from sac_ros.config.robot import TaskConfig
from sac_ros.config.training import TrainConfig
from sac_ros.envs.arm_env import make_env_bundle
from sac_ros.sac.networks import sample_action
from sac_ros.seeds import evaluation_seed
from sac_ros.training.trainer import Trainer

GAMMA, COUNTED, TAIL, EPISODES = 0.95, 50, 150, 10  # 0.95^150 is below 0.0005


@torch.no_grad()
def bias(trainer: Trainer, seed: int) -> tuple[float, float, float]:
    """Return the means of Q (least of the critics) and of what followed, and their difference."""
    config = dataclasses.replace(trainer.config, task=TaskConfig(episode_steps=COUNTED + TAIL))
    env, sac, state = make_env_bundle(config).env, trainer.sac, trainer.state
    alpha = state.temperature['log_alpha'].exp().item()
    draw = torch.Generator().manual_seed(seed)
    values, followed = [], []
    for episode in range(EPISODES):
        observation, _ = env.reset(seed=evaluation_seed(episode))
        q, rewards, log_probs = [], [], []
        for _ in range(COUNTED + TAIL):
            row = torch.from_numpy(observation).unsqueeze(0)
            noise = torch.randn((1, sac.spec.n_action), generator=draw)
            mean, log_std = sac.distribution(state, row)
            action, log_prob = sample_action(mean, log_std, noise)
            q.append(sac.value(state, row, action).min().item())
            observation, reward, *_ = env.step(action[0].numpy())
            rewards.append(float(reward))
            log_probs.append(log_prob.item())
        soft = 0.0  # r + gamma (soft - alpha log pi), backwards
        returns = []
        for t in reversed(range(len(rewards))):
            returns.append(rewards[t] + GAMMA * soft)
            soft = returns[-1] - alpha * log_probs[t]
        values += q[:COUNTED]
        followed += returns[::-1][:COUNTED]
    q_mean, followed_mean = float(np.mean(values)), float(np.mean(followed))
    return q_mean, followed_mean, q_mean - followed_mean


def main() -> None:
    """Train with one and with two critics, print a table, end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='one seed, a few hundred updates')
    quick = parser.parse_args().quick
    marks = (400, 600) if quick else (2_500, 5_000, 10_000)
    seeds = 1 if quick else 2
    results: dict[str, dict[str, list[float]]] = {}
    print('critics   step   seed        Q   followed     bias')
    for n_critics in (1, 2):
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                config = build(TrainConfig, {
                    'preset': 'sac', 'sac.n_critics': n_critics, 'sac.gamma': GAMMA,
                    'sac.initial_alpha': 0.05, 'run_dir': folder, 'steps': marks[-1],
                    'seed': seed, 'eval_every': 10**9, 'tensorboard': False, 'compile': not quick,
                })  # fmt: skip

                def look(trainer: Trainer, n: int = n_critics, s: int = seed) -> None:
                    if trainer.step in marks:
                        q, followed, off = bias(trainer, s)
                        print(f'{n:7} {trainer.step:6} {s:6} {q:8.3f} {followed:10.3f} {off:8.3f}')
                        results.setdefault(str(n), {}).setdefault(str(trainer.step), []).append(
                            off
                        )

                Trainer(config).run(look)
    print(
        json.dumps(
            {
                f'bias_{n}_critics': {k: round(float(np.mean(v)), 4) for k, v in by_step.items()}
                for n, by_step in results.items()
            }
        )
    )


if __name__ == '__main__':
    main()
