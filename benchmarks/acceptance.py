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

"""Acceptance of policies for several arms, beside their base controller and an IK baseline.

    python benchmarks/acceptance.py [--quick] [--arms A,B] [--seeds N] [--steps N] [--runs DIR]

Trains each arm and seed with the preset sim2real, and measures the policy to deploy, the base
controller alone (the untrained policy) and the baseline of `sac_ros evaluate --baseline ik` on the
same episodes, nominal and sim2real, from rest and from goal to goal. May be killed at any moment:
the same command goes on with what lies in --runs. `--quick` trains one arm for a few steps and
stays under 50 seconds; its figures show that it runs, they compare nothing. Ends with one line of
JSON: {ARM: {success_5cm, ..., faults, sim2real_2cm, baseline_..., base_...}}; shares, mm, mm/s, s,
counts over all seeds, passes and, for faults and contacts, both presets.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np
import torch
from arms import arm_config
from numpy.typing import NDArray

from sac_ros.config.robot import RandomizationConfig
from sac_ros.config.training import TrainConfig
from sac_ros.deploy.onnx_policy import OnnxPolicy
from sac_ros.envs.arm_env import ArmEnv
from sac_ros.filesystem import write_atomically
from sac_ros.training.acceptance import measure_acceptance
from sac_ros.training.evaluation import onnx_action
from sac_ros.training.ik_baseline import IkBaseline
from sac_ros.training.result import finish
from sac_ros.training.rollout import PolicyFn
from sac_ros.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[1]
ARMS = 'default,panda-urdf,ur5,xarm7,openarm-left'
PRESETS = ('none', 'sim2real')
KINDS = {'policy': '', 'base': 'base_', 'baseline': 'baseline_'}  # prefix of the keys
MEANS = {
    'success_5cm': 'within_5cm',
    'success_2cm': 'within_2cm',
    'success_1cm': 'within_1cm',
    'chatter': 'chatter',
    'tip_speed': 'tip_speed',
    'time_to_goal': 'time_to_goal',
    'over_limit': 'over_speed',
    'ready': 'enable_ready',
}
Figures = dict[str, dict[str, dict[str, Any]]]  # kind, preset: JSON of an Acceptance


def main() -> int:
    """Train, measure, print and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='one arm, under 50 seconds')
    parser.add_argument('--arms', default=ARMS, help=f'names with commas ({ARMS})')
    parser.add_argument('--seeds', type=int, default=3, help='runs per arm (3)')
    parser.add_argument('--steps', type=int, default=TrainConfig().steps, help='steps of a run')
    parser.add_argument('--episodes', type=int, default=84, help='of each pass and seed (84)')
    parser.add_argument('--runs', type=Path, help='where runs are kept (runs/acceptance)')
    parser.add_argument('--results', type=Path, help='where results go (benchmarks/results)')
    options = parser.parse_args()
    logging.getLogger('sac_ros').setLevel(logging.WARNING)
    if options.quick:
        options.arms, options.seeds, options.steps, options.episodes = 'default', 1, 50, 1
    results = options.results or (None if options.quick else ROOT / 'benchmarks/results')
    with tempfile.TemporaryDirectory() as folder:
        runs = options.runs or (Path(folder) if options.quick else ROOT / 'runs/acceptance')
        try:
            summary = measure_all(options, runs, results)
        except KeyboardInterrupt:
            print('stopped; the same command goes on from here')
            return 130
    print(table(summary))
    print(json.dumps(summary))
    return 0


def measure_all(
    options: argparse.Namespace, runs: Path, results: Path | None
) -> dict[str, dict[str, Any]]:
    """Return the summary of each arm, written as each seed ends."""
    summary: dict[str, dict[str, Any]] = {}
    for arm in options.arms.split(','):
        seeds = []
        for seed in range(options.seeds):
            config = TrainConfig(
                run_dir=str(runs / f'{arm}-{seed}'),
                arm=arm_config(arm),
                seed=seed,
                steps=options.steps,
                randomization=RandomizationConfig(preset='sim2real'),
                final_eval_episodes=1 if options.quick else 20,
                eval_episodes=1 if options.quick else 20,
                gradient_steps=1 if options.quick else TrainConfig().gradient_steps,
                learning_starts=40 if options.quick else TrainConfig().learning_starts,
                compile=not options.quick,
            )
            seeds.append(measure_seed(config, options.episodes))
            summary[arm] = {'seeds': len(seeds), **summarize(seeds)}
            if results is not None:
                write(results, summary)
    return summary


