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

"""Learning curves of one or several runs, with mean and spread of runs that differ in the seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from sac_ros.config.base import flatten
from sac_ros.report.data import rounded
from sac_ros.report.run import Run

MOST_POINTS = 400  # of a curve; longer ones are thinned
ALIKE = ('seed', 'run_dir', 'compile', 'tensorboard', 'video', 'device')  # may differ in a group

Points = list[tuple[float, float]]


class Source(NamedTuple):
    """A curve of a chart: how it is called and where its points come from."""

    name: str
    points: Callable[[Run], Points]
    measured: bool = False  # by an evaluation, so drawn with markers


def logged(tag: str) -> Callable[[Run], Points]:
    """Return the function that reads a scalar of the TensorBoard log."""
    return lambda run: [(float(step), value) for step, value in run.scalars.get(tag, [])]


def evaluated(*keys: str) -> Callable[[Run], Points]:
    """Return the function that reads the first of some figures of the recorded evaluations."""

    def points(run: Run) -> Points:
        found = []
        for row in run.evaluations:
            value = next((row[key] for key in keys if row.get(key) is not None), None)
            if isinstance(row.get('step'), int) and isinstance(value, int | float):
                found.append((float(row['step']), float(value)))
        return [(x, y) for x, y in found if np.isfinite(y)]

    return points


CHARTS: tuple[tuple[str, str, tuple[Source, ...]], ...] = (
    ('Return', '', (Source('training episodes', logged('rollout/ep_rew_mean')),
                    Source('evaluation', evaluated('mean_return'), True))),
    ('Success', 'share', (Source('training episodes', logged('rollout/success_rate')),
                          Source('evaluation', evaluated('success', 'success_rate'), True))),
    ('Final distance', 'mm', (Source('median', evaluated('distance_median'), True),
                              Source('95th percentile', evaluated('distance_p95'), True))),
    ('Temperature alpha', '', (Source('alpha', logged('train/ent_coef')),)),
    ('Entropy', 'nat', (Source('entropy of the policy', logged('train/entropy')),)),
    ('Value of drawn actions', '', (Source('mean Q of a batch', logged('train/q_mean')),)),
    ('Critic loss', '', (Source('critic loss', logged('train/critic_loss')),)),
    ('Actor loss', '', (Source('actor loss', logged('train/actor_loss')),)),
    ('Temperature loss', '', (Source('temperature loss', logged('train/ent_coef_loss')),)),
    ('Updates', '1/s', (Source('updates', logged('time/updates_per_second')),)),
)  # fmt: skip
LOGARITHMIC = ('Final distance', 'Temperature alpha')


def curves(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the charts that some run has points for."""
    groups = group(runs)
    charts = []
    for title, unit, sources in CHARTS:
        series = [
            {'run': i, 'name': source.name, 'measured': source.measured, **_columns(points)}
            for source in sources
            for i, run in enumerate(runs)
            if (points := source.points(run))
        ]
        if not series:
            continue
        chart = {'title': title, 'unit': unit, 'log': title in LOGARITHMIC, 'series': series}
        chart['means'] = [
            {'name': source.name, 'group': g, **mean}
            for source in sources
            for g, members in enumerate(groups)
            if (mean := mean_and_spread([source.points(runs[i]) for i in members]))
        ]
        if title == 'Entropy':
            targets = {run.learner.sac.target_entropy for run in runs if run.learner is not None}
            chart['levels'] = [{'name': 'target', 'value': value} for value in sorted(targets)]
        charts.append(chart)
    names = [f'mean of {len(members)} runs' for members in groups]
    return {'charts': charts, 'groups': names}


def group(runs: Sequence[Run]) -> list[list[int]]:
    """Return the groups of two or more runs whose settings differ in no more than `ALIKE`."""
    found: dict[str, list[int]] = {}
    for i, run in enumerate(runs):
        if run.config is not None:
            settings = {k: v for k, v in flatten(run.config).items() if k not in ALIKE}
            found.setdefault(repr(settings), []).append(i)
    return [members for members in found.values() if len(members) > 1]


def mean_and_spread(curves: Sequence[Points]) -> dict[str, Any]:
    """Return mean and standard deviation of curves over the steps that all of them cover.

    Curves are interpolated at the steps of the first one; {} with fewer than two.
    """
    curves = [points for points in curves if points]
    if len(curves) < 2:
        return {}
    lines = [np.array(points).T for points in curves]
    low, high = max(x[0] for x, _ in lines), min(x[-1] for x, _ in lines)
    steps = lines[0][0][(lines[0][0] >= low) & (lines[0][0] <= high)]
    if not len(steps):
        return {}
    values = np.array([np.interp(steps, x, y) for x, y in lines])
    mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1)
    return {
        'x': rounded(steps, 0), 'y': rounded(mean, 6),
        'low': rounded(mean - spread, 6), 'high': rounded(mean + spread, 6),
    }  # fmt: skip


def _columns(points: Points) -> dict[str, Any]:
    some = np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int))
    x, y = np.array(points)[some].T
    return {'x': rounded(x, 0), 'y': rounded(y, 6)}
