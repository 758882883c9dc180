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

"""Return against environment steps: our two presets and the peers, on equal tasks and episodes.

Every run is a process of its own whose curve lands in a file below --runs, so that an interrupted
benchmark goes on where it was. Curves of peers that were measured before are read from
results/stable_baselines3.json and not run again. Those measured here replace what
results/curves.json held of the same run; the table shows all that is there.

    pip install -e '.[train,bench]'
    python benchmarks/sample_efficiency.py [--quick] [--jobs 2] [--only PATTERN] [--wall]

With --wall, short runs of ours and of Stable-Baselines3's SAC take turns on a quiet machine, and
their seconds per step, compilation included, are set against the steps that each needs to a goal.
The table and the plot land in benchmarks/results/, with the figures as JSON beside them.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np
from numpy.typing import NDArray

RESULTS = Path(__file__).parent / 'results'
KEPT = RESULTS / 'curves.json'  # every curve measured last, by task, algorithm and seed
EPISODES = 20  # of an evaluation, the same for everyone
OURS, PEERS = ('fast', 'fast-fp32', 'sac'), ('sb3-sac', 'sb3-ppo', 'sbx-crossq')


class Task(NamedTuple):
    """What is learned, and for how long by whom."""

    env: str
    every: int  # steps between two evaluations
    steps: dict[str, int]  # by algorithm; what is not named is not run


class Point(NamedTuple):
    """One evaluation."""

    step: int
    mean_return: float
    std_return: float
    success: float | None  # share of episodes; None where the task has no such notion
    seconds: float  # since the start of the process, without evaluations


Curve = list[Point]
Curves = dict[tuple[str, str], list[Curve]]  # by (task, algorithm), a curve per seed

TASKS = {
    'arm': Task(
        'arm-reach',
        1_000,
        {'fast': 6_000, 'fast-fp32': 4_000, 'sac': 10_000, 'sb3-sac': 10_000, 'sb3-ppo': 10_000},
    ),
    'reacher': Task(
        'Reacher-v5',
        625,
        {
            'fast': 10_000,
            'fast-fp32': 7_500,
            'sac': 10_000,
            'sb3-sac': 50_000,
            'sb3-ppo': 50_000,
            'sbx-crossq': 5_000,
        },
    ),
    'pusher': Task(
        'Pusher-v5',
        1_250,
        {
            'fast': 100_000,
            'fast-fp32': 7_500,
            'sac': 10_000,
            'sb3-sac': 100_000,
            'sb3-ppo': 100_000,
        },
    ),
    'cheetah': Task(
        'HalfCheetah-v5',
        2_500,
        {'fast': 10_000, 'sac': 50_000, 'sb3-sac': 25_000, 'sb3-ppo': 50_000},
    ),
}


def measure(env: Any, act: Callable[[NDArray[Any]], NDArray[Any]]) -> tuple[float, float, Any]:
    """Return mean and spread of the return, and the share of successes."""
    from sac_ros.seeds import evaluation_seed
    from sac_ros.training.rollout import rollout

    returns, successes = [], []
    for episode in range(EPISODES):
        steps = list(rollout(env, act, evaluation_seed(episode)))
        returns.append(sum(step.reward for step in steps))
        successes.append(steps[-1].info.get('is_success'))
    success = None if successes[0] is None else float(np.mean(successes))
    return float(np.mean(returns)), float(np.std(returns)), success


def read(file: Path) -> Curve:
    """Return the curve in a file, empty if there is none."""
    return [Point(*row) for row in json.loads(file.read_text())] if file.exists() else []


class Recorder:
    """Measures when it is time to, and writes the curve."""

    def __init__(self, task: Task, file: Path) -> None:
        self._task, self._file = task, file
        self._began, self._spent = time.perf_counter(), 0.0
        self.curve: Curve = []

    def go_on(self, step: int) -> None:
        """Take over what an interrupted run had measured up to a step."""
        for file in (self._file, self._file.with_suffix('.part')):
            if file.exists():
                self.curve = [p for p in read(file) if p.step <= step]
        if self.curve:
            self._spent = -self.curve[-1].seconds

    def __call__(self, step: int, env: Any, act: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        """Take in one environment step."""
        if step % self._task.every:
            return
        before = time.perf_counter()
        result = measure(env, act)
        self.curve.append(Point(step, *result, round(before - self._began - self._spent, 1)))
        self._spent += time.perf_counter() - before
        self._file.with_suffix('.part').write_text(json.dumps(self.curve))

    def finish(self) -> None:
        """Make the curve count."""
        self._file.with_suffix('.part').replace(self._file)


def run_ours(preset: str, task: Task, seed: int, steps: int, file: Path) -> None:
    """Train with one of our presets."""
    from sac_ros.config.base import build
    from sac_ros.config.training import TrainConfig
    from sac_ros.training.trainer import Trainer

    recorder = Recorder(task, file)
    name, _, precision = preset.partition('-')
    values: dict[str, Any] = {
        'preset': name, 'env': task.env, 'steps': steps, 'seed': seed,
        'run_dir': str(file.with_suffix('')),
        'eval_every': 10**9, 'tensorboard': False, 'sync_every': 10**9,
    }  # fmt: skip
    if precision == 'fp32':
        values['sac.bf16'] = False
    trainer = Trainer(build(TrainConfig, values))
    if trainer.step:
        recorder.go_on(trainer.step)
    trainer.run(lambda t: recorder(t.step, t.eval_env, t.learner.mean_action))
    recorder.finish()


def run_peer(name: str, task: Task, seed: int, steps: int, file: Path) -> None:
    """Train with a peer's default settings."""
    import importlib

    import torch
    from stable_baselines3.common.callbacks import BaseCallback

    from sac_ros.config.training import TrainConfig
    from sac_ros.envs.arm_env import make_env_bundle

    torch.set_num_threads(1)
    library, _, algorithm = name.partition('-')
    module = importlib.import_module({'sb3': 'stable_baselines3', 'sbx': 'sbx'}[library])
    recorder, config = Recorder(task, file), TrainConfig(env=task.env)
    evaluated = make_env_bundle(config).env

    class Watch(BaseCallback):
        def _on_step(self) -> bool:
            act = lambda o: self.model.predict(o, deterministic=True)[0]  # noqa: E731
            recorder(self.num_timesteps, evaluated, act)
            return True

    on_cpu = {'device': 'cpu'} if library == 'sb3' else {}
    make = {'sac': 'SAC', 'ppo': 'PPO', 'crossq': 'CrossQ'}[algorithm]
    model = getattr(module, make)('MlpPolicy', make_env_bundle(config).env, seed=seed, **on_cpu)
    model.learn(steps, callback=Watch())
    recorder.finish()


