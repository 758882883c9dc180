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

"""Success of policies trained with and without randomization, on robots that get worse and worse.

    python benchmarks/robustness.py [--quick] [--runs DIR] [--results DIR]

Trains the default arm as described (plain) and with the preset sim2real, several seeds each, and
measures every policy on the same episodes under every kind and level of trouble. May be stopped at
any moment: the same command goes on with what lies in --runs. `--quick` trains a small arm for a
short time and stays under 50 seconds; its figures show that it runs, they compare nothing. Ends
with one line of JSON: mean success over the levels of each kind of trouble.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sac_ros.config.robot import ArmConfig, RandomizationConfig, TaskConfig
from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.deploy.onnx_policy import OnnxPolicy
from sac_ros.envs.arm_env import ArmEnv
from sac_ros.training.evaluation import evaluate, onnx_action
from sac_ros.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[1]
LATENESS = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0)
VELOCITY_NOISE = 20  # [rad/s per rad of position noise], as in the preset
POLICIES = {'plain': '#2f6da8', 'sim2real': '#d0722a'}  # colour
COMMAND = 'python benchmarks/robustness.py'


class Trouble(NamedTuple):
    """One way in which a robot is worse than described."""

    title: str
    unit: str
    levels: tuple[float, ...]

    def randomization(self, name: str, level: float) -> RandomizationConfig:
        """Return the settings of a level."""
        if name == 'noise':
            return RandomizationConfig(position_noise=level, velocity_noise=VELOCITY_NOISE * level)
        return RandomizationConfig(**{name: level})


TROUBLES = {
    'action_latency': Trouble('commands late by up to', 'control periods', LATENESS),
    'observation_delay': Trouble('states late by up to', 'control periods', LATENESS),
    'noise': Trouble('sensor noise', 'rad, and 20 times in rad/s', (0, 0.002, 0.005, 0.01, 0.02)),
    'payload': Trouble('unknown payload at the tip of up to', 'kg', (0, 0.1, 0.2, 0.5, 1.0)),
}
Rates = dict[str, dict[str, list[tuple[float, list[float]]]]]  # policy, trouble: level, per seed


class Plan(NamedTuple):
    """How much is trained and measured."""

    config: TrainConfig
    seeds: int
    episodes: int
    every: int  # level that is measured; 1 is each


def main() -> int:
    """Train the policies, measure them, print and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='a small arm, under 50 seconds')
    parser.add_argument('--runs', type=Path, help='where runs are kept (runs/robustness)')
    parser.add_argument('--results', type=Path, help='where results go (benchmarks/results)')
    options = parser.parse_args()
    logging.getLogger('sac_ros').setLevel(logging.WARNING)
    plan = _quick() if options.quick else _full()
    results = options.results or (None if options.quick else ROOT / 'benchmarks/results')
    with tempfile.TemporaryDirectory() as folder:
        runs = options.runs or (Path(folder) if options.quick else ROOT / 'runs/robustness')
        try:
            rates = measure(plan, runs)
        except KeyboardInterrupt:
            print('stopped; the same command goes on from here')
            return 130
    print(table(rates))
    figures = summary(rates)
    if results:
        write(results, plan, rates, figures)
    print(json.dumps({'robustness': figures}))
    return 0


def measure(plan: Plan, runs: Path) -> Rates:
    """Train what is not trained, measure what is not measured, and return all rates.

    The preset as a whole is a kind of trouble with the levels 0 and 1.
    """
    worse = {
        kind: [
            (level, trouble.randomization(kind, level)) for level in trouble.levels[:: plan.every]
        ]
        for kind, trouble in TROUBLES.items()
    }
    worse['preset'] = [(0.0, RandomizationConfig()), (1.0, RandomizationConfig(preset='sim2real'))]
    rates: Rates = {name: {} for name in POLICIES}
    for name in POLICIES:
        policies = [train(plan.config, name, seed, runs) for seed in range(plan.seeds)]
        for kind, levels in worse.items():
            rates[name][kind] = [
                (level, [success(plan, policy, randomization) for policy in policies])
                for level, randomization in levels
            ]
    return rates


