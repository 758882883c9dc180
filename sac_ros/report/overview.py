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

"""What was trained, how well it does, and what deserves attention, in plain words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sac_ros.config.base import settings
from sac_ros.config.training import TrainConfig
from sac_ros.report.data import rounded
from sac_ros.report.run import Run

SETTLED_FACTOR = 1.25  # alpha may change by this in the last quarter of a run
ENTROPY_SHARE = 0.25  # of the target entropy, within which the entropy has to be
AT_LIMIT = 0.05  # share of steps at the torque limit from which a joint is named
FLAT = 0.05  # share of the mean return below which a bias of the critics is not worth a word
NOT_SHOWN = ('run_dir', 'preset')  # among the settings that differ


def overview(run: Run, parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the first part of the page.

    Args:
        run: that the report is of.
        parts: the other parts of it, some of which hold only what they are `missing`.
    """
    return {
        'facts': _facts(run),
        'settings': _changed_settings(run),
        'result': _result(run),
        'files': _files(run),
        'missing': run.missing,
        'warnings': warnings(run, parts),
    }


def _facts(run: Run) -> list[tuple[str, str]]:
    facts = [('run', str(run.path.resolve()))]
    config, learner = run.config, run.learner
    if config is not None:
        if config.env == 'arm-reach':
            facts += [
                ('robot', config.arm.model or 'the default arm'),
                ('task', f'{config.task.name}, within {1e3 * config.task.success_radius:g} mm'),
                ('base controller', config.controller.name),
            ]
        else:
            facts.append(('environment', config.env))
        facts += [('preset', config.preset), ('seed', str(config.seed))]
        facts.append(('steps', f'{_step(run):,} of {config.steps:,}'))
    if learner is not None:
        facts.append(('joints', ', '.join(learner.spec.joint_names)))
        rate = f'{1 / learner.spec.control_period:g} Hz'
        facts.append(('control rate', rate))
    for key, name in (('updates', 'updates of the critics'), ('episodes', 'episodes')):
        if isinstance(run.notes.get(key), int):
            facts.append((name, f'{run.notes[key]:,}'))
    if run.replay is not None and run.config is not None and run.learner is not None:
        seconds = len(run.replay) * run.learner.spec.control_period
        facts.append(('samples', f'{len(run.replay):,}: {_duration(seconds)} of the robot'))
    times = [row['seconds'] for row in run.evaluations if 'seconds' in row]
    if times:
        facts.append(('time until the last evaluation', f'{_duration(times[-1])} of its process'))
    return facts


def _step(run: Run) -> int:
    step = run.notes.get('step')
    return step if isinstance(step, int) else 0


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f'{seconds:.0f} s'
    minutes = seconds / 60
    return f'{minutes:.0f} min' if minutes < 120 else f'{minutes / 60:.1f} h'


def _changed_settings(run: Run) -> list[dict[str, str]]:
    """Return the settings that differ from the default."""
    if run.config is None:
        return []
    found = []
    for item in settings(TrainConfig):
        value: Any = run.config
        for name in item.name.split('.'):
            value = getattr(value, name)
        if value != item.default and item.name not in NOT_SHOWN:
            found.append(
                {'name': item.name, 'value': str(value), 'default': str(item.default),
                 'text': item.text}
            )  # fmt: skip
    return found


def _result(run: Run) -> dict[str, Any]:
    """Return the figures of the acceptance, or else those of the last evaluation."""
    if run.acceptance is not None:
        accepted = run.acceptance
        return {
            'source': 'acceptance.json',
            'verdict': str(accepted.get('verdict', '')),
            'accepted': bool(accepted.get('accepted')),
            'step': accepted.get('step'),
            'passes': {
                name.replace('_', ' '): _figures(figures)
                for name, figures in accepted['passes'].items()
                if isinstance(figures, dict)
            },
        }
    if not run.evaluations:
        return {}
    last = run.evaluations[-1]
    return {
        'source': f'the last of {len(run.evaluations)} evaluations during training',
        'step': last.get('step'),
        'passes': {'evaluation': _figures(last)},
    }


