"""Success of policies trained with and without realism, on robots that get worse and worse.

`--quick` trains a small arm for a short time and stays under 50 seconds; without it the default
arm is trained in full, twice. Prints a table per kind of trouble and ends with a line of JSON.
The quick figures show that it runs; ten episodes of a policy that short-trained compare nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from sac_ros.config import ArmConfig, RealismConfig, SACConfig, TaskConfig, TrainConfig
from sac_ros.envs.env import ArmEnv
from sac_ros.evaluation import evaluate, onnx_action
from sac_ros.policy import OnnxPolicy
from sac_ros.trainer import Trainer

ROOT = Path(__file__).resolve().parents[1]
LEVELS = {
    'action_latency': (0.0, 0.5, 1.0, 2.0, 3.0),  # [control periods]
    'observation_delay': (0.0, 0.5, 1.0, 2.0, 3.0),  # [control periods]
    'position_noise': (0.0, 0.005, 0.02, 0.05, 0.1),  # [rad]
    'payload': (0.0, 0.1, 0.2, 0.5, 1.0),  # [kg]
}
COLOURS = {'plain': '#4878a8', 'sim2real': '#d07a2a'}


class Plan(NamedTuple):
    """How much is trained and measured."""

    config: TrainConfig
    episodes: int
    every: int  # level that is measured; 1 is each


def main() -> None:
    """Train both policies, measure them, print tables and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='a small arm, under 50 seconds')
    parser.add_argument('--runs', type=Path, help='directory of the two runs, to keep or resume')
    parser.add_argument('--plot', type=Path, help='SVG of success against each kind of trouble')
    options = parser.parse_args()
    logging.getLogger('sac_ros').setLevel(logging.WARNING)
    plan = _quick() if options.quick else _full()
    with tempfile.TemporaryDirectory() as folder:
        runs = options.runs or Path(folder)
        policies = {name: train(plan.config, name, runs) for name in ('plain', 'sim2real')}
        curves = {name: measure(plan, policy) for name, policy in policies.items()}
    show(curves)
    if options.plot:
        options.plot.write_text(plot(curves))
    print(json.dumps({'robustness': summary(curves)}))


def train(config: TrainConfig, realism: str, runs: Path) -> OnnxPolicy:
    """Train one policy, or go on with its run, and return it as exported."""
    started = time.monotonic()
    preset = RealismConfig(preset='sim2real' if realism == 'sim2real' else 'none')
    run = runs / realism
    trainer = Trainer(dataclasses.replace(config, run_dir=str(run), realism=preset))
    trainer.run()
    trainer.export()
    print(f'trained {realism}: {trainer.step} steps, {time.monotonic() - started:.0f} s')
    return OnnxPolicy(trainer.policy_path)


def measure(plan: Plan, policy: OnnxPolicy) -> dict[str, list[tuple[float, float]]]:
    """Return (level, success rate) for every kind of trouble, and for the preset as a whole."""
    curves = {}
    for name, levels in LEVELS.items():
        worse = [RealismConfig(**{name: level}) for level in levels[:: plan.every]]
        rates = [success(plan, policy, realism) for realism in worse]
        curves[name] = list(zip(levels[:: plan.every], rates, strict=True))
    whole = success(plan, policy, RealismConfig(preset='sim2real'))
    return {'preset': [(0.0, curves['payload'][0][1]), (1.0, whole)], **curves}


def success(plan: Plan, policy: OnnxPolicy, realism: RealismConfig) -> float:
    """Return the share of episodes that end in success on a robot this much worse."""
    env = ArmEnv(dataclasses.replace(plan.config, realism=realism))
    return evaluate(env, onnx_action(policy, policy.spec), plan.episodes).success_rate


def show(curves: dict[str, dict[str, list[tuple[float, float]]]]) -> None:
    """Print a table per kind of trouble."""
    for kind in curves['plain']:
        levels = [level for level, _ in curves['plain'][kind]]
        print(f'\n{kind:18}' + ''.join(f'{level:>8g}' for level in levels))
        for name in curves:
            rates = ''.join(f'{100 * rate:>7.0f}%' for _, rate in curves[name][kind])
            print(f'  {name:16}{rates}')


def summary(curves: dict[str, dict[str, list[tuple[float, float]]]]) -> dict[str, float]:
    """Return mean success over the levels of each kind of trouble, per policy."""
    figures = {}
    for name, kinds in curves.items():
        figures[f'{name}_nominal'] = kinds['preset'][0][1]
        figures[f'{name}_sim2real'] = kinds['preset'][1][1]
        for kind in LEVELS:
            rates = [rate for _, rate in kinds[kind]]
            figures[f'{name}_{kind}'] = sum(rates) / len(rates)
    return {key: round(value, 3) for key, value in figures.items()}


def plot(curves: dict[str, dict[str, list[tuple[float, float]]]]) -> str:
    """Return an SVG with one panel per kind of trouble."""
    width, height, gap = 180, 120, 40
    parts = []
    for panel, kind in enumerate(LEVELS):
        left, top = gap + panel * (width + gap), 30
        parts.append(f'<text x="{left}" y="{top - 8}">{kind}</text>')
        parts.append(
            f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" '
            f'stroke="#999"/>'
        )
        for number, name in enumerate(curves):
            points = curves[name][kind]
            largest = max(level for level, _ in points)
            places = ' '.join(
                f'{left + width * level / largest:.1f},{top + height * (1 - rate):.1f}'
                for level, rate in points
            )
            colour = COLOURS[name]
            parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}"/>')
            parts.append(
                f'<text x="{left + 6}" y="{top + height - 8 - 14 * number}" fill="{colour}">'
                f'{name}</text>'
            )
        parts.append(f'<text x="{left + width - 20}" y="{top + height + 16}">{largest:g}</text>')
    size = f'width="{gap + len(LEVELS) * (width + gap)}" height="{height + 70}"'
    style = 'font-family="sans-serif" font-size="12"'
    body = '\n'.join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{body}\n</svg>\n'


def _quick() -> Plan:
    config = TrainConfig(
        arm=ArmConfig(model=str(ROOT / 'test/data/two_joints.urdf')),
        task=TaskConfig(episode_steps=40),
        sac=SACConfig(hidden=64, batch_size=64),
        steps=1_200,
        learning_starts=200,
        eval_every=10**6,
        compile=False,
    )
    return Plan(config, episodes=10, every=2)


def _full() -> Plan:
    return Plan(TrainConfig(eval_every=10**6), episodes=50, every=1)


if __name__ == '__main__':
    main()