def measure_seed(config: TrainConfig, episodes: int) -> Figures:
    """Train a run and measure it, or read what was measured."""
    run_dir = Path(config.run_dir)
    file = run_dir / f'measured_{config.steps}_{episodes}.json'
    if file.exists():
        return dict(json.loads(file.read_text()))
    untrained = train(config)
    figures: Figures = {}
    for preset in PRESETS:
        here = dataclasses.replace(config, randomization=RandomizationConfig(preset=preset))
        env = ArmEnv(here)
        acts: dict[str, PolicyFn] = {
            'policy': _act(run_dir / 'policy.onnx'),
            'base': untrained,
            'baseline': IkBaseline(here, env.policy_spec),
        }
        for kind, act in acts.items():
            result = measure_acceptance(env, act, episodes)
            figures.setdefault(kind, {})[preset] = result.to_json()
            print(f'{run_dir.name} {preset} {kind}: {result.verdict}', file=sys.stderr, flush=True)
    write_atomically(file, json.dumps(figures).encode())
    return figures


def train(config: TrainConfig) -> PolicyFn:
    """Train a run to its end; return its untrained policy, the base controller alone."""
    trainer = Trainer(config)
    if trainer.step < config.steps or not (trainer.run_dir / 'acceptance.json').exists():
        trainer.run(_report)
        finish(trainer)
    state = trainer.sac.initialize(config.seed, config.device)

    @torch.no_grad()
    def act(observation: NDArray[np.float32]) -> NDArray[np.float32]:
        row = torch.from_numpy(observation).to(config.device).unsqueeze(0)
        return np.asarray(trainer.sac.act(state, row, None)[0].cpu())

    return act


def _report(trainer: Trainer) -> None:
    if trainer.step % 1_000 == 0:
        print(f'{trainer.run_dir.name}: step {trainer.step}', file=sys.stderr, flush=True)


def _act(file: Path) -> PolicyFn:
    policy = OnnxPolicy(file)
    return onnx_action(policy, policy.spec)


def summarize(seeds: list[Figures]) -> dict[str, Any]:
    """Return the figures of one arm over all seeds and passes."""
    row: dict[str, Any] = {}
    for kind, prefix in KINDS.items():
        nominal = [p for s in seeds for p in s[kind]['none']['passes'].values()]
        worse = [p for s in seeds for p in s[kind]['sim2real']['passes'].values()]
        for name, key in MEANS.items():
            row[prefix + name] = _mean(p[key] for p in nominal)
        row[f'{prefix}p95_mm'] = _mean(p['distance_p95'] for p in nominal)
        row[f'{prefix}sim2real_2cm'] = _mean(p['within_2cm'] for p in worse)
        row[f'{prefix}sim2real_p95_mm'] = _mean(p['distance_p95'] for p in worse)
        row[f'{prefix}sim2real_time_to_goal'] = _mean(p['time_to_goal'] for p in worse)
        row[f'{prefix}sim2real_chatter'] = _mean(p['chatter'] for p in worse)
        for name in ('faults', 'contacts', 'outside_limits', 'episodes'):
            row[prefix + name] = sum(p[name] for p in (*nominal, *worse))
    return row


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 4) if known else None


def table(summary: dict[str, dict[str, Any]]) -> str:
    """Return the figures as a table in Markdown."""
    names = (
        'success_5cm', 'success_2cm', 'success_1cm', 'p95_mm', 'chatter', 'tip_speed',
        'time_to_goal', 'over_limit', 'sim2real_2cm', 'sim2real_p95_mm', 'sim2real_time_to_goal',
        'sim2real_chatter',
        'faults', 'contacts', 'outside_limits', 'episodes',
    )  # fmt: skip
    lines = ['| arm | | ' + ' | '.join(names) + ' |', '|---' * (2 + len(names)) + '|']
    for arm, row in summary.items():
        for kind, prefix in KINDS.items():
            cells = [row[prefix + name] for name in names]
            texts = ['-' if cell is None else f'{cell:g}' for cell in cells]
            lines.append(f'| {arm} | {kind} | ' + ' | '.join(texts) + ' |')
    return '\n'.join(lines)


def write(results: Path, summary: dict[str, dict[str, Any]]) -> None:
    """Write the summary as JSON and Markdown."""
    results.mkdir(parents=True, exist_ok=True)
    write_atomically(results / 'acceptance.json', (json.dumps(summary, indent=1) + '\n').encode())
    text = f'# Acceptance\n\nMade by `python benchmarks/acceptance.py`.\n\n{table(summary)}\n'
    write_atomically(results / 'acceptance.md', text.encode())


if __name__ == '__main__':
    sys.exit(main())
