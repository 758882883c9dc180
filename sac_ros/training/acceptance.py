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

"""Acceptance of a policy for an arm: precision, stillness, limits, guards, faults and time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from sac_ros.envs.arm_env import ArmEnv
from sac_ros.training.acceptance_figures import PassFigures, goal_moves, measure_pass, plain
from sac_ros.training.rollout import PolicyFn

FROM_REST, GOAL_TO_GOAL = 'from_rest', 'goal_to_goal'


@dataclass(frozen=True)
class AcceptanceThresholds:
    """Requirements of the verdict, for each pass."""

    faults: int = 0  # episodes, at most
    contacts: int = 0  # episodes, at most
    success: float = 0.95  # share of episodes, at least
    chatter: float = 0.01  # share of the torque limit per control step, at most
    enable_ready: float = 1.0  # share of episodes, at least; not for goals that move
    outside_limits: int = 0  # episodes, at most
    peak_speed: float = 1.5  # multiple of the velocity limit, at most
    warn_speed: float = 1.0  # multiple of the velocity limit above which a warning is given


@dataclass(frozen=True)
class Acceptance:
    """Figures of a policy by pass, and the verdict on them."""

    task: str
    success_radius: float  # [m]
    success_angle: float | None  # [rad] for a task with orientation
    moving_goal: bool
    passes: dict[str, PassFigures]
    thresholds: AcceptanceThresholds
    reasons: tuple[str, ...]  # why it is not accepted
    warnings: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        """Whether every threshold is met."""
        return not self.reasons

    @property
    def verdict(self) -> str:
        """Return the verdict in one line."""
        return 'ACCEPTED' if self.accepted else 'NOT ACCEPTED: ' + '; '.join(self.reasons)

    def rank(self) -> tuple[float, ...]:
        """Return a key that is lower for the better policy, over all passes."""
        faults, contacts, missed, distance, time = zip(
            *(figures.rank() for figures in self.passes.values()), strict=True
        )
        worst = sum(faults), sum(contacts), sum(missed), max(distance), sum(time)
        return not self.accepted, *worst

    def to_json(self) -> dict[str, Any]:
        """Return the figures with stable keys; what is unknown is None."""
        return {'accepted': self.accepted, 'verdict': self.verdict, **plain(self)}


def measure_acceptance(
    env: ArmEnv,
    act: PolicyFn,
    episodes: int,
    thresholds: AcceptanceThresholds | None = None,
    on_episode: Callable[[], None] = lambda: None,
) -> Acceptance:
    """Run `episodes` from rest and as many from goal to goal, and judge the figures.

    Args:
        env: the arm and its task.
        act: the policy; its method `reset`, if it has one, is called before each episode.
        episodes: of each pass.
        thresholds: of the verdict.
        on_episode: called after each episode.
    """
    passes = {
        name: measure_pass(env, act, episodes, name == GOAL_TO_GOAL, on_episode)
        for name in (FROM_REST, GOAL_TO_GOAL)
    }
    return judge(env, passes, thresholds or AcceptanceThresholds())


def judge(
    env: ArmEnv, passes: dict[str, PassFigures], thresholds: AcceptanceThresholds
) -> Acceptance:
    """Return the verdict on the figures of each pass."""
    config, fields = env.task.config, env.policy_spec.slices()
    moving = goal_moves(env)
    reasons, warnings = [], []
    for name, figures in passes.items():
        reasons += [f'{label(name)}: {text}' for text in _violations(figures, thresholds, moving)]
        if thresholds.warn_speed < figures.peak_speed <= thresholds.peak_speed:
            warnings.append(
                f'{label(name)}: peak speed {figures.peak_speed:.2f} of the velocity limit, over '
                f'{thresholds.warn_speed:g}'
            )
    return Acceptance(
        task=config.name,
        success_radius=config.success_radius,
        success_angle=config.success_angle if 'goal_orientation' in fields else None,
        moving_goal=moving,
        passes=passes,
        thresholds=thresholds,
        reasons=tuple(reasons),
        warnings=tuple(warnings),
    )


def _violations(figures: PassFigures, limits: AcceptanceThresholds, moving: bool) -> list[str]:
    """Return a reason for each threshold that is not met, with figure and threshold."""
    found, n = [], figures.episodes
    for count, limit, text in (
        (figures.faults, limits.faults, f'faults ({figures.fault_reason})'),
        (figures.contacts, limits.contacts, 'episodes with contact'),
        (figures.outside_limits, limits.outside_limits, 'episodes outside position limits'),
    ):
        if count > limit:
            found.append(f'{count} {text} of {n}, at most {limit}')
    if not figures.success >= limits.success:
        found.append(f'{percent(figures.success)} success, at least {percent(limits.success)}')
    if figures.chatter > limits.chatter:
        found.append(f'chatter {figures.chatter:.4f}, at most {limits.chatter:g}')
    if not moving and figures.enable_ready < limits.enable_ready:
        share = percent(figures.enable_ready)
        found.append(f'{share} end ready to enable, at least {percent(limits.enable_ready)}')
    if figures.peak_speed > limits.peak_speed:
        peak = f'peak speed {figures.peak_speed:.2f} of the velocity limit'
        found.append(f'{peak}, at most {limits.peak_speed:g}')
    return found


def acceptance_table(acceptance: Acceptance) -> Table:
    """Return the figures of each pass side by side, with what is required."""
    limits, passes = acceptance.thresholds, acceptance.passes
    table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column('', no_wrap=True)
    for name in passes:
        table.add_column(label(name), justify='right', no_wrap=True)
    table.add_column('required', justify='right', no_wrap=True)
    radius = f'{100 * acceptance.success_radius:g} cm'
    if acceptance.success_angle is not None:
        radius += f' and {math.degrees(acceptance.success_angle):.0f} deg'
    error = 'error, 2nd half' if acceptance.moving_goal else 'distance'
    required = f'>= {percent(limits.success)}'
    rows: tuple[tuple[str, Callable[[PassFigures], str], str], ...] = (
        ('episodes', lambda f: str(f.episodes), ''),
        (f'success, within {radius}', lambda f: percent(f.success), required),
        ('within 5 / 2 / 1 cm [%]', _shares, ''),
        (f'{error}, median / p95 [mm]', _distances, ''),
        ('time to goal, median / mean [s]', _times, ''),
        ('tip speed at rest [mm/s]', lambda f: _number(f.tip_speed, '.1f'), ''),
        ('chatter at rest, mean / p95', _chatter, f'<= {limits.chatter:g}'),
        ('peak speed, median / max', _speeds, f'<= {limits.peak_speed:g}'),
        ('over the velocity limit', lambda f: percent(f.over_speed), ''),
        ('guarded, all / without rate', _guards, ''),
        ('episodes with contact', lambda f: str(f.contacts), f'<= {limits.contacts}'),
        ('FAULT', lambda f: str(f.faults), f'<= {limits.faults}'),
        ('outside limits, ever / end', _outside, f'<= {limits.outside_limits}'),
        ('ready to enable at the end', lambda f: percent(f.enable_ready),
         '' if acceptance.moving_goal else f'>= {percent(limits.enable_ready)}'),
    )  # fmt: skip
    for text, cell, needed in rows:
        table.add_row(text, *(cell(figures) for figures in passes.values()), needed)
    return table


def _shares(figures: PassFigures) -> str:
    shares = (figures.within_5cm, figures.within_2cm, figures.within_1cm)
    return ' / '.join(_number(100 * share, '.0f') for share in shares)


def _distances(figures: PassFigures) -> str:
    return ' / '.join(
        _number(value, '.1f') for value in (figures.distance_median, figures.distance_p95)
    )


def _times(figures: PassFigures) -> str:
    times = (figures.time_to_goal_median, figures.time_to_goal)
    return ' / '.join(_number(value, '.2f') for value in times)


def _chatter(figures: PassFigures) -> str:
    return ' / '.join(_number(value, '.4f') for value in (figures.chatter, figures.chatter_p95))


def _speeds(figures: PassFigures) -> str:
    return f'{figures.peak_speed_median:.2f} / {figures.peak_speed:.2f}'


def _guards(figures: PassFigures) -> str:
    return f'{percent(figures.guarded)} / {percent(figures.guarded_without_rate)}'


def _outside(figures: PassFigures) -> str:
    return f'{figures.outside_limits} / {figures.outside_limits_at_end}'


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else '-'


def label(name: str) -> str:
    """Return the name of a pass for people."""
    return name.replace('_', ' ')


def percent(share: float) -> str:
    """Write a share as a percentage that shows 100 only when nothing is missing."""
    text = f'{100 * share:.1f}'
    return f'{"99.9" if text == "100.0" and share < 1 else text.removesuffix(".0")} %'