def known() -> Curves:
    """Read the peers' curves that were measured before."""
    curves: Curves = {}
    names = {task.env: name for name, task in TASKS.items()}
    for key, rows in json.loads((RESULTS / 'stable_baselines3.json').read_text())['runs'].items():
        algorithm, env, _ = key.split('/')
        curve = [Point(int(r[0]), r[1], r[2], None, r[3]) for r in rows]
        curves.setdefault((names[env], f'sb3-{algorithm.lower()}'), []).append(curve)
    return curves


def run_all(options: argparse.Namespace, curves: Curves) -> None:
    """Run what is missing, some at a time, each in a process of its own."""
    queue = []
    for name, task in TASKS.items():
        for algorithm, usual in task.steps.items():
            steps = options.steps or usual
            for seed in range(options.seeds):
                file = options.runs / f'{name}-{algorithm}-{seed}.json'
                run = f'{name}-{algorithm}'
                wanted = any(fnmatch.fnmatch(run, p) for p in options.only.split(','))
                known_already = (name, algorithm) in curves
                every = options.every or task.every
                curve = read(file)
                done = bool(curve) and curve[-1].step >= steps // every * every
                if wanted and not known_already and not done:
                    queue.append((file, [name, algorithm, str(seed), str(steps)]))
    running: dict[subprocess.Popen[bytes], Path] = {}
    total = len(queue)
    try:
        while queue or running:
            while queue and len(running) < options.jobs:
                file, arguments = queue.pop(0)
                command = [sys.executable, __file__, '--one', *arguments]
                command += ['--runs', options.runs, '--every', str(options.every)]
                with file.with_suffix('.log').open('w') as log:
                    process = subprocess.Popen(command, stdout=log, stderr=log)
                running[process] = file
            for process in [p for p in running if p.poll() is not None]:
                file = running.pop(process)
                state = 'done' if process.returncode == 0 else f'FAILED, see {file.stem}.log'
                done = total - len(queue) - len(running)
                print(f'{done}/{total} {file.stem} {state}', flush=True)
            time.sleep(0.5)
    finally:
        for process in running:
            process.terminate()