def train(config: TrainConfig, name: str, seed: int, runs: Path) -> OnnxPolicy:
    """Train one policy, or go on with its run, and return it as exported."""
    preset = RandomizationConfig(preset='sim2real' if name == 'sim2real' else 'none')
    run = runs / f'{name}-{seed}'
    config = dataclasses.replace(config, run_dir=str(run), randomization=preset, seed=seed)
    trainer = Trainer(config)
    if trainer.step < config.steps or not trainer.policy_path.exists():
        trainer.run(_report)
        trainer.export()
    return OnnxPolicy(trainer.policy_path)


def _report(trainer: Trainer) -> None:
    if trainer.step % (trainer.config.steps // 3) == 0:
        print(f'{trainer.run_dir.name}: step {trainer.step}', file=sys.stderr, flush=True)


def success(plan: Plan, policy: OnnxPolicy, randomization: RandomizationConfig) -> float:
    """Return the share of episodes that end in success on a robot this much worse.

    It is kept beside the policy, which it belongs to as long as the file is the same.
    """
    notes = policy.path.with_name('robustness.json')
    known = json.loads(notes.read_text()) if notes.exists() else {}
    key = json.dumps([policy.sha256, plan.episodes, dataclasses.asdict(randomization)])
    if key not in known:
        env = ArmEnv(dataclasses.replace(plan.config, randomization=randomization))
        act = onnx_action(policy, policy.spec)
        known[key] = evaluate(env, act, plan.episodes).success_rate
        fresh = notes.with_suffix('.new')
        fresh.write_text(json.dumps(known))
        fresh.replace(notes)
    return float(known[key])


def table(rates: Rates) -> str:
    """Return a Markdown table per kind of trouble: mean success, and its range over seeds."""
    lines = []
    for kind, trouble in TROUBLES.items():
        levels = [f'{level:g}' for level, _ in rates['plain'][kind]]
        lines += ['', f'{trouble.title} [{trouble.unit}]', '', *_rows(rates, kind, levels)]
    lines += ['', 'the preset sim2real', '', *_rows(rates, 'preset', ['as described', 'sim2real'])]
    return '\n'.join(lines[1:]) + '\n'


def _rows(rates: Rates, kind: str, heads: list[str]) -> list[str]:
    cells = [['trained', *heads]]
    cells += [[name, *(_cell(each) for _, each in kinds[kind])] for name, kinds in rates.items()]
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    rows = [
        '| ' + ' | '.join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + ' |'
        for row in cells
    ]
    return [rows[0], '|' + '|'.join('-' * (w + 2) for w in widths) + '|', *rows[1:]]


def _cell(each: list[float]) -> str:
    low, high = 100 * min(each), 100 * max(each)
    spread = '' if len(each) == 1 else f' ({low:.0f}-{high:.0f})'
    return f'{100 * np.mean(each):.0f} %{spread}'


def summary(rates: Rates) -> dict[str, float]:
    """Return mean success over the levels of each kind of trouble, per policy."""
    figures = {}
    for name, kinds in rates.items():
        figures[f'{name}_nominal'] = np.mean(kinds['preset'][0][1])
        figures[f'{name}_sim2real'] = np.mean(kinds['preset'][1][1])
        for kind in TROUBLES:
            figures[f'{name}_{kind}'] = np.mean([each for _, each in kinds[kind]])
    return {key: round(float(value), 3) for key, value in figures.items()}


def write(folder: Path, plan: Plan, rates: Rates, figures: dict[str, float]) -> None:
    """Write robustness.json, .md and .svg."""
    folder.mkdir(parents=True, exist_ok=True)
    steps, seeds, episodes = plan.config.steps, plan.seeds, plan.episodes
    data = {'steps': steps, 'seeds': seeds, 'episodes': episodes, 'rates': rates}
    (folder / 'robustness.json').write_text(json.dumps({**data, 'robustness': figures}) + '\n')
    (folder / 'robustness.svg').write_text(plot(rates))
    (folder / 'robustness.md').write_text(
        f'# Success on a robot that is worse than described\n\n`{COMMAND}` trains with {steps} '
        f'steps, {seeds} seeds\neach, and measures each policy on the same {episodes} episodes at '
        f'every level.\nGiven is the mean over the seeds, then the least and the most. Chance '
        f'alone makes\nthe rate of one policy uncertain by {100 / episodes**0.5:.0f} percentage '
        f'points (95 %).\nDelays and payload are drawn for every episode, from zero to the '
        f'level.\n\n'
        f'![Success against each kind of trouble](robustness.svg)\n\n{table(rates)}'
    )


def plot(rates: Rates) -> str:
    """Return an SVG with one panel per kind of trouble: mean, and range over the seeds."""
    width, height, left, top, gap = 230, 150, 56, 58, 50
    parts = ['<rect width="100%" height="100%" fill="white"/>']
    for number, (name, colour) in enumerate(POLICIES.items()):
        x = left + 170 * number
        label = 'trained as described' if name == 'plain' else 'trained with sim2real'
        parts.append(f'<path d="M{x} 16h22" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(f'<text x="{x + 28}" y="20">{label}</text>')
    parts.append(f'<text x="{left + 360}" y="20">success; bands span the seeds</text>')
    for panel, (kind, trouble) in enumerate(TROUBLES.items()):
        x0 = left + panel * (width + gap)
        parts.append(f'<text x="{x0}" y="{top - 10}" font-weight="bold">{trouble.title}</text>')
        for share in (0, 0.5, 1):
            y = top + height * (1 - share)
            parts.append(f'<path d="M{x0} {y}h{width}" stroke="#ddd"/>')
            parts.append(f'<text x="{x0 - 6}" y="{y + 4}" text-anchor="end">{share:.0%}</text>')
        levels = [level for level, _ in rates['plain'][kind]]
        xs = [x0 + width * level / levels[-1] for level in levels]
        last = -100.0
        for x, level in zip(xs, levels, strict=True):
            parts.append(f'<path d="M{x:.1f} {top + height}v4" stroke="#666"/>')
            if x - last > 26:  # room for a label
                last = x
                parts.append(
                    f'<text x="{x:.1f}" y="{top + height + 17}" text-anchor="middle">'
                    f'{level:g}</text>'
                )
        parts.append(
            f'<text x="{x0 + width / 2}" y="{top + height + 36}" text-anchor="middle" '
            f'fill="#444">{trouble.unit}</text>'
        )
        for name, colour in POLICIES.items():
            each = np.array([seeds for _, seeds in rates[name][kind]])  # (levels, seeds)
            low, mean, high = (top + height * (1 - f(each, 1)) for f in (np.min, np.mean, np.max))
            band = [*zip(xs, high, strict=True), *reversed([*zip(xs, low, strict=True)])]
            parts.append(f'<polygon points="{_points(band)}" fill="{colour}" opacity="0.2"/>')
            line = _points([*zip(xs, mean, strict=True)])
            parts.append(
                f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
            )
    size = f'width="{left + len(TROUBLES) * (width + gap)}" height="{top + height + 50}"'
    style = 'font-family="sans-serif" font-size="12"'
    body = '\n'.join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{body}\n</svg>\n'


def _points(places: list[tuple[float, float]]) -> str:
    return ' '.join(f'{x:.1f},{y:.1f}' for x, y in places)


def _quick() -> Plan:
    config = TrainConfig(
        arm=ArmConfig(model=str(ROOT / 'test/data/two_joints.urdf')),
        task=TaskConfig(episode_steps=40, success_radius=0.1),
        sac=SACConfig(hidden=64, batch_size=64),
        steps=600,
        learning_starts=200,
        eval_every=10**6,
        compile=False,
    )
    return Plan(config, seeds=1, episodes=10, every=2)


def _full() -> Plan:
    return Plan(TrainConfig(steps=6_000, eval_every=10**6), seeds=3, episodes=100, every=1)


if __name__ == '__main__':
    sys.exit(main())