def _figures(row: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that are shown; those that are unknown are None."""
    success = row.get('success', row.get('success_rate'))
    figures = {
        'success': success,
        **{
            name: row.get(name)
            for name in (
                'episodes', 'mean_return', 'std_return', 'distance_median', 'distance_p95',
                'tip_speed', 'chatter', 'time_to_goal_median', 'peak_speed', 'faults',
            )
        },
    }  # fmt: skip
    return {
        name: value if isinstance(value, int | float) and math.isfinite(value) else None
        for name, value in figures.items()
    }


def _files(run: Run) -> list[tuple[str, int]]:
    """Return the files of a run and their sizes [bytes]."""
    files = []
    for path in sorted(run.path.iterdir()):
        inside = path.rglob('*') if path.is_dir() else (path,)
        size = sum(file.stat().st_size for file in inside if file.is_file())
        files.append((path.name + ('/' if path.is_dir() else ''), size))
    return files


def warnings(run: Run, parts: dict[str, dict[str, Any]]) -> list[str]:
    """Return what deserves attention, each in a sentence with its figures."""
    found = [*_progress_warnings(run), *_acceptance_warnings(run), *_temperature_warnings(run)]
    arm, critics, replay = (parts.get(name, {}) for name in ('arm', 'critics', 'replay'))
    for joint, share in zip(arm.get('joints', ()), arm.get('at_limit', ()), strict=True):
        if share > AT_LIMIT:
            found.append(f'{joint} is at its torque limit in {100 * share:.0f} % of steps')
    failed = [e for e in arm.get('episodes', ()) if not e['success']]
    if failed:
        found.append(f'{len(failed)} of {len(arm["episodes"])} replayed episodes fail')
    if critics.get('over_training'):
        newest = critics['over_training'][-1]
        bias, error = newest['bias'], newest['error'] or 0.0
        if abs(bias) > max(2 * error, FLAT * critics['return_size']):
            verb = 'overestimate' if bias > 0 else 'underestimate'
            found.append(
                f'critics {verb} by {abs(bias):.2g}, where the return is '
                f'{critics["return_size"]:.2g}'
            )
    if replay.get('damaged'):
        found.append(f'{replay["damaged"]} records of the replay are damaged and never drawn')
    return found


def _progress_warnings(run: Run) -> list[str]:
    found = []
    if run.config is not None and _step(run) < run.config.steps:
        found.append(f'the run is not finished: step {_step(run):,} of {run.config.steps:,}')
    if len(run.evaluations) == 1:
        found.append('there is one evaluation only: a curve needs a lower --eval_every')
    if run.learner_file == 'best.npz':
        found.append('checkpoint.npz cannot be used; the learner shown is that of best.npz')
    return found


def _acceptance_warnings(run: Run) -> list[str]:
    accepted = run.acceptance or {}
    return [str(text) for key in ('reasons', 'warnings') for text in accepted.get(key, ())]


def _temperature_warnings(run: Run) -> list[str]:
    found = []
    alpha = [value for _, value in run.scalars.get('train/ent_coef', [])]
    if len(alpha) >= 4 and min(alpha) > 0:
        start, end = alpha[-1 - len(alpha) // 4], alpha[-1]
        if max(start, end) / min(start, end) > SETTLED_FACTOR:
            found.append(
                f'alpha has not settled: {start:.3g} to {end:.3g} in the last quarter of the run'
            )
    entropy = [value for _, value in run.scalars.get('train/entropy', [])]
    if entropy and run.learner is not None:
        target = run.learner.sac.target_entropy
        late = float(np.mean(entropy[-max(1, len(entropy) // 10) :]))
        if abs(late - target) > ENTROPY_SHARE * max(abs(target), 1.0):
            side = 'above' if late > target else 'below'
            found.append(
                f'the entropy of the policy is {rounded(late, 2)} nat, {side} its target of '
                f'{rounded(target, 2)}'
            )
    return found