def gather(options: argparse.Namespace, curves: Curves, kept: dict[str, Curve]) -> None:
    """Add the curves of finished runs to those that were kept, and all of them to `curves`."""
    kept |= {file.stem: read(file) for file in options.runs.glob('*-*-?.json')}
    for run, curve in sorted(kept.items()):
        name, _, algorithm = run[:-2].partition('-')
        curves.setdefault((name, algorithm), []).append([Point(*row) for row in curve])


def at(curves: list[Curve], step: int) -> NDArray[np.float64]:
    """Return every seed's return at a step, (n_seeds,)."""
    return np.array([p.mean_return for curve in curves for p in curve if p.step == step])


def steps_of(curves: list[Curve], by_all: bool = True) -> list[int]:
    """Return the steps at which all seeds were measured, or any of them."""
    join = set.intersection if by_all else set.union
    return sorted(join(*({p.step for p in curve} for curve in curves))) if curves else []


def steps_to(curves: list[Curve], goal: float, of: str = 'mean_return') -> int | None:
    """Return the first step at which the mean over the seeds reaches the goal, None if never."""
    for step in steps_of(curves):
        values = [getattr(p, of) for curve in curves for p in curve if p.step == step]
        if np.mean(values) >= goal - 1e-9:  # three times 0.95 is less than 0.95 on average
            return step
    return None


def wall(options: argparse.Namespace, curves: Curves) -> dict[str, Any]:
    """Return theirs over ours in time to Stable-Baselines3's last return, by task.

    Ours starts with nothing compiled, which is what counts, and once more with all of it cached.
    """
    result: dict[str, Any] = {}
    for name, goal_step in (('pusher', 100_000), ('reacher', 50_000)):
        goal = float(at(curves[name, 'sb3-sac'], goal_step).mean())
        needed = steps_to(curves.get((name, 'fast'), []), goal)
        spent: dict[str, list[Curve]] = {'cold': [], 'cached': [], 'sb3-sac': []}
        for turn in range(3):
            with tempfile.TemporaryDirectory() as cache:
                for kind, made in spent.items():
                    runs = options.runs / f'wall-{turn}-{kind}'
                    shutil.rmtree(runs, ignore_errors=True)
                    runs.mkdir()
                    algorithm = kind if kind in PEERS else 'fast'
                    arguments = ['--one', name, algorithm, '0', '2000', '--every', '1000']
                    subprocess.run(
                        [sys.executable, __file__, *arguments, '--runs', runs],
                        check=True,
                        env=os.environ | {'TORCHINDUCTOR_CACHE_DIR': cache, 'TMPDIR': cache},
                    )
                    made.append(read(runs / f'{name}-{algorithm}-0.json'))
        first = {k: float(np.median([c[0].seconds for c in made])) for k, made in spent.items()}
        rate = {
            k: float(np.median([(c[1].seconds - c[0].seconds) / 1000 for c in made]))
            for k, made in spent.items()
        }
        row: dict[str, Any] = {'steps': needed}
        row['step_time_vs_sb3'] = round(rate['cold'] / rate['sb3-sac'], 3)
        row['compile_s'] = round(first['cold'] - first['cached'], 1)
        if needed:
            theirs = first['sb3-sac'] + (goal_step - 1000) * rate['sb3-sac']
            for kind in ('cold', 'cached'):
                ours = first[kind] + (needed - 1000) * rate[kind]
                row[f'theirs_over_ours_{kind}'] = round(theirs / ours, 2)
        result[name] = row
    return result


def difference(ours: list[Curve], theirs: list[Curve], steps: list[int]) -> tuple[float, float]:
    """Return the difference of the mean return over steps, and its 95 % margin (Welch's t)."""
    from scipy import stats

    a, b = (np.mean([at(curves, s) for s in steps], axis=0) for curves in (ours, theirs))
    test = stats.ttest_ind(a, b, equal_var=False)
    margin = (test.confidence_interval(0.95).high - test.confidence_interval(0.95).low) / 2
    return float(a.mean() - b.mean()), float(margin)


def figures(curves: Curves) -> dict[str, Any]:
    """Return what the benchmark is about, under stable keys; None where a goal was not reached."""

    def of(task: str, algorithm: str) -> list[Curve]:
        return curves.get((task, algorithm), [])

    def goal(task: str, step: int) -> float:
        return float(at(of(task, 'sb3-sac'), step).mean())

    result: dict[str, Any] = {}
    if fast := of('pusher', 'fast'):
        result['pusher_steps_to_sb3_100k'] = steps_to(fast, goal('pusher', 100_000))
        result['pusher_seeds'] = len(fast)
        lasting = [c for c in fast if c[-1].step == 100_000]
        if lasting:
            result['pusher_return_100k'] = round(float(at(lasting, 100_000).mean()), 2)
            result['pusher_steps_to_minus_28'] = steps_to(lasting, -28.0)
    if fast := of('reacher', 'fast'):
        result['reacher_steps_to_sb3_50k'] = steps_to(fast, goal('reacher', 50_000))
    if fast := of('arm', 'fast'):
        result['arm_steps_to_95'] = steps_to(fast, 0.95, 'success')
    pairs = {'sac_vs_sb3': ('sac', 'sb3-sac'), 'fast_vs_sac': ('fast', 'sac')}
    pairs |= {'fast_vs_ppo': ('fast', 'sb3-ppo'), 'sac_vs_ppo': ('sac', 'sb3-ppo')}
    return result | {key: compared(curves, *pair) for key, pair in pairs.items()}


def compared(curves: Curves, one: str, other: str) -> dict[str, Any]:
    """Return by how much one algorithm is ahead of another at equal steps, by task.

    The factors say how many times as many steps the other takes to the return that the one, or
    the other itself, has after the last step that both were measured at; None where it does not
    get there, or is not behind at all.
    """
    result: dict[str, Any] = {}
    for task in TASKS:
        a, b = curves.get((task, one), []), curves.get((task, other), [])
        steps = sorted(set(steps_of(a)) & set(steps_of(b)))
        if not steps:
            continue
        mean, margin = difference(a, b, steps)
        later = steps_to(b, float(at(a, steps[-1]).mean()))  # where the other is as good
        sooner = steps_to(a, float(at(b, steps[-1]).mean()))  # where this one was as good
        result[task] = {
            'difference': round(mean, 2),
            'margin_95': round(margin, 2) if np.isfinite(margin) else None,
            'up_to': steps[-1],
            'steps_factor': later and round(later / steps[-1], 1),
            'steps_factor_to_its_end': sooner and round(steps[-1] / sooner, 1),
        }
    return result


def table(curves: Curves) -> str:
    """Return the curves as Markdown, mean and spread over seeds."""
    lines = []
    for name, task in TASKS.items():
        algorithms = [a for a in (*OURS, *PEERS) if (name, a) in curves]
        if not algorithms:
            continue
        steps = sorted({s for a in algorithms for s in steps_of(curves[name, a], by_all=False)})
        later = (15_000, 20_000, 25_000, 50_000, 100_000)
        chosen = [s for s in steps if s <= 12_500 or s in later]
        lines += [
            f'## {task.env}',
            '',
            '| steps | ' + ' | '.join(f'{a} ({len(curves[name, a])})' for a in algorithms) + ' |',
            '| --: |' + ' --: |' * len(algorithms),
        ]
        for step in chosen:
            cells = []
            for algorithm in algorithms:
                values = at(curves[name, algorithm], step)
                succeeded = [
                    p.success for c in curves[name, algorithm] for p in c if p.step == step
                ]
                cell = f'{values.mean():.1f} ± {values.std():.1f}' if len(values) else ''
                if 0 < len(values) < len(curves[name, algorithm]):
                    cell += f' [{len(values)}]'
                if len(values) and succeeded[0] is not None:
                    cell += f' ({100 * np.mean(succeeded):.0f} %)'
                cells.append(cell)
            lines.append(f'| {step:,} | ' + ' | '.join(cells) + ' |')
        lines.append('')
    return '\n'.join(lines)


def plot(curves: Curves, file: Path) -> None:
    """Draw every task's curves: a line for the mean, a band from worst to best seed."""
    import matplotlib as mpl

    mpl.use('svg')
    import matplotlib.pyplot as plt

    mpl.rcParams['svg.hashsalt'] = 'sac_ros'
    names = [name for name in TASKS if any(task == name for task, _ in curves)]
    figure, axes = plt.subplots(1, len(names), figsize=(4.2 * len(names), 3.6), squeeze=False)
    colours = dict(zip((*OURS, *PEERS), ('C3', 'C1', 'C0', '0.35', '0.65', 'C2'), strict=True))
    for axis, name in zip(axes[0], names, strict=True):
        success = name == 'arm'
        for algorithm, colour in colours.items():
            seeds = curves.get((name, algorithm))
            if not seeds:
                continue
            steps = steps_of(seeds)
            field = 'success' if success else 'mean_return'
            values = np.array(
                [[getattr(p, field) for c in seeds for p in c if p.step == s] for s in steps]
            )
            x = np.array(steps) / 1000
            axis.plot(x, values.mean(1), color=colour, label=algorithm, lw=1.6)
            axis.fill_between(x, values.min(1), values.max(1), color=colour, alpha=0.15, lw=0)
            for curve in seeds:  # seeds that went on longer
                rest = [p for p in curve if p.step >= steps[-1]]
                x = np.array([p.step for p in rest]) / 1000
                axis.plot(x, [getattr(p, field) for p in rest], color=colour, lw=0.9, ls='--')
        axis.set(title=TASKS[name].env, xlabel='environment steps [thousand]')
        axis.set_ylabel('success' if success else 'return')
        if name == 'reacher':
            axis.set_ylim(-16, -3)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(file, metadata={'Date': None})


def main() -> None:
    """Run what is missing, then write table, plot and figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='a few hundred steps of one task')
    parser.add_argument('--jobs', type=int, default=2, help='runs at a time (default: 2)')
    parser.add_argument('--seeds', type=int, default=3, help='seeds of each (default: 3)')
    parser.add_argument('--only', default='*', help='TASK-ALGORITHM to run, as pusher-*,arm-fast')
    parser.add_argument('--runs', type=Path, default=Path('runs/sample_efficiency'))
    parser.add_argument('--wall', action='store_true', help='measure time to the goals')
    parser.add_argument('--steps', type=int, default=0, help='instead of those of the task')
    parser.add_argument('--every', type=int, default=0, help='steps between evaluations')
    parser.add_argument('--one', nargs=4, metavar=('TASK', 'ALGORITHM', 'SEED', 'STEPS'))
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    if options.one:
        name, algorithm, seed, steps = options.one
        run = run_ours if algorithm in OURS else run_peer
        file = options.runs / f'{name}-{algorithm}-{seed}.json'
        task = TASKS[name]
        if options.every:
            task = task._replace(every=options.every)
        run(algorithm, task, int(seed), int(steps), file)
        return
    curves = known()
    if options.quick:
        quick(options)
        return
    file = RESULTS / 'sample_efficiency.json'
    before = json.loads(file.read_text()) if file.exists() else {}
    if not options.wall:
        run_all(options, curves)
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    gather(options, curves, kept)
    rows = [f'"{run}": {json.dumps(kept[run])}' for run in sorted(kept)]
    KEPT.write_text('{' + ',\n'.join(rows) + '}\n')
    result = figures(curves) | {'wall': before.get('wall')}
    if options.wall:
        result['wall'] = wall(options, curves)
    text = (
        '# Sample efficiency\n\nReturn of the deterministic policy over 20 episodes, mean ± '
        'spread over the seeds (how many: in brackets, fewer at a step: in square ones); '
        'success in brackets.\n\n'
        '    python benchmarks/sample_efficiency.py\n'
        '    python benchmarks/sample_efficiency.py --seeds 5 '
        '--only cheetah-sac,cheetah-sb3-ppo\n\n'
        '![Return against environment steps](sample_efficiency.svg)\n\n'
    )
    (RESULTS / 'sample_efficiency.md').write_text(text + table(curves))
    file.write_text(json.dumps(result, indent=1) + '\n')
    plot(curves, RESULTS / 'sample_efficiency.svg')
    print(table(curves))
    print(json.dumps(result))


def quick(options: argparse.Namespace) -> None:
    """Show that every part runs, in well under a minute; the figures mean nothing."""
    with tempfile.TemporaryDirectory() as folder:
        options.runs, options.steps, options.seeds = Path(folder), 600, 1
        options.only, options.every = 'reacher-*', 300
        curves: Curves = {}
        run_all(options, curves)
        gather(options, curves, {})
    print(table(curves))
    print(json.dumps(figures(curves)))


if __name__ == '__main__':
    main()
